"""The body of a request that is passed on as it comes: a file, which may be larger than what is held of any
body."""

from __future__ import annotations

from typing import Protocol

from .framing import BodyTooLarge, Chunks
from .request_body import BodyClock


class Source(Protocol):
    """The client's connection, from which the body is read."""

    def read_on(self, *, wanted: bool) -> None:
        """Read on, or let the client wait."""
        ...


class Sink(Protocol):
    """The provider's connection, to which the body is written."""

    def write(self, data: bytes) -> None: ...
    def abort(self) -> None: ...


class Upload:
    """A body on its way; it takes the place of a `request_body.RequestBody`.

    Nothing is read before `flow_to` says where to, nor while the provider reads too slowly: what came by then
    is held. It is framed as the client framed it. `framing` is the header line that says where it ends.
    `moved`: bytes came since this was last set back. `ended`: all of it was passed on.
    """

    __slots__ = (
        "_chunks",
        "_held",
        "_most",
        "_need",
        "_sink",
        "_size",
        "_source",
        "chunked",
        "clock",
        "ended",
        "framing",
        "moved",
        "rest",
        "wanted",
    )

    def __init__(self, source: Source, length: int, *, chunked: bool, most: int) -> None:
        """Prepare for a body of `length` bytes, or for one in chunks; of at most `most` bytes. Raises
        BodyTooLarge."""
        if length > most:
            raise BodyTooLarge(most)
        self._source, self._sink = source, None
        self._chunks, self._held = Chunks(), b""
        self._need, self._size, self._most, self.rest = length, 0, most, b""
        self.chunked, self.clock = chunked, BodyClock()
        self.framing = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % length
        self.wanted = self.moved = self.ended = False

    _sink: Sink | None

    def take(self, data: bytes) -> bytes | None:
        """Take the next bytes and pass them on. Return b"" once the body is complete.

        Raises BodyTooLarge, and MalformedMessage for what is not framed as HTTP asks.
        """
        self.moved = True
        if not self.chunked:
            data, self.rest = data[: self._need], data[self._need :]
            self._need -= len(data)
            return self._passed(data, done=not self._need)
        piece = b"".join(self._chunks.feed(data))
        self._size += len(piece)
        if self._size > self._most:
            raise BodyTooLarge(self._most)
        framed = b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
        if self._chunks.done:
            self.rest, framed = self._chunks.rest, framed + b"0\r\n\r\n"
        return self._passed(framed, done=self._chunks.done)

    def _passed(self, data: bytes, *, done: bool) -> bytes | None:
        """Pass on the next part, or hold it until somebody takes it."""
        if self._sink is None:
            self._held += data
            if not done:
                self._source.read_on(wanted=False)
        elif data:
            self._sink.write(data)
        self.ended = done
        return b"" if done else None

    def flow_to(self, sink: Sink) -> None:
        """Pass on what came, and from now on all that comes."""
        self._sink, held, self._held = sink, self._held, b""
        if held:
            sink.write(held)
        self.want(wanted=True)

    def want(self, *, wanted: bool) -> None:
        """Read on, or let the client wait until the provider has taken what was written."""
        self.wanted = wanted
        if not self.ended:
            self._source.read_on(wanted=wanted)

    def stop(self) -> None:
        """Pass on no more. The provider's connection is closed where it still waits for the rest."""
        sink, self._sink, self._held = self._sink, None, b""
        if sink is not None and not self.ended:
            sink.abort()

    def drop(self) -> None:
        """Forget what came, since nobody wants it."""
        self._held = b""
