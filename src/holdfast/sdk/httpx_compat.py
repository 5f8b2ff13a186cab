"""The parts of `httpx2` and `httpx` that we use, under common names, and the connection pools of each."""

from __future__ import annotations

import importlib
import socket
import threading
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from ..calls.dialling import AsyncDialler, Dialler
from ..calls.network import Network
from ..calls.tunnelling import AsyncTunnelDialler, TunnelDialler
from ..core.errors import ConfigError
from ..core.identity import Endpoint
from ..secrecy.frames import bare
from ..wire.key_at_send import headers_with_key, send_with
from ..wire.ports import Open, RawHeaders
from ..wire.tunnels import Tunnel, tunnel_of
from .kept_connections import AsyncCountedBackend, CountedBackend, take_was_closed_unheard
from .pool_limits import Limits, sizes

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
    late    those for the end of a call's deadline in a wait: time-outs, for every SDK
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self.core: Any = importlib.import_module(module.__name__.replace("httpx", "httpcore"))
        roots = ("TimeoutException", "NetworkError", "ProtocolError", "ProxyError", "UnsupportedProtocol")
        self._base: type[Exception] = module.TransportError
        self.broken: tuple[type[Exception], ...] = (self._base, *(getattr(self.core, name) for name in roots))
        self.ours: tuple[type[Exception], ...] = (module.LocalProtocolError, module.PoolTimeout)
        self.cut: type[Exception] = module.RemoteProtocolError
        self.late: tuple[type[Exception], ...] = (type("DeadlineTimeout", (module.ReadTimeout,), {}),)
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


class _Ways(NamedTuple):
    """The parts that open connections, blocking or on an event loop."""

    prefix: str
    backend: str
    dialler: type[Any]
    tunnelling: type[Any]
    counted: type[Any]


_BLOCKING = _Ways(
    prefix="",
    backend="SyncBackend",
    dialler=Dialler,
    tunnelling=TunnelDialler,
    counted=CountedBackend,
)
_ASYNCHRONOUS = _Ways(
    prefix="Async",
    backend="AnyIOBackend",
    dialler=AsyncDialler,
    tunnelling=AsyncTunnelDialler,
    counted=AsyncCountedBackend,
)


class ChannelTable:
    """The channels to all endpoints, built when needed: for each scheme, a direct one and one for each proxy
    that the network names, which is given a tunnel to open and no request."""

    def __init__(
        self,
        adapter: HttpxAdapter,
        *,
        asynchronous: bool,
        network: Network | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._adapter, self._network = adapter, network or Network()
        self._ways = _ASYNCHRONOUS if asynchronous else _BLOCKING
        self._limits = sizes(adapter.core, limits)
        self._channels: dict[tuple[str | None, str, bool], Channel] = {}
        self._by_origin: dict[tuple[str, bool], Channel] = {}
        self._lock = threading.Lock()

    def to(self, endpoint: Endpoint, *, fresh: bool = False) -> Channel:
        """Return the channel to `endpoint`; to one on this machine never through a proxy. A `fresh` one keeps
        no connection, so that it opens one for each request; a SOCKS proxy's keeps its own."""
        channel = self._by_origin.get((endpoint.origin, fresh))
        if channel is None:
            with self._lock:
                channel = self._by_origin[endpoint.origin, fresh] = self._choose(endpoint, fresh=fresh)
        return channel

    def drain(self) -> list[Any]:
        """Forget all pools and return them, for closing; a later request builds new ones."""
        channels, self._channels, self._by_origin = self._channels, {}, {}
        return [channel.pool for channel in channels.values()]

    def _choose(self, endpoint: Endpoint, *, fresh: bool) -> Channel:
        try:
            proxy = self._network.proxy_for(endpoint.url)
        except ConfigError as error:
            raise self._adapter.module.ProxyError(error.what) from None
        tunnel = tunnel_of(proxy or "")
        scheme = endpoint.origin.partition(":")[0]
        if proxy is not None and tunnel is None:
            scheme, fresh = "", False
        name = (proxy, scheme, fresh)
        if name not in self._channels:
            self._channels[name] = self._opened(proxy, tunnel, scheme, fresh=fresh)
        return self._channels[name]

    def _opened(self, proxy: str | None, tunnel: Tunnel | None, scheme: str, *, fresh: bool) -> Channel:
        """Return a channel into a new pool of the core library."""
        if proxy is not None and tunnel is None:
            return self._through_socks(proxy)
        core = self._adapter.core
        settings: dict[str, Any] = {**self._limits, "socket_options": _KEEPALIVE}
        if fresh:
            settings["max_keepalive_connections"] = 0
        if scheme == "https":
            settings["ssl_context"] = self._tls()
        dialler = self._ways.dialler(core)
        if tunnel is not None:
            dialler = self._ways.tunnelling(core, tunnel, self._tls() if tunnel.secure else None)
        pool = getattr(core, f"{self._ways.prefix}ConnectionPool")
        return PoolChannel(
            self._adapter, pool(retries=0, network_backend=self._ways.counted(dialler), **settings)
        )

    def _through_socks(self, address: str) -> Channel:
        """Return the channel through the SOCKS proxy of this address. It resolves names itself."""
        core, proxy = self._adapter.core, self._adapter.module.Proxy(address)
        pool = getattr(core, f"{self._ways.prefix}SOCKSProxy")
        return PoolChannel(
            self._adapter,
            pool(
                proxy_url=core.URL(str(proxy.url)),
                proxy_auth=proxy.raw_auth,
                ssl_context=self._tls(),
                retries=0,
                network_backend=self._ways.counted(getattr(core, self._ways.backend)()),
                **self._limits,
            ),
        )

    def _tls(self) -> Any:
        return self._network.tls(self._adapter.module.create_ssl_context)
