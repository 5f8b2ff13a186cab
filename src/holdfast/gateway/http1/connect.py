"""Opens connections to providers: addresses raced against each other (RFC 8305), TLS by the system's trust
store, proxies as the environment names them; to this machine never through a proxy."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from .errors import ConnectError, ConnectTimeout, ProxyError, UpstreamError

_HEAD_START = 0.25
_LONGEST_PROXY_HEAD = 16 * 1024
_KEEPALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
_KEEPALIVE += [
    (socket.IPPROTO_TCP, getattr(socket, name), 60)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL")
    if hasattr(socket, name)
]
_REFUSED = {
    1: "general failure",
    2: "not allowed",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
}


class UpstreamAddress(NamedTuple):
    """Where to connect to, and how."""

    host: str
    port: int
    secure: bool
    proxy: str | None


@lru_cache(maxsize=1)
def trust() -> ssl.SSLContext:
    """The system's trust store; SSL_CERT_FILE and SSL_CERT_DIR are honoured as everywhere."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def connect(place: UpstreamAddress, protocol: Callable[[], asyncio.Protocol], seconds: float) -> None:
    """Connect `protocol` to `place`. Raises ConnectError, ConnectTimeout or ProxyError."""
    loop = asyncio.get_running_loop()
    sock: socket.socket | None = None
    try:
        async with asyncio.timeout(seconds):
            sock = await (_through(place, place.proxy) if place.proxy else _race(place.host, place.port))
            options: dict[str, Any] = {"ssl": trust(), "server_hostname": place.host} if place.secure else {}
            await loop.create_connection(protocol, sock=sock, **options)
            sock = None
    except TimeoutError as error:
        raise ConnectTimeout(f"no connection within {seconds:g} s") from error
    except (OSError, ssl.SSLError, ssl.CertificateError, UnicodeError) as error:
        # asyncio words these in its own way; the system's words are what everybody else shows and profiles
        # know.
        told = (
            f"[Errno {error.errno}] {os.strerror(error.errno)}"
            if isinstance(error, ConnectionError) and error.errno
            else str(error)
        )
        raise ConnectError(told) from error
    finally:
        if sock is not None:
            sock.close()


async def _race(host: str, port: int) -> socket.socket:
    """The first connection that is made of all addresses of a name, each given a small start over the
    next."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [*_in_turn(found)]
    tasks: set[asyncio.Task[socket.socket]] = set()
    last: BaseException = OSError(f"{host} has no address")
    try:
        while addresses or tasks:
            if addresses:
                family, address = addresses.pop(0)
                tasks.add(loop.create_task(_one(family, address)))
            done, tasks = await asyncio.wait(
                tasks, timeout=_HEAD_START if addresses else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                error = task.exception()
                if error is None:
                    return task.result()
                last = error
        raise last
    finally:
        for task in tasks:
            task.cancel()
            task.add_done_callback(_close_late)


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def _in_turn(found: list[Any]) -> Iterator[tuple[int, Any]]:
    """The addresses, families taking turns, in the order of the resolver."""
    families: dict[int, list[Any]] = {}
    for family, _, _, _, address in found:
        families.setdefault(family, []).append((family, address))
    for row in itertools.zip_longest(*families.values()):
        yield from (one for one in row if one is not None)


async def _one(family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        for level, name, value in _KEEPALIVE:
            sock.setsockopt(level, name, value)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


async def _through(place: UpstreamAddress, proxy: str) -> socket.socket:
    """A connection to `place` through a proxy."""
    parts = urlsplit(proxy)
    scheme = parts.scheme.lower()
    if scheme not in ("http", "socks5", "socks5h") or not parts.hostname:
        raise ProxyError(
            f"a proxy of the kind '{scheme}' is not supported: use http://, socks5:// or socks5h://"
        )
    try:
        sock = await _race(parts.hostname, parts.port or (8080 if scheme == "http" else 1080))
    except OSError as error:
        raise ProxyError(f"the proxy {parts.hostname} cannot be reached: {error}") from error
    user = (unquote(parts.username or ""), unquote(parts.password or "")) if parts.username else None
    try:
        if scheme == "http":
            await _tunnel(sock, place, user)
        else:
            await _socks(sock, place, user, resolve=scheme == "socks5")
    except UpstreamError:
        sock.close()
        raise
    except (OSError, asyncio.IncompleteReadError) as error:
        sock.close()
        raise ProxyError(f"the proxy {parts.hostname} broke off: {error}") from error
    except BaseException:
        sock.close()
        raise
    return sock


async def _tunnel(sock: socket.socket, place: UpstreamAddress, user: tuple[str, str] | None) -> None:
    """CONNECT (RFC 9110 9.3.6)."""
    loop = asyncio.get_running_loop()
    target = f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}"
    shown = (
        f"Proxy-Authorization: Basic {base64.b64encode(':'.join(user).encode()).decode()}\r\n" if user else ""
    )
    await loop.sock_sendall(
        sock, f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{shown}\r\n".encode("latin-1")
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # One byte at a time: what follows the head belongs to the tunnel. It is read once for a connection.
        byte = await loop.sock_recv(sock, 1)
        if not byte or len(head) > _LONGEST_PROXY_HEAD:
            raise ProxyError("the proxy closed the connection before it answered")
        head += byte
    status = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(status) < 2 or status[1][:1] != b"2":
        raise ProxyError(f"the proxy refused: {b' '.join(status[1:]).decode('latin-1')}")


async def _socks(
    sock: socket.socket, place: UpstreamAddress, user: tuple[str, str] | None, *, resolve: bool
) -> None:
    """SOCKS5 (RFC 1928, 1929). The name is sent as it is unless `resolve`."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, b"\x05\x02\x00\x02" if user else b"\x05\x01\x00")
    version, method = await _exactly(sock, 2)
    if version != 5 or method not in ((0, 2) if user else (0,)):
        raise ProxyError("the proxy wants another way of signing in")
    if method == 2 and user:
        name, password = user[0].encode(), user[1].encode()
        await loop.sock_sendall(sock, bytes([1, len(name)]) + name + bytes([len(password)]) + password)
        if (await _exactly(sock, 2))[1]:
            raise ProxyError("the proxy refused user and password")
    host, kind = place.host.encode("idna"), 3
    if resolve:
        found = await loop.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        family, address = found[0][0], found[0][4][0]
        host, kind = socket.inet_pton(family, str(address)), 4 if family == socket.AF_INET6 else 1
    await loop.sock_sendall(
        sock,
        bytes([5, 1, 0, kind])
        + (bytes([len(host)]) if kind == 3 else b"")
        + host
        + place.port.to_bytes(2, "big"),
    )
    _, code, _, kind = await _exactly(sock, 4)
    if code:
        raise ProxyError(f"the proxy cannot reach {place.host}: {_REFUSED.get(code, f'code {code}')}")
    length = {1: 4, 4: 16}.get(kind) or (await _exactly(sock, 1))[0]
    await _exactly(sock, length + 2)


async def _exactly(sock: socket.socket, count: int) -> bytes:
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < count:
        piece = await loop.sock_recv(sock, count - len(data))
        if not piece:
            raise ProxyError("the proxy closed the connection before it answered")
        data += piece
    return data
