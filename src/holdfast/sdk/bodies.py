"""The bodies of open answers, for an SDK that reads them and for a conversation that looks into them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

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
        feed, mask = self._stream.feed, self._stream.mask
        try:
            for chunk in self._chunks:
                feed(chunk)
                passed = chunk if mask is None else mask.feed(chunk)
                if passed:
                    yield passed
        except self.adapter.broken as error:
            public = self._stream.broken_by(self.adapter.public(error))
            if public is not None:
                raise public from public.__cause__
            return
        last = self._stream.finish()
        if last:
            yield last

    def close(self) -> None:
        """Close the provider's stream at once, also when it is not at its end."""
        self._source.close()
        self._stream.end_without_fault()


class AsyncBody:
    """The body of an open answer on an event loop."""

    adapter: HttpxAdapter

    def __init__(
        self, read: list[bytes], chunks: AsyncIterator[bytes], source: Any, stream: ResponseStream
    ) -> None:
        self._read, self._chunks, self._source, self._stream = read, chunks, source, stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in filter(None, self._read):
            yield chunk
        feed, mask = self._stream.feed, self._stream.mask
        try:
            async for chunk in self._chunks:
                feed(chunk)
                passed = chunk if mask is None else mask.feed(chunk)
                if passed:
                    yield passed
        except self.adapter.broken as error:
            public = self._stream.broken_by(self.adapter.public(error))
            if public is not None:
                raise public from public.__cause__
            return
        last = self._stream.finish()
        if last:
            yield last

    async def aclose(self) -> None:
        """Close the provider's stream at once, also when it is not at its end."""
        await close_async(self._chunks, self._source)
        self._stream.end_without_fault()


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


async def read_whole_async(chunks: Any, source: Any, limit: int) -> list[bytes]:
    """Do the same on an event loop."""
    pieces, size = [], 0
    async for chunk in chunks:
        pieces.append(chunk)
        size += len(chunk)
        if size > limit:
            return pieces
    await close_async(chunks, source)
    return pieces


async def close_async(chunks: Any, source: Any) -> None:
    """Close a body, and first the generator that iterates over it: event loops other than asyncio's complain
    about a generator that was left open."""
    if hasattr(chunks, "aclose"):
        with contextlib.suppress(RuntimeError):  # another task is reading at this moment
            await chunks.aclose()
    await source.aclose()
