"""What `httpx2` and `httpx` have in common, as far as we use it, and how each of them reaches a provider."""

from __future__ import annotations

import importlib
import socket
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from ..core.identity import Endpoint, is_loopback
from ..wire.ports import Open, RawHeaders
from ..wire.proxies import proxy_for


class HeadersLike(Protocol):
    """Headers that give their pairs as they came."""

    @property
    def raw(self) -> RawHeaders: ...


class UrlLike(Protocol):
    """A parsed URL; `raw_path` has the query."""

    @property
    def raw_path(self) -> bytes: ...


class RequestLike(Protocol):
    """A request of either module."""

    method: str
    headers: HeadersLike
    extensions: dict[str, Any]
    stream: Any

    @property
    def url(self) -> UrlLike: ...


class OpenedResponse(NamedTuple):
    """The head of an answer; `stream` is its body, raw and unread."""

    status: int
    headers: RawHeaders
    stream: Any
    extensions: dict[str, Any]


class HttpxAdapter:
    """One of the two modules, with what we take from it, and the core library that it stands on.

    `broken` is what a broken connection raises, in the module or in its core, which name their exceptions
    alike; `not_theirs` are those that tell nothing about a provider: the request was malformed, or our own
    pool was full."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.core: Any = importlib.import_module(module.__name__.replace("httpx", "httpcore"))
        roots = ("TimeoutException", "NetworkError", "ProtocolError", "ProxyError", "UnsupportedProtocol")
        self._base: type[Exception] = module.TransportError
        self.broken: tuple[type[Exception], ...] = (self._base, *(getattr(self.core, name) for name in roots))
        self.not_theirs: tuple[type[Exception], ...] = (module.LocalProtocolError, module.PoolTimeout)
        self.cut: type[Exception] = module.RemoteProtocolError
        self.stream = module.ByteStream

    def public(self, error: Exception) -> Exception:
        """The module's own exception for what its core raised."""
        if isinstance(error, self._base):
            return error
        kind: type[Exception] = getattr(self.module, type(error).__name__, self._base)
        public = kind(str(error))
        public.__cause__ = error
        return public

    def response(self, status: int, headers: RawHeaders, stream: Any, extensions: dict[str, Any]) -> Any:
        """A response for the caller; `stream` is its body or what gives it."""
        return self.module.Response(
            status,
            headers=headers,
            stream=self.stream(stream) if isinstance(stream, bytes) else stream,
            extensions=extensions,
        )


class Channel(Protocol):
    """How a request is sent: `pool` has the method `handle_request`, or `handle_async_request`, that takes
    and gives what these make."""

    pool: Any

    def request(self, send: Open) -> Any: ...
    def opened(self, response: Any) -> OpenedResponse: ...


class TransportChannel:
    """Through a transport of the module: a proxy's, or one that the caller gave."""

    def __init__(self, adapter: HttpxAdapter, transport: Any) -> None:
        self.pool, self._adapter, self._url = transport, adapter, lru_cache(maxsize=256)(adapter.module.URL)

    def request(self, send: Open) -> Any:
        """A request of the module. Only time-outs go along as extensions: others can name another host or
        target."""
        stream = self._adapter.stream(send.stream) if isinstance(send.stream, bytes) else send.stream
        return self._adapter.module.Request(
            send.method,
            self._url(send.url),
            headers=send.headers,
            stream=stream,
            extensions={"timeout": send.timeout},
        )

    def opened(self, response: Any) -> OpenedResponse:
        return OpenedResponse(
            response.status_code, response.headers.raw, response.stream, response.extensions
        )


class PoolChannel:
    """Straight into a connection pool of the core library, past the module's own conversions: half of what a
    request costs."""

    def __init__(self, adapter: HttpxAdapter, pool: Any) -> None:
        self.pool, self._request, self._url = (
            pool,
            adapter.core.Request,
            lru_cache(maxsize=256)(adapter.core.URL),
        )

    def request(self, send: Open) -> Any:
        """A request of the core library."""
        request = self._request(
            send.method, self._url(send.url), content=send.stream, extensions={"timeout": send.timeout}
        )
        request.headers = send.headers
        return request

    def opened(self, response: Any) -> OpenedResponse:
        return OpenedResponse(response.status, response.headers, response.stream, response.extensions)


_LIMITS = {"max_connections": 1000, "max_keepalive_connections": 100, "keepalive_expiry": 30.0}
# A model may think for minutes without sending a byte; routers forget connections that are silent that long.
_KEEPALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
_KEEPALIVE += [
    (socket.IPPROTO_TCP, getattr(socket, name), 60)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL")
    if hasattr(socket, name)
]


class ChannelTable:
    """The connection pools of one transport: direct ones, and one per proxy that the environment names. Built
    when needed."""

    def __init__(self, adapter: HttpxAdapter, *, asynchronous: bool) -> None:
        self._adapter, self._prefix = adapter, "Async" if asynchronous else ""
        self._ways: dict[str, Channel] = {}
        self._chosen: dict[str, Channel] = {}

    def to(self, endpoint: Endpoint) -> Channel:
        """The way to `endpoint`; to one on this machine never through a proxy."""
        way = self._chosen.get(endpoint.origin)
        if way is None:
            proxy = None if is_loopback(endpoint.url) else proxy_for(endpoint.url)
            name = proxy or endpoint.origin.partition(":")[0]
            way = self._ways.get(name)
            if way is None:
                way = self._ways[name] = (
                    self._through(proxy) if proxy else self._direct(secure=name == "https")
                )
            self._chosen[endpoint.origin] = way
        return way

    def drain(self) -> list[Any]:
        """All pools, for closing; a later request builds new ones."""
        pools = [way.pool for way in self._ways.values()]
        self._ways.clear()
        self._chosen.clear()
        return pools

    def _direct(self, *, secure: bool) -> Channel:
        pool = getattr(self._adapter.core, f"{self._prefix}ConnectionPool")
        context = self._adapter.module.create_ssl_context() if secure else None
        return PoolChannel(
            self._adapter, pool(ssl_context=context, retries=0, socket_options=_KEEPALIVE, **_LIMITS)
        )

    def _through(self, proxy: str) -> Channel:
        transport = getattr(self._adapter.module, f"{self._prefix}HTTPTransport")
        return TransportChannel(
            self._adapter,
            transport(
                proxy=proxy,
                limits=self._adapter.module.Limits(**_LIMITS),
                retries=0,
                socket_options=_KEEPALIVE,
            ),
        )
