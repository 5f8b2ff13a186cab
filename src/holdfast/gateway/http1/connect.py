"""Opens connections to providers: addresses raced against each other (RFC 8305), TLS with the system's trust
store, HTTP and SOCKS5 proxies."""

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
"""Seconds before the next address is tried as well."""
_LONGEST_PROXY_HEAD = 16 * 1024
_KEEPALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
_KEEPALIVE += [
    (socket.IPPROTO_TCP, getattr(socket, name), 60)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL")
    if hasattr(socket, name)
]
_PROXY_PORTS = {"http": 8080, "socks5": 1080, "socks5h": 1080}
"""The supported kinds of proxies, with their default ports."""
_SOCKS_IPV4, _SOCKS_NAME, _SOCKS_IPV6 = 1, 3, 4
"""The kinds of addresses in SOCKS5 (RFC 1928 5)."""
_REFUSED = {
    1: "general failure",
    2: "not allowed",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
}
Permitted = Callable[[str, list[Any]], list[Any]]
"""From a host and what it resolved to (rows of `getaddrinfo`) to what may be dialled. Raises OSError."""


class UpstreamAddress(NamedTuple):
    """The host and port of a provider; `secure` asks for TLS, `proxy` is a URL, None for no proxy."""

    host: str
    port: int
    secure: bool
    proxy: str | None


@lru_cache(maxsize=1)
def trust() -> ssl.SSLContext:
    """Return the TLS settings with the system's trust store; SSL_CERT_FILE and SSL_CERT_DIR apply."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def connect(
    address: UpstreamAddress,
    protocol: Callable[[], asyncio.Protocol],
    seconds: float,
    permitted: Permitted,
) -> None:
    """Connect `protocol` to `address`, as far as it is `permitted`. Raises ConnectError, ConnectTimeout or
    ProxyError."""
    loop = asyncio.get_running_loop()
    sock: socket.socket | None = None
    options: dict[str, Any] = {}
    try:
        async with asyncio.timeout(seconds):
            if address.proxy:
                sock = await _through_proxy(address, address.proxy, permitted)
            else:
                sock = await _race(address.host, address.port, permitted)
            if address.secure:
                options = {"ssl": trust(), "server_hostname": address.host}
            await loop.create_connection(protocol, sock=sock, **options)
            sock = None
    except TimeoutError as error:
        raise ConnectTimeout(f"no connection within {seconds:g} s") from error
    except (OSError, ssl.SSLError, ssl.CertificateError, UnicodeError) as error:
        raise ConnectError(_text_of(error)) from error
    finally:
        if sock is not None:
            sock.close()


def _text_of(error: Exception) -> str:
    """Return an error's text as the system words it, which other programs show and profiles match.

    asyncio has its own wording for errors of connections.
    """
    if isinstance(error, ConnectionError) and error.errno:
        return f"[Errno {error.errno}] {os.strerror(error.errno)}"
    return str(error)


async def _race(host: str, port: int, permitted: Permitted) -> socket.socket:
    """Return the first connection that is made to any permitted address of a name; each has a small start
    over the next one."""
    loop = asyncio.get_running_loop()
    resolved = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [*_in_turn(permitted(host, resolved))]
    tasks: set[asyncio.Task[socket.socket]] = set()
    last: BaseException = OSError(f"{host} has no address")
    try:
        while addresses or tasks:
            head_start = None
            if addresses:
                family, address = addresses.pop(0)
                tasks.add(loop.create_task(_connected_socket(family, address)))
            if addresses:
                head_start = _HEAD_START
            done, tasks = await asyncio.wait(tasks, timeout=head_start, return_when=asyncio.FIRST_COMPLETED)
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


def _all(_: str, resolved: list[Any]) -> list[Any]:
    """Permit every address: the user's environment names the proxy, and no key goes to it."""
    return resolved


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


def _in_turn(resolved: list[Any]) -> Iterator[tuple[int, Any]]:
    """Return the families and addresses in the order of the resolver, families taking turns."""
    families: dict[int, list[Any]] = {}
    for family, _, _, _, address in resolved:
        families.setdefault(family, []).append((family, address))
    for row in itertools.zip_longest(*families.values()):
        yield from (pair for pair in row if pair is not None)


async def _connected_socket(family: int, address: Any) -> socket.socket:
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


async def _through_proxy(address: UpstreamAddress, proxy: str, permitted: Permitted) -> socket.socket:
    """Return a connection to `address` through a proxy."""
    parts = urlsplit(proxy)
    scheme = parts.scheme.lower()
    if scheme not in _PROXY_PORTS or not parts.hostname:
        raise ProxyError(
            f"a proxy of the kind '{scheme}' is not supported: use http://, socks5:// or socks5h://"
        )
    try:
        sock = await _race(parts.hostname, parts.port or _PROXY_PORTS[scheme], _all)
    except OSError as error:
        raise ProxyError(f"the proxy {parts.hostname} cannot be reached: {error}") from error
    user = None
    if parts.username:
        user = (unquote(parts.username), unquote(parts.password or ""))
    try:
        if scheme == "http":
            await _tunnel(sock, address, user)
        else:
            host = await _host_of(address, permitted, resolve=scheme == "socks5")
            await _socks(sock, address, user, host)
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


async def _tunnel(sock: socket.socket, address: UpstreamAddress, user: tuple[str, str] | None) -> None:
    """Ask an HTTP proxy for a tunnel to `address`: CONNECT (RFC 9110 9.3.6)."""
    loop = asyncio.get_running_loop()
    target = f"{address.host}:{address.port}"
    if ":" in address.host:
        target = f"[{address.host}]:{address.port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if user:
        credential = base64.b64encode(":".join(user).encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {credential}")
    await loop.sock_sendall(sock, "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1"))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # One byte at a time: the bytes behind the head belong to the tunnel. It is read once for a
        # connection.
        byte = await loop.sock_recv(sock, 1)
        if not byte or len(head) > _LONGEST_PROXY_HEAD:
            raise ProxyError("the proxy closed the connection before it answered")
        head += byte
    status = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(status) < 2 or status[1][:1] != b"2":
        raise ProxyError(f"the proxy refused: {b' '.join(status[1:]).decode('latin-1')}")


async def _socks(
    sock: socket.socket, address: UpstreamAddress, user: tuple[str, str] | None, host: bytes
) -> None:
    """Ask a SOCKS5 proxy (RFC 1928) for a connection to `address`, whose `host` is written as it wants it."""
    loop = asyncio.get_running_loop()
    await _authenticate(sock, user)
    await loop.sock_sendall(sock, b"\x05\x01\x00" + host + address.port.to_bytes(2, "big"))
    _, code, _, kind = await _exactly(sock, 4)
    if code:
        raise ProxyError(f"the proxy cannot reach {address.host}: {_REFUSED.get(code, f'code {code}')}")
    length = {_SOCKS_IPV4: 4, _SOCKS_IPV6: 16}.get(kind) or (await _exactly(sock, 1))[0]
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
        name, password = user[0].encode(), user[1].encode()
        await loop.sock_sendall(sock, bytes([1, len(name)]) + name + bytes([len(password)]) + password)
        if (await _exactly(sock, 2))[1]:
            raise ProxyError("the proxy refused user and password")


async def _host_of(address: UpstreamAddress, permitted: Permitted, *, resolve: bool) -> bytes:
    """Return a host as SOCKS5 writes it, its kind and its bytes: its first permitted address, or its name,
    which the proxy resolves, unless `resolve`."""
    if not resolve:
        name = address.host.encode("idna")
        return bytes([_SOCKS_NAME, len(name)]) + name
    loop = asyncio.get_running_loop()
    resolved = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    family, _, _, _, sockaddr = permitted(address.host, resolved)[0]
    ip = str(sockaddr[0])
    kind = _SOCKS_IPV4
    if family == socket.AF_INET6:
        kind = _SOCKS_IPV6
    return bytes([kind]) + socket.inet_pton(family, ip)


async def _exactly(sock: socket.socket, count: int) -> bytes:
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < count:
        piece = await loop.sock_recv(sock, count - len(data))
        if not piece:
            raise ProxyError("the proxy closed the connection before it answered")
        data += piece
    return data
