"""Transports for clients of `httpx2` and `httpx`: they open, read, wait and close as the conversation says, and decide nothing."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from .engine import Engine
from .kit import Kit, RequestLike, Routes
from .tail import Tail
from .talk import Ask, Bounds, Close, Handed, Open, Read, Talk, Wait, converse

DEFAULT_BOUNDS = Bounds()


class Bound(NamedTuple):
    """The two transports of one module: `SyncTransport(engine, session_id, inner=None, bounds=…)`, and the same for async."""

    SyncTransport: type[SyncDriver]
    AsyncTransport: type[AsyncDriver]


@lru_cache(maxsize=4)
def bind(module: Any) -> Bound:
    """The transports for `module`, which is httpx2 or httpx."""
    kit = Kit(module)
    sync_stream = type("SyncTailStream", (SyncTailStream, module.SyncByteStream), {"kit": kit})
    async_stream = type("AsyncTailStream", (AsyncTailStream, module.AsyncByteStream), {"kit": kit})
    return Bound(
        type("SyncTransport", (SyncDriver, module.BaseTransport), {"kit": kit, "tail_stream": sync_stream, "pool": module.HTTPTransport}),
        type("AsyncTransport", (AsyncDriver, module.AsyncBaseTransport), {"kit": kit, "tail_stream": async_stream, "pool": module.AsyncHTTPTransport}),
    )


class _Driver:
    """What both have: for whom they send, and through what. `inner` replaces the connection pools, for tests and special networks."""

    kit: Kit
    tail_stream: Any
    pool: Any

    def __init__(self, engine: Engine, session_id: str, inner: Any = None, *, bounds: Bounds = DEFAULT_BOUNDS) -> None:
        self._engine, self._session, self._inner, self._bounds = engine, session_id, inner, bounds
        self._routes = Routes(self.kit.module, self.pool)

    def _may_read(self, request: RequestLike) -> bool:
        """Whether the request's body may be held in memory: it is there already, or its length is known and small enough."""
        if isinstance(request.stream, self.kit.stream):
            return True
        length = next((value for name, value in request.headers.raw if name.lower() == b"content-length"), b"")
        return length.isdigit() and int(length) <= self._bounds.replay

    def _handed(self, handed: Handed, rest: Any) -> Any:
        if handed.tail is not None:
            handed.response.stream = self.tail_stream(handed.chunks, rest, handed.response.stream, handed.tail)
        return handed.response


class SyncDriver(_Driver):
    """Drives conversations with blocking calls. Safe to use from several threads, as the pools are."""

    def handle_request(self, request: Any) -> Any:
        """Send a request of an SDK on the session's connection. Its URL says only which path, never which host."""
        ask = Ask(request, request.read() if self._may_read(request) else None)
        return self._drive(converse(self.kit, self._engine, self._session, ask, self._bounds))

    def _drive(self, talk: Talk) -> Any:
        response: Any = None
        chunks: Any = None
        got: Any = None
        try:
            op = next(talk)
            while True:
                try:
                    if isinstance(op, Read):
                        got = next(chunks, None)
                    elif isinstance(op, Open):
                        response = (self._inner or self._routes.to(op.endpoint)).handle_request(op.request)
                        got, chunks = response, iter(response.stream)
                    elif isinstance(op, Close):
                        response.stream.close()
                    elif isinstance(op, Wait):
                        time.sleep(op.seconds)
                    else:
                        got = op.exchange.perform()
                except self.kit.broken as error:
                    op = talk.throw(error)
                else:
                    op = talk.send(got)
        except StopIteration as end:
            return self._handed(end.value, chunks)
        except BaseException:
            talk.close()
            if response is not None:
                response.stream.close()
            raise

    def close(self) -> None:
        """Close the connections."""
        for pool in self._routes.drain() if self._inner is None else [self._inner]:
            pool.close()


class AsyncDriver(_Driver):
    """Drives conversations on an event loop, asyncio's or trio's."""

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request of an SDK on the session's connection. Its URL says only which path, never which host."""
        ask = Ask(request, await request.aread() if self._may_read(request) else None)
        return await self._drive(converse(self.kit, self._engine, self._session, ask, self._bounds))

    async def _drive(self, talk: Talk) -> Any:
        response: Any = None
        chunks: Any = None
        got: Any = None
        try:
            op = next(talk)
            while True:
                try:
                    if isinstance(op, Read):
                        got = await anext(chunks, None)
                    elif isinstance(op, Open):
                        response = await (self._inner or self._routes.to(op.endpoint)).handle_async_request(op.request)
                        got, chunks = response, aiter(response.stream)
                    elif isinstance(op, Close):
                        await response.stream.aclose()
                    elif isinstance(op, Wait):
                        await _sleep(op.seconds)
                    else:
                        got = await _in_thread(op.exchange.perform)
                except self.kit.broken as error:
                    op = talk.throw(error)
                else:
                    op = talk.send(got)
        except StopIteration as end:
            return self._handed(end.value, chunks)
        except BaseException:
            talk.close()
            if response is not None:
                await response.stream.aclose()
            raise

    async def aclose(self) -> None:
        """Close the connections."""
        for pool in self._routes.drain() if self._inner is None else [self._inner]:
            await pool.aclose()


class SyncTailStream:
    """The body of an open answer: what was read already, then the rest as it comes."""

    kit: Kit

    def __init__(self, read: list[bytes], chunks: Iterator[bytes], source: Any, tail: Tail) -> None:
        self._read, self._chunks, self._source, self._tail = read, chunks, source, tail

    def __iter__(self) -> Iterator[bytes]:
        yield from self._read
        feed = self._tail.feed
        try:
            for chunk in self._chunks:
                feed(chunk)
                yield chunk
        except self.kit.broken as error:
            raise self._tail.broke(error) from error.__cause__
        last = self._tail.finish()
        if last:
            yield last

    def close(self) -> None:
        """Close the provider's stream at once, wherever it stands."""
        self._source.close()
        self._tail.left()


class AsyncTailStream:
    """The same on an event loop."""

    kit: Kit

    def __init__(self, read: list[bytes], chunks: AsyncIterator[bytes], source: Any, tail: Tail) -> None:
        self._read, self._chunks, self._source, self._tail = read, chunks, source, tail

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._read:
            yield chunk
        feed = self._tail.feed
        try:
            async for chunk in self._chunks:
                feed(chunk)
                yield chunk
        except self.kit.broken as error:
            raise self._tail.broke(error) from error.__cause__
        last = self._tail.finish()
        if last:
            yield last

    async def aclose(self) -> None:
        """Close the provider's stream at once, wherever it stands."""
        await self._source.aclose()
        self._tail.left()


async def _sleep(seconds: float) -> None:
    import anyio  # what both modules stand on; only a request that waits pays for it

    await anyio.sleep(seconds)


async def _in_thread(call: Callable[[], bool]) -> bool:
    import anyio.to_thread

    return await anyio.to_thread.run_sync(call)
