"""The bodies of open answers, for an SDK that reads them and for a conversation that looks into them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Protocol

from ..wire.response_stream import ResponseStream
from .httpx_compat import HttpxAdapter


class SyncBody:
    """The body of an open answer: the chunks that were read already, then the rest as it comes."""

    adapter: HttpxAdapter

    def __init__(
        self, read: list[bytes], chunks: Iterator[bytes], source: Any, stream: ResponseStream
    ) -> None:
        self._read, self._chunks, self._source, self._stream = read, chunks, source, stream

    def __iter__(self) -> Iterator[bytes]:
        yield from filter(None, self._read)
        feed, rewriter = self._stream.feed, self._stream.rewriter
        try:
            for chunk in self._chunks:
                feed(chunk)
                passed = chunk if rewriter is None else rewriter.feed(chunk)
                if passed:
                    yield passed
        except self.adapter.broken as error:
            public = self._stream.broken_by(self.adapter.public(error))
            if public is not None:
                raise public from public.__cause__
        last = self._stream.finish()
        if last:
            yield last

    def close(self) -> None:
        """Close the provider's stream at once, also when it is not at its end."""
        self._source.close()
        self._stream.end_without_fault()


class OpenAnswers(Protocol):
    """Holds the open answers of an event loop, and has it do something soon, from any thread."""

    answers: set[AsyncSource]

    def run_soon(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None: ...


class AsyncSource:
    """The body of an open answer on an event loop as the pool gives it, and the generator `chunks` over it.

    A caller may leave a stream without closing it. Then a loop closes each generator in it that is garbage,
    all at once, and those here would be closed twice. So `pools` hold what is open.
    """

    __slots__ = ("_pools", "_stream", "chunks")

    def __init__(self, stream: Any, pools: OpenAnswers) -> None:
        self._stream, self._pools, self.chunks = stream, pools, aiter(stream)
        pools.answers.add(self)

    async def aclose(self) -> None:
        """Close the provider's stream, then the generator: trio warns of one that was left open."""
        self._pools.answers.discard(self)
        await self._stream.aclose()
        if hasattr(self.chunks, "aclose"):
            with contextlib.suppress(RuntimeError):  # another task is reading at this moment
                await self.chunks.aclose()

    def close_soon(self) -> None:
        """Have the event loop close the provider's stream. Callable from any thread."""
        if self in self._pools.answers:
            self._pools.run_soon(self.aclose)


class AsyncBody:
    """The body of an open answer on an event loop, and its own iterator."""

    adapter: HttpxAdapter

    def __init__(
        self, read: list[bytes], chunks: AsyncIterator[bytes], source: AsyncSource, stream: ResponseStream
    ) -> None:
        self._read, self._chunks, self._source, self._stream = filter(None, read), chunks, source, stream
        self._ended = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self._read:
            return chunk
        if self._ended:
            raise StopAsyncIteration
        feed, rewriter = self._stream.feed, self._stream.rewriter
        try:
            async for chunk in self._chunks:
                feed(chunk)
                passed = chunk if rewriter is None else rewriter.feed(chunk)
                if passed:
                    return passed
        except self.adapter.broken as error:
            self._ended = True
            public = self._stream.broken_by(self.adapter.public(error))
            if public is not None:
                raise public from public.__cause__
        self._ended = True
        last = self._stream.finish()
        if last:
            return last
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Close the provider's stream at once, also when it is not at its end."""
        await self._source.aclose()
        self._stream.end_without_fault()

    def __del__(self) -> None:
        self._source.close_soon()


def read_whole(chunks: Any, source: Any, limit: int) -> list[bytes]:
    """Read a body and close it, or stop once its pieces are larger than `limit`."""
    pieces, size = [], 0
    for chunk in chunks:
        pieces.append(chunk)
        size += len(chunk)
        if size > limit:
            return pieces
    source.close()
    return pieces


async def read_whole_async(source: AsyncSource, limit: int) -> list[bytes]:
    """Do the same on an event loop."""
    pieces, size = [], 0
    async for chunk in source.chunks:
        pieces.append(chunk)
        size += len(chunk)
        if size > limit:
            return pieces
    await source.aclose()
    return pieces
