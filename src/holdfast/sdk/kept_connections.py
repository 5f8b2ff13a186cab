"""Streams of connections that know whether they were kept from an earlier request, and that write the key
into the head of each.

A provider closes a kept connection when it likes, also at the moment in which the next request leaves on it.
Such a request is sent again on a fresh connection, which the core decides; it must know that no byte of an
answer came.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from ..secrecy.frames import bare
from ..wire.key_at_send import with_key
from ..wire.time_limits import within_deadline


def _in_time(named: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call of the pool's with its time-out shortened to what is left of the
    request's deadline."""
    return named | {"timeout": within_deadline(named.get("timeout"))}


class _Counted:
    """A stream that counts the requests it carries, by writes that follow a read."""

    __slots__ = ("_heard", "_requests", "_stream")

    def __init__(self, stream: Any) -> None:
        self._stream, self._requests, self._heard = stream, 0, True

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    @property
    def was_closed_unheard(self) -> bool:
        """Return whether it carried an earlier request, and no byte has come since the last one."""
        return self._requests > 1 and not self._heard

    def _begin(self) -> None:
        self._requests, self._heard = self._requests + 1, False
        _current.set(self)


_current: ContextVar[_Counted | None] = ContextVar("holdfast_connection", default=None)
"""The stream on which this thread or task sent last."""


def take_was_closed_unheard() -> bool:
    """Return whether the request that this thread or task sent last left on a kept connection and got no byte
    of an answer. Says so once."""
    stream = _current.get()
    _current.set(None)
    return stream is not None and stream.was_closed_unheard


class CountedStream(_Counted):
    """A blocking stream."""

    __slots__ = ()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data: bytes = self._stream.read(max_bytes, within_deadline(timeout))
        if data:
            self._heard = True
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        timeout = within_deadline(timeout)
        if not self._heard:
            self._stream.write(buffer, timeout)
            return
        self._begin()
        try:
            self._stream.write(with_key(buffer), timeout)
            return
        except BaseException as error:
            failed = bare(error)
        raise failed

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *args: Any, **named: Any) -> CountedStream:
        return CountedStream(self._stream.start_tls(*args, **_in_time(named)))


class AsyncCountedStream(_Counted):
    """A stream on an event loop."""

    __slots__ = ()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        data: bytes = await self._stream.read(max_bytes, within_deadline(timeout))
        if data:
            self._heard = True
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        timeout = within_deadline(timeout)
        if not self._heard:
            await self._stream.write(buffer, timeout)
            return
        self._begin()
        try:
            await self._stream.write(with_key(buffer), timeout)
            return
        except BaseException as error:
            failed = bare(error)
        raise failed

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(self, *args: Any, **named: Any) -> AsyncCountedStream:
        return AsyncCountedStream(await self._stream.start_tls(*args, **_in_time(named)))


class CountedBackend:
    """Opens blocking streams through a dialler."""

    def __init__(self, dialler: Any) -> None:
        self._backend = dialler

    def connect_tcp(self, *args: Any, **named: Any) -> CountedStream:
        return CountedStream(self._backend.connect_tcp(*args, **_in_time(named)))


class AsyncCountedBackend:
    """Opens streams on asyncio's loop or on trio's, through a dialler."""

    def __init__(self, dialler: Any) -> None:
        self._backend = dialler

    async def connect_tcp(self, *args: Any, **named: Any) -> AsyncCountedStream:
        return AsyncCountedStream(await self._backend.connect_tcp(*args, **_in_time(named)))
