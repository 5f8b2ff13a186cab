"""What `httpx2` and `httpx` have in common, as far as we use it, and how each of them reaches a provider."""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass  # noqa: TID251 - reads the environment as httpx does; sends nothing

from ..core.identity import Endpoint

RawHeaders = list[tuple[bytes, bytes]]


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


class ResponseLike(Protocol):
    """A response of either module whose body has not been read."""

    status_code: int
    headers: HeadersLike
    stream: Any


class Kit:
    """One of the two modules, with what we take from it. `broken` is what a broken connection raises; `not_theirs` are those of
    them that tell nothing about a provider: the request was malformed, or our own pool was full."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.broken: type[Exception] = module.TransportError
        self.not_theirs: tuple[type[Exception], ...] = (module.LocalProtocolError, module.PoolTimeout)
        self.cut: type[Exception] = module.RemoteProtocolError
        self.stream = module.ByteStream
        self._url = lru_cache(maxsize=256)(module.URL)

    def request(self, method: str, url: str, headers: RawHeaders, stream: Any, timeout: dict[str, float | None]) -> RequestLike:
        """A request of ours. Of the caller's extensions only the time-outs go along: others can name another host or target."""
        request: RequestLike = self.module.Request(method, self._url(url), headers=headers, stream=stream, extensions={"timeout": timeout})
        return request

    def response(self, status: int, headers: RawHeaders, body: bytes) -> ResponseLike:
        """A whole response."""
        response: ResponseLike = self.module.Response(status, headers=headers, content=body)
        return response

    def relabel(self, response: ResponseLike, headers: RawHeaders) -> ResponseLike:
        """The same response with these headers."""
        response.headers = self.module.Headers(headers)
        return response


_LIMITS = {"max_connections": 1000, "max_keepalive_connections": 100, "keepalive_expiry": 30.0}
# A model may think for minutes without sending a byte; routers forget connections that are silent that long.
_KEEPALIVE = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
_KEEPALIVE += [(socket.IPPROTO_TCP, getattr(socket, name), 60) for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL") if hasattr(socket, name)]


class Routes:
    """The connection pools of one transport: a direct one, and one per proxy that the environment names. Built when needed."""

    def __init__(self, module: Any, pool: Any) -> None:
        self._module, self._pool = module, pool
        self._pools: dict[str | None, Any] = {}
        self._chosen: dict[str, Any] = {}

    def to(self, endpoint: Endpoint) -> Any:
        """The transport that reaches `endpoint`; one on this machine never through a proxy."""
        chosen = self._chosen.get(endpoint.origin)
        if chosen is None:
            proxy = None if endpoint.is_loopback else _proxy_for(endpoint.url)
            chosen = self._pools.get(proxy)
            if chosen is None:
                limits = self._module.Limits(**_LIMITS)
                chosen = self._pools[proxy] = self._pool(limits=limits, proxy=proxy, retries=0, socket_options=_KEEPALIVE)
            self._chosen[endpoint.origin] = chosen
        return chosen

    def drain(self) -> list[Any]:
        """All pools, for closing; a later request builds new ones."""
        pools = list(self._pools.values())
        self._pools.clear()
        self._chosen.clear()
        return pools


def _proxy_for(url: str) -> str | None:
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
