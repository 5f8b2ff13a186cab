"""Opens connections to providers: addresses raced against each other (RFC 8305), TLS with the system's trust
store, HTTP and SOCKS5 proxies."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from .errors import ConnectError, ConnectTimeout, ProxyError
from .ports import Permitted
from .socks import host_of, open_socks

_HEAD_START = 0.25
"""Seconds before the next address is tried as well."""
_KEEPALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
_KEEPALIVE += [
    (socket.IPPROTO_TCP, getattr(socket, name), 60)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL")
    if hasattr(socket, name)
]
_SOCKS_PORT = 1080
_RESOLVED_HERE, _RESOLVED_THERE = "socks5", "socks5h"
"""The supported kinds of SOCKS proxies, by who resolves names."""


class Tunnel(Protocol):
    """The tunnel through an HTTP proxy: what it is asked with, and what its answer means."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...

    def request(self, host: str, port: int) -> bytes:
        """Return the request for a tunnel to a host."""
        ...

    def wants_more(self, head: bytes) -> bool:
        """Return whether the head of the proxy's answer is not complete yet."""
        ...

    def refusal(self, head: bytes) -> str:
        """Return why the proxy gives no tunnel; "" where it gives one."""
        ...


class UpstreamAddress(NamedTuple):
    """The host and port of a provider; `secure` asks for TLS. `tunnel` is one through an HTTP proxy, `socks`
    the URL of a SOCKS proxy."""

    host: str
    port: int
    secure: bool
    tunnel: Tunnel | None = None
    socks: str = ""


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
            if address.tunnel is not None:
                sock = await _tunnelled(address, address.tunnel)
            elif address.socks:
                sock = await _through_socks(address, address.socks, permitted)
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


async def _tunnelled(address: UpstreamAddress, tunnel: Tunnel) -> socket.socket:
    """Return a connection to `address` through the tunnel of an HTTP proxy."""
    with _broken_off(tunnel.host):
        sock = await _to_proxy(tunnel.host, tunnel.port)
        with _closed_on_error(sock):
            await _ask(sock, address, tunnel)
    return sock


async def _through_socks(address: UpstreamAddress, proxy: str, permitted: Permitted) -> socket.socket:
    """Return a connection to `address` through a SOCKS proxy."""
    parts = urlsplit(proxy)
    scheme, proxy_host = parts.scheme.lower(), parts.hostname
    if scheme not in (_RESOLVED_HERE, _RESOLVED_THERE) or not proxy_host:
        raise ProxyError(
            f"a proxy of the kind '{scheme}' is not supported: use http://, socks5:// or socks5h://"
        )
    user = None
    if parts.username:
        user = (unquote(parts.username), unquote(parts.password or ""))
    with _broken_off(proxy_host):
        sock = await _to_proxy(proxy_host, parts.port or _SOCKS_PORT)
        with _closed_on_error(sock):
            resolve = scheme == _RESOLVED_HERE
            host = await host_of(address.host, address.port, permitted, resolve=resolve)
            await open_socks(sock, name=address.host, host=host, port=address.port, user=user)
    return sock


async def _to_proxy(host: str, port: int) -> socket.socket:
    try:
        return await _race(host, port, _all)
    except OSError as error:
        raise ProxyError(f"the proxy {host} cannot be reached: {error}") from error


@contextmanager
def _broken_off(host: str) -> Iterator[None]:
    """Raise a connection to a proxy that breaks as an error of the proxy."""
    try:
        yield
    except (OSError, asyncio.IncompleteReadError) as error:
        raise ProxyError(f"the proxy {host} broke off: {error}") from error


@contextmanager
def _closed_on_error(sock: socket.socket) -> Iterator[None]:
    """Close a socket that is of no use any more."""
    try:
        yield
    except BaseException:
        sock.close()
        raise


async def _ask(sock: socket.socket, address: UpstreamAddress, tunnel: Tunnel) -> None:
    """Ask an HTTP proxy for a tunnel to `address`."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, tunnel.request(address.host, address.port))
    head = b""
    while tunnel.wants_more(head):
        # One byte at a time: the bytes behind the head belong to the tunnel. It is read once for a
        # connection.
        byte = await loop.sock_recv(sock, 1)
        if not byte:
            break
        head += byte
    why = tunnel.refusal(head)
    if why:
        raise ProxyError(why)
