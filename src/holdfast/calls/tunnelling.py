"""Opens connections through the tunnels of HTTP proxies, also for http://: a proxy is sent no request of ours
and so no key. It resolves the host's name itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..wire.tunnels import Tunnel

if TYPE_CHECKING:
    import ssl

_SECONDS = 60.0
"""For a tunnel, where the caller sets no time limit."""


class _Common:
    """The common part of both: the core library of the pool, and a proxy. `context` has the TLS settings for
    a proxy that wants TLS itself."""

    def __init__(self, core: Any, tunnel: Tunnel, context: ssl.SSLContext | None) -> None:
        self._core, self._tunnel, self._context = core, tunnel, context
        self._broken = (core.NetworkError, core.TimeoutException, TimeoutError)

    def _check(self, head: bytes) -> None:
        why = self._tunnel.refusal(head)
        if why:
            raise self._core.ProxyError(why)

    def _error(self, error: Exception) -> Exception:
        """Return an error of a connection to the proxy as one of the proxy."""
        broken: Exception = self._core.ProxyError(f"the proxy {self._tunnel.host} cannot be used: {error}")
        return broken


class TunnelDialler(_Common):
    """Opens blocking streams through a proxy."""

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Any:
        """Return a stream to a host. Raises the core library's ProxyError."""
        seconds = timeout or _SECONDS
        try:
            stream = self._core.SyncBackend().connect_tcp(
                self._tunnel.host, self._tunnel.port, seconds, **options
            )
            return self._asked(stream, host, port, seconds)
        except self._broken as error:
            raise self._error(error) from error

    def _asked(self, stream: Any, host: str, port: int, seconds: float) -> Any:
        """Return a stream to the proxy as one to the host."""
        ends_at, head = time.monotonic() + seconds, b""
        try:
            if self._tunnel.secure:
                stream = stream.start_tls(self._context, self._tunnel.host, seconds)
            stream.write(self._tunnel.request(host, port), seconds)
            while self._tunnel.wants_more(head):
                # One byte at a time: what is behind the head belongs to the tunnel.
                byte = stream.read(1, max(0.001, ends_at - time.monotonic()))
                if not byte:
                    break
                head += byte
            self._check(head)
        except BaseException:
            stream.close()
            raise
        return stream


class AsyncTunnelDialler(_Common):
    """Opens streams through a proxy on asyncio's loop or on trio's."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the pool calls it so
        **options: Any,
    ) -> Any:
        """Return a stream to a host. Raises the core library's ProxyError."""
        import anyio

        seconds = timeout or _SECONDS
        try:
            with anyio.fail_after(seconds):
                stream = await self._core.AnyIOBackend().connect_tcp(
                    self._tunnel.host, self._tunnel.port, seconds, **options
                )
                return await self._asked(stream, host, port, seconds)
        except self._broken as error:
            raise self._error(error) from error

    async def _asked(self, stream: Any, host: str, port: int, seconds: float) -> Any:
        """Return a stream to the proxy as one to the host."""
        head = b""
        try:
            if self._tunnel.secure:
                stream = await stream.start_tls(self._context, self._tunnel.host, seconds)
            await stream.write(self._tunnel.request(host, port), seconds)
            while self._tunnel.wants_more(head):
                byte = await stream.read(1, seconds)
                if not byte:
                    break
                head += byte
            self._check(head)
        except BaseException:
            await stream.aclose()
            raise
        return stream
