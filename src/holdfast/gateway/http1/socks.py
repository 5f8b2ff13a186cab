"""Asks a SOCKS5 proxy (RFC 1928) for a connection."""

from __future__ import annotations

import asyncio
import socket

from .errors import ProxyError
from .ports import Permitted

_IPV4, _NAME, _IPV6 = 1, 3, 4
"""The kinds of addresses in SOCKS5 (RFC 1928 5)."""
_REFUSED = {
    1: "general failure",
    2: "not allowed",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
}


async def open_socks(
    sock: socket.socket, *, name: str, host: bytes, port: int, user: tuple[str, str] | None
) -> None:
    """Ask a SOCKS5 proxy (RFC 1928) for a connection to `name`, written as the proxy wants it in `host`."""
    loop = asyncio.get_running_loop()
    await _authenticate(sock, user)
    await loop.sock_sendall(sock, b"\x05\x01\x00" + host + port.to_bytes(2, "big"))
    _, code, _, kind = await _exactly(sock, 4)
    if code:
        raise ProxyError(f"the proxy cannot reach {name}: {_REFUSED.get(code, f'code {code}')}")
    length = {_IPV4: 4, _IPV6: 16}.get(kind) or (await _exactly(sock, 1))[0]
    await _exactly(sock, length + 2)


async def _authenticate(sock: socket.socket, user: tuple[str, str] | None) -> None:
    """Agree on a method of authentication with a SOCKS5 proxy, and sign in (RFC 1929) if it asks for it."""
    loop = asyncio.get_running_loop()
    methods = b"\x00"
    if user:
        methods = b"\x00\x02"
    await loop.sock_sendall(sock, bytes([5, len(methods)]) + methods)
    version, method = await _exactly(sock, 2)
    if version != 5 or method not in methods:
        raise ProxyError("the proxy asks for an unsupported method of authentication")
    if method == 2 and user:
        login, password = user[0].encode(), user[1].encode()
        await loop.sock_sendall(sock, bytes([1, len(login)]) + login + bytes([len(password)]) + password)
        if (await _exactly(sock, 2))[1]:
            raise ProxyError("the proxy refused user and password")


async def host_of(name: str, port: int, permitted: Permitted, *, resolve: bool) -> bytes:
    """Return a host as SOCKS5 writes it, its kind and its bytes: its first permitted address, or its name,
    which the proxy resolves, unless `resolve`."""
    if not resolve:
        encoded = name.encode("idna")
        return bytes([_NAME, len(encoded)]) + encoded
    loop = asyncio.get_running_loop()
    resolved = await loop.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    family, _, _, _, sockaddr = permitted(name, resolved)[0]
    ip = str(sockaddr[0])
    kind = _IPV4
    if family == socket.AF_INET6:
        kind = _IPV6
    return bytes([kind]) + socket.inet_pton(family, ip)


async def _exactly(sock: socket.socket, count: int) -> bytes:
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < count:
        piece = await loop.sock_recv(sock, count - len(data))
        if not piece:
            raise ProxyError("the proxy closed the connection before it answered")
        data += piece
    return data
