"""Transports for clients of `httpx2` and `httpx`: they open, read, wait and close as the conversation says,
and decide nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from ..wire.conversation import Bounds, Close, Op, Perform, Read, Wait, Whole
from ..wire.ports import Engine, Open
from ..wire.request_head import dialect_of
from ..wire.response_stream import ResponseStream
from .httpx_compat import ChannelTable, HttpxAdapter, RequestLike, TransportChannel
from .responses import SdkHead, SdkRequest, SdkResponse, serve

Serving = Generator[Op, Any, SdkResponse]

DEFAULT_BOUNDS = Bounds()


class Bound(NamedTuple):
    """The two transports of one module: `SyncTransport(engine, session_id, inner=None, bounds=…)`, and the
    same for async."""

    SyncTransport: type[SyncDriver]
    AsyncTransport: type[AsyncDriver]


@lru_cache(maxsize=4)
def bind(module: Any) -> Bound:
    """The transports for `module`, which is httpx2 or httpx."""
    adapter = HttpxAdapter(module)
    sync_stream = type(
        "SyncResponseStream", (SyncResponseStream, module.SyncByteStream), {"adapter": adapter}
    )
    async_stream = type(
        "AsyncResponseStream", (AsyncResponseStream, module.AsyncByteStream), {"adapter": adapter}
    )
    return Bound(
        type(
            "SyncTransport",
            (SyncDriver, module.BaseTransport),
            {"adapter": adapter, "tail_stream": sync_stream},
        ),
        type(
            "AsyncTransport",
            (AsyncDriver, module.AsyncBaseTransport),
            {"adapter": adapter, "tail_stream": async_stream},
        ),
    )


class _Driver:
    """What both have: for whom they send, and through what. `inner` replaces the connection pools, for tests
    and special networks."""

    adapter: HttpxAdapter
    tail_stream: Any
    asynchronous: bool

    def __init__(
        self, engine: Engine, session_id: str, inner: Any = None, *, bounds: Bounds = DEFAULT_BOUNDS
    ) -> None:
        self._engine, self._session, self._bounds = engine, session_id, bounds
        self._inner = TransportChannel(self.adapter, inner) if inner is not None else None
        self._routes = ChannelTable(self.adapter, asynchronous=self.asynchronous)

    def _may_read(self, request: RequestLike) -> bool:
        """Whether the request's body is to be held in memory: it is there already, it names a model, or it is
        known to be small enough."""
        if isinstance(request.stream, self.adapter.stream) or (
            request.method == "POST" and dialect_of(request.url.raw_path.decode("ascii")) is not None
        ):
            return True
        length = next(
            (value for name, value in request.headers.raw if name.lower() == b"content-length"), b""
        )
        return length.isdigit() and int(length) <= self._bounds.replay

    def _handed(self, handed: SdkResponse, rest: Any, source: Any) -> Any:
        stream = (
            handed.chunks[0]
            if handed.tail is None
            else self.tail_stream(handed.chunks, rest, source, handed.tail)
        )
        return self.adapter.response(handed.status, handed.headers, stream, handed.extensions)


class SyncDriver(_Driver):
    """Drives conversations with blocking calls. Safe to use from several threads, as the pools are."""

    asynchronous = False

    def handle_request(self, request: Any) -> Any:
        """Send a request of an SDK on the session's connection. Its URL says only which path, never which
        host."""
        ask = SdkRequest(request, request.read() if self._may_read(request) else None)
        return self._drive(serve(self.adapter, self._engine, self._session, ask, self._bounds))

    def _drive(self, talk: Serving) -> Any:
        source: Any = None
        chunks: Any = None
        got: Any = None
        try:
            op = next(talk)
            while True:
                try:
                    if isinstance(op, Open):
                        way = self._inner or self._routes.to(op.endpoint)
                        opened = way.opened(way.pool.handle_request(way.request(op)))
                        source, chunks = opened.stream, iter(opened.stream)
                        got = SdkHead(opened)
                    elif isinstance(op, Whole):
                        got = _whole(chunks, source, op.limit)
                    elif isinstance(op, Read):
                        got = next(chunks, None)
                    elif isinstance(op, Close):
                        source.close()
                    elif isinstance(op, Wait):
                        time.sleep(op.seconds)
                    elif isinstance(op, Perform):
                        got = op.call()
                except self.adapter.broken as error:
                    op = talk.throw(self.adapter.public(error))
                else:
                    op = talk.send(got)
        except StopIteration as end:
            return self._handed(end.value, chunks, source)
        except BaseException:
            talk.close()
            if source is not None:
                source.close()
            raise

    def close(self) -> None:
        """Close the connections."""
        for pool in self._routes.drain() if self._inner is None else [self._inner.pool]:
            pool.close()


class AsyncDriver(_Driver):
    """Drives conversations on an event loop, asyncio's or trio's."""

    asynchronous = True

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request of an SDK on the session's connection. Its URL says only which path, never which
        host."""
        ask = SdkRequest(request, await request.aread() if self._may_read(request) else None)
        return await self._drive(serve(self.adapter, self._engine, self._session, ask, self._bounds))

    async def _drive(self, talk: Serving) -> Any:
        source: Any = None
        chunks: Any = None
        got: Any = None
        try:
            op = next(talk)
            while True:
                try:
                    if isinstance(op, Open):
                        way = self._inner or self._routes.to(op.endpoint)
                        opened = way.opened(await way.pool.handle_async_request(way.request(op)))
                        source, chunks = opened.stream, aiter(opened.stream)
                        got = SdkHead(opened)
                    elif isinstance(op, Whole):
                        got = await _awhole(chunks, source, op.limit)
                    elif isinstance(op, Read):
                        got = await anext(chunks, None)
                    elif isinstance(op, Close):
                        await _close(chunks, source)
                    elif isinstance(op, Wait):
                        await _sleep(op.seconds)
                    elif isinstance(op, Perform):
                        got = await _in_thread(op.call)
                except self.adapter.broken as error:
                    op = talk.throw(self.adapter.public(error))
                else:
                    op = talk.send(got)
        except StopIteration as end:
            return self._handed(end.value, chunks, source)
        except BaseException:
            talk.close()
            if source is not None:
                await _close(chunks, source)
            raise

    async def aclose(self) -> None:
        """Close the connections."""
        for pool in self._routes.drain() if self._inner is None else [self._inner.pool]:
            await pool.aclose()


class SyncResponseStream:
    """The body of an open answer: what was read already, then the rest as it comes."""

    adapter: HttpxAdapter

    def __init__(self, read: list[bytes], chunks: Iterator[bytes], source: Any, tail: ResponseStream) -> None:
        self._read, self._chunks, self._source, self._tail = read, chunks, source, tail

    def __iter__(self) -> Iterator[bytes]:
        yield from self._read
        feed = self._tail.feed
        try:
            for chunk in self._chunks:
                feed(chunk)
                yield chunk
        except self.adapter.broken as error:
            public = self.adapter.public(error)
            raise self._tail.broke(public) from public.__cause__
        last = self._tail.finish()
        if last:
            yield last

    def close(self) -> None:
        """Close the provider's stream at once, wherever it stands."""
        self._source.close()
        self._tail.left()


class AsyncResponseStream:
    """The same on an event loop."""

    adapter: HttpxAdapter

    def __init__(
        self, read: list[bytes], chunks: AsyncIterator[bytes], source: Any, tail: ResponseStream
    ) -> None:
        self._read, self._chunks, self._source, self._tail = read, chunks, source, tail

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._read:
            yield chunk
        feed = self._tail.feed
        try:
            async for chunk in self._chunks:
                feed(chunk)
                yield chunk
        except self.adapter.broken as error:
            public = self.adapter.public(error)
            raise self._tail.broke(public) from public.__cause__
        last = self._tail.finish()
        if last:
            yield last

    async def aclose(self) -> None:
        """Close the provider's stream at once, wherever it stands."""
        await _close(self._chunks, self._source)
        self._tail.left()


def _whole(chunks: Any, source: Any, limit: int) -> list[bytes]:
    pieces, size = [], 0
    for chunk in chunks:
        pieces.append(chunk)
        size += len(chunk)
        if size > limit:
            return pieces
    source.close()
    return pieces


async def _awhole(chunks: Any, source: Any, limit: int) -> list[bytes]:
    pieces, size = [], 0
    async for chunk in chunks:
        pieces.append(chunk)
        size += len(chunk)
        if size > limit:
            return pieces
    await _close(chunks, source)
    return pieces


async def _close(chunks: Any, source: Any) -> None:
    """Close a body, first what iterates over it: an event loop other than asyncio's complains about forgotten
    generators."""
    if hasattr(chunks, "aclose"):
        with contextlib.suppress(RuntimeError):  # another task is reading at this moment
            await chunks.aclose()
    await source.aclose()


async def _sleep(seconds: float) -> None:
    import anyio  # what both modules stand on; only a request that waits pays for it

    await anyio.sleep(seconds)


async def _in_thread(call: Callable[[], Any]) -> Any:
    import anyio.to_thread

    return await anyio.to_thread.run_sync(call)
