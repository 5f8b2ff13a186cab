"""Collects the body of a request, whose bytes come in any pieces."""

from __future__ import annotations

from .framing import LONG_BODIES, BodyBuffer, BodyTooLarge, Chunks
from .limits import HttpLimits

_SMALL = 4 * 1024
_GATHERED = 64 * 1024
"""Bytes of small pieces that are kept as one object: a client may send a body byte by byte."""


class BodyClock:
    """The time that a body may take: each piece of it gives more, as long as they do not drip. `since` is
    when it began, moved on by each piece; 0 before the first."""

    __slots__ = ("since",)

    def __init__(self) -> None:
        self.since = 0.0

    def deadline(self, received: int, now: float, limits: HttpLimits) -> float:
        """Return when the piece after one of `received` bytes has to come, which came `now`."""
        self.since = (self.since or now) + received / limits.slowest
        return min(now, self.since) + limits.body


class RequestBody:
    """The body of the request that is being read.

    `chunked`: it comes in chunks. `size` is its number of bytes so far, or its whole length where that is
    announced. `rest` is what followed it. More of it is always `wanted`.
    """

    wanted = True

    __slots__ = ("_buffer", "_chunks", "_most", "_need", "_pieces", "chunked", "clock", "rest", "size")

    def __init__(self) -> None:
        self._pieces: list[bytes | bytearray] = []
        self._buffer: BodyBuffer | None = None
        self._chunks: Chunks | None = None
        self._most = self._need = self.size = 0
        self.chunked, self.rest = False, b""
        self.clock = BodyClock()

    def begin(self, length: int, *, chunked: bool, most: int) -> None:
        """Prepare for the next body: one of `length` bytes, or one in chunks.

        It may have `most` bytes. Raises BodyTooLarge.
        """
        if length > most:
            raise BodyTooLarge(most)
        self._need = self.size = length
        self._most, self.chunked, self.rest = most, chunked, b""
        if chunked:
            self._chunks = Chunks()
        self.clock.since = 0.0

    def drop(self) -> None:
        """Forget what came, since nobody wants it."""
        self._pieces, self._buffer = [], None

    def take(self, data: bytes) -> bytes | None:
        """Take the next bytes. Return the body once it is complete.

        Raises BodyTooLarge, and MalformedMessage for what is not framed as HTTP asks.
        """
        if self.chunked:
            return self._take_chunks(data)
        need = self._need
        if len(data) < need:
            self._take_part(data)
            return None
        if len(data) > need:
            data, self.rest = data[:need], data[need:]
        if not self._pieces and self._buffer is None:
            return data
        if self._buffer is not None:
            body, self._buffer = self._buffer.whole(data), None
            return body
        self._pieces.append(data)
        return self._joined()

    def _take_part(self, data: bytes) -> None:
        """Keep a piece of a body of known length that goes on."""
        if self._buffer is not None or (self._need in LONG_BODIES and not self._pieces):
            self._buffer = self._buffer or BodyBuffer()
            self._buffer.add(data)
        elif data:
            self._keep(data)
        self._need -= len(data)

    def _take_chunks(self, data: bytes) -> bytes | None:
        chunks = self._chunks
        if chunks is None:
            raise RuntimeError("no body has begun")
        piece = b"".join(chunks.feed(data))
        self._keep(piece)
        self.size += len(piece)
        if self.size > self._most:
            raise BodyTooLarge(self._most)
        if not chunks.done:
            return None
        self.rest = chunks.rest
        return self._joined()

    def _keep(self, data: bytes) -> None:
        pieces = self._pieces
        last = pieces[-1] if pieces else None
        if type(last) is bytearray and len(last) < _GATHERED:
            last += data
        elif len(data) < _SMALL:
            pieces.append(bytearray(data))
        else:
            pieces.append(data)

    def _joined(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
