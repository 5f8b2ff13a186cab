"""The parts of `httpx2` and `httpx` that we use, under common names, and the connection pools of each."""

from __future__ import annotations

import importlib
import socket
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from ..core.errors import ConfigError
from ..core.identity import Endpoint, is_loopback
from ..secrecy.frames import bare
from ..wire.key_at_send import headers_with_key, send_with
from ..wire.ports import Open, RawHeaders
from ..wire.proxies import proxy_for
from .kept_connections import AsyncCountedBackend, CountedBackend, take_was_closed_unheard

_LIMITS = {"max_connections": 1000, "max_keepalive_connections": 100, "keepalive_expiry": 30.0}
"""Sizes of a pool, and the seconds for which it keeps an idle connection."""
# A model may think for minutes without sending a byte; routers forget connections that are silent that long.
_KEEPALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
_KEEPALIVE += [
    (socket.IPPROTO_TCP, getattr(socket, name), 60)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL")
    if hasattr(socket, name)
]


class HeadersLike(Protocol):
    """Headers whose pairs can be read as they came."""

    @property
    def raw(self) -> RawHeaders: ...


class UrlLike(Protocol):
    """A parsed URL; `raw_path` includes the query."""

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
    """The head of an answer. `stream` is its body, raw and unread."""

    status: int
    headers: RawHeaders
    stream: Any
    extensions: dict[str, Any]


class HttpxAdapter:
    """Adapter of one of the two modules and of the core library that it is built on.

    broken  the exceptions of a broken connection, which module and core name alike
    ours    those among them that are no fault of a provider: the request was malformed, or our own pool was
            full
    cut     the exception for an answer that ended too early
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self.core: Any = importlib.import_module(module.__name__.replace("httpx", "httpcore"))
        roots = ("TimeoutException", "NetworkError", "ProtocolError", "ProxyError", "UnsupportedProtocol")
        self._base: type[Exception] = module.TransportError
        self.broken: tuple[type[Exception], ...] = (self._base, *(getattr(self.core, name) for name in roots))
        self.ours: tuple[type[Exception], ...] = (module.LocalProtocolError, module.PoolTimeout)
        self.cut: type[Exception] = module.RemoteProtocolError
        self._closed = (module.ReadError, module.WriteError, module.RemoteProtocolError)
        self.stream = module.ByteStream

    def public(self, error: Exception) -> Exception:
        """Return the module's own exception for one of its core. One that a transport of the caller raised
        loses its frames, which hold the request that the transport got."""
        if isinstance(error, self._base):
            return bare(error)
        kind: type[Exception] = getattr(self.module, type(error).__name__, self._base)
        public = kind(str(error))
        public.__cause__ = error
        return public

    def closed_unheard(self, error: Exception) -> bool:
        """Return whether this error ended a request that left on a kept connection and got no byte of an
        answer."""
        return take_was_closed_unheard() and isinstance(error, self._closed)

    def response(self, status: int, headers: RawHeaders, stream: Any, extensions: dict[str, Any]) -> Any:
        """Return a response for the caller; `stream` is its body as bytes or as a stream."""
        return self.module.Response(
            status, headers=headers, stream=self.as_stream(stream), extensions=extensions
        )

    def as_stream(self, body: Any) -> Any:
        """Return a body as the module takes it: bytes as a stream, a stream as it is."""
        if isinstance(body, bytes):
            return self.stream(body)
        return body


class Channel(Protocol):
    """A way to send requests. `pool` has the method `handle_request` or `handle_async_request`, which takes
    what `request` returns and returns what `opened` takes."""

    pool: Any

    def request(self, send: Open) -> Any:
        """Return a request as the pool takes it."""
        ...

    def opened(self, response: Any) -> OpenedResponse:
        """Return the head of the pool's response."""
        ...


class TransportChannel:
    """A channel through a transport of the module that the caller passed in. It gets requests with the key in
    their headers, since it writes them itself."""

    def __init__(self, adapter: HttpxAdapter, transport: Any) -> None:
        self.pool = transport
        self._adapter = adapter
        self._url = lru_cache(maxsize=256)(adapter.module.URL)

    def request(self, send: Open) -> Any:
        """Return a request of the module. Time-outs are its only extensions: others can name another host or
        target."""
        return self._adapter.module.Request(
            send.method,
            self._url(send.url),
            headers=headers_with_key(send.headers, send.secret),
            stream=self._adapter.as_stream(send.stream),
            extensions={"timeout": send.timeout},
        )

    def opened(self, response: Any) -> OpenedResponse:
        return OpenedResponse(
            response.status_code, response.headers.raw, response.stream, response.extensions
        )


class PoolChannel:
    """A channel straight into a connection pool of the core library. It leaves out the module's own
    conversions, which take half the time of a request."""

    def __init__(self, adapter: HttpxAdapter, pool: Any) -> None:
        self.pool = pool
        self._request = adapter.core.Request
        self._url = lru_cache(maxsize=256)(adapter.core.URL)

    def request(self, send: Open) -> Any:
        """Return a request of the core library."""
        request = self._request(
            send.method, self._url(send.url), content=send.stream, extensions={"timeout": send.timeout}
        )
        request.headers = send.headers
        send_with(send.secret)
        return request

    def opened(self, response: Any) -> OpenedResponse:
        return OpenedResponse(response.status, response.headers, response.stream, response.extensions)


class ChannelTable:
    """The channels of one transport, built when needed: a direct one for each scheme, and one for each proxy
    that the environment names."""

    def __init__(self, adapter: HttpxAdapter, *, asynchronous: bool) -> None:
        self._adapter = adapter
        self._prefix = "Async" if asynchronous else ""
        self._backend: type[Any] = AsyncCountedBackend if asynchronous else CountedBackend
        self._context: Any = None
        self._channels: dict[str, Channel] = {}
        self._by_origin: dict[str, Channel] = {}

    def to(self, endpoint: Endpoint, *, fresh: bool = False) -> Channel:
        """Return the channel to `endpoint`; to one on this machine never through a proxy. A `fresh` one keeps
        no connection, so that it opens one for each request; a proxy's keeps its own."""
        if fresh and isinstance(self.to(endpoint), PoolChannel):
            scheme = endpoint.origin.partition(":")[0]
            if f"fresh {scheme}" not in self._channels:
                self._channels[f"fresh {scheme}"] = self._direct(scheme, max_keepalive_connections=0)
            return self._channels[f"fresh {scheme}"]
        channel = self._by_origin.get(endpoint.origin)
        if channel is None:
            channel = self._by_origin[endpoint.origin] = self._choose(endpoint)
        return channel

    def drain(self) -> list[Any]:
        """Forget all pools and return them, for closing; a later request builds new ones."""
        pools = [channel.pool for channel in self._channels.values()]
        self._channels.clear()
        self._by_origin.clear()
        return pools

    def _choose(self, endpoint: Endpoint) -> Channel:
        proxy = None
        if not is_loopback(endpoint.url):
            try:
                proxy = proxy_for(endpoint.url)
            except ConfigError as error:
                raise self._adapter.module.ProxyError(error.what) from None
        name = proxy or endpoint.origin.partition(":")[0]
        if name not in self._channels:
            self._channels[name] = self._proxied(proxy) if proxy else self._direct(name)
        return self._channels[name]

    def _direct(self, scheme: str, **limits: int) -> Channel:
        pool = getattr(self._adapter.core, f"{self._prefix}ConnectionPool")
        if scheme != "https":
            return self._pooled(pool, socket_options=_KEEPALIVE, **limits)
        return self._pooled(pool, socket_options=_KEEPALIVE, ssl_context=self._tls(), **limits)

    def _proxied(self, address: str) -> Channel:
        """Return the channel through the proxy of this address, an HTTP or a SOCKS one."""
        core, proxy = self._adapter.core, self._adapter.module.Proxy(address)
        url = core.URL(str(proxy.url))
        if proxy.url.scheme.startswith("socks"):
            pool = getattr(core, f"{self._prefix}SOCKSProxy")
            return self._pooled(pool, proxy_url=url, proxy_auth=proxy.raw_auth, ssl_context=self._tls())
        return self._pooled(
            getattr(core, f"{self._prefix}HTTPProxy"),
            proxy_url=url,
            proxy_auth=proxy.raw_auth,
            proxy_headers=proxy.headers.raw,
            proxy_ssl_context=proxy.ssl_context,
            ssl_context=self._tls(),
            socket_options=_KEEPALIVE,
        )

    def _pooled(self, pool: Any, **settings: Any) -> Channel:
        """Return a channel into a new pool of the core library."""
        backend = self._backend(self._adapter.core)
        return PoolChannel(self._adapter, pool(retries=0, network_backend=backend, **_LIMITS | settings))

    def _tls(self) -> Any:
        """Return the settings of TLS, which take long to make."""
        if self._context is None:
            self._context = self._adapter.module.create_ssl_context()
        return self._context
