"""One connection to a provider: sends a request, and reads its answer as it comes.

It does not look at the meaning of an answer.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from .errors import ClosedUnheard, ReadError, RemoteProtocolError
from .framing import CRLF, Chunks, HeaderNames, MalformedMessage
from .limits import HttpLimits
from .ports import OutboundMessage, ResponseSink
from .response_head import ResponseHead

_END, _BARE_END = CRLF + CRLF, b"\n\n"
_LONGEST_HEAD = 256 * 1024


class Owner(Protocol):
    """The pool of a connection, as the connection uses it. `names` returns the action for each header."""

    limits: HttpLimits
    names: HeaderNames
    loop: asyncio.AbstractEventLoop

    def put(self, connection: UpstreamConnection) -> None:
        """Keep a connection that is free."""
        ...

    def forget(self, connection: UpstreamConnection) -> None:
        """Remove a connection that is closed."""
        ...


class UpstreamConnection(asyncio.Protocol):
    """A connection to a provider, which carries one request at a time.

    `born`, `since`: the times when it was opened and when it was last put into its pool, in seconds of the
    loop's clock. `heard`: bytes came since the last check of the time limits. `served`: the number of
    requests that were sent on it.
    """

    __slots__ = (
        "_chunks",
        "_held",
        "_keep",
        "_need",
        "_pool",
        "_sink",
        "_spoke",
        "_state",
        "_transport",
        "born",
        "heard",
        "served",
        "since",
    )

    _HEAD, _LENGTH, _CHUNKED, _CLOSE = range(4)

    def __init__(self, pool: Owner) -> None:
        self._pool = pool
        self._sink: ResponseSink | None = None
        self._transport: asyncio.Transport | None = None
        self._state, self._need = self._HEAD, 0
        self._held = b""
        self._keep = self._spoke = False
        self._chunks: Chunks | None = None
        self.served = 0
        self.born = self.since = 0.0
        self.heard = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(self._pool.limits.high_water)
        self.born = self._pool.loop.time()

    def send(self, sink: ResponseSink, request: OutboundMessage) -> None:
        """Send a request; its answer goes to `sink`."""
        transport = self._transport
        if transport is None:
            raise RuntimeError("the connection is not open")
        self._sink, self._state = sink, self._HEAD
        self._held, self._spoke = b"", False
        self.served += 1
        request.write_to(transport)

    @property
    def usable(self) -> bool:
        """True where another request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def give_back(self) -> None:
        """Return an unused connection to its pool."""
        self._pool.put(self)

    def drop(self) -> None:
        """Close at once, whatever is under way."""
        self._sink = None
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Stop reading, so that the provider waits for a slow reader. Once its answer is complete, the
        connection serves others and is not stopped."""
        if self._sink is not None and self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        sink = self._sink
        if sink is None:  # an answer without a request: no byte of this connection can be trusted any more
            self.drop()
            return
        self.heard = self._spoke = True
        try:
            if self._state == self._HEAD:
                self._read_head(sink, data)
            else:
                self._read_body(sink, data)
        except MalformedMessage as error:
            self.drop()
            sink.failed(RemoteProtocolError(f"the provider's answer is not HTTP: {error.what}"))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        sink, self._sink = self._sink, None
        self._transport = None
        self._pool.forget(self)
        if sink is None:
            return
        if self._state == self._CLOSE and exc is None:
            sink.fed(b"", ended=True)
        elif not self._spoke and self.served > 1 and (exc is None or isinstance(exc, ConnectionError)):
            sink.failed(ClosedUnheard(str(exc or "Server disconnected without sending a response.")))
        elif exc is not None:
            sink.failed(ReadError(str(exc) or type(exc).__name__))
        elif self._state == self._HEAD:
            sink.failed(RemoteProtocolError("Server disconnected without sending a response."))
        else:
            sink.failed(RemoteProtocolError("peer closed connection without sending complete message body"))

    def _read_head(self, sink: ResponseSink, data: bytes) -> None:
        if self._held:
            data = self._held + data
        read = self._final_head(data)
        if read is None:
            return
        head, rest = read
        self._held, self._keep = b"", head.keep
        if head.chunked:
            self._state, self._chunks = self._CHUNKED, Chunks()
        elif head.length is None:
            self._state, self._keep = self._CLOSE, False
        elif len(rest) >= head.length:
            self._hand_whole(sink, head, rest, head.length)
            return
        else:
            self._state, self._need = self._LENGTH, head.length
        sink.answered(head, [], ended=False)
        if rest and self._sink is sink:
            self._read_body(sink, rest)

    def _final_head(self, data: bytes) -> tuple[ResponseHead, bytes] | None:
        """Return the head that is no interim one, and the bytes behind it; None while it is incomplete."""
        while True:
            blank = _blank_line(data)
            end = data.find(blank)
            if end < 0:
                self._hold(data)
                return None
            block = data[:end]
            if blank is _BARE_END:
                block = block.replace(b"\n", CRLF)
            data = data[end + len(blank) :]
            head = ResponseHead(block, self._pool.names)
            if head.status >= 200:
                return head, data
            if head.status == 101:
                raise MalformedMessage("it changed the protocol")

    def _hold(self, data: bytes) -> None:
        """Keep an incomplete head. Raises MalformedMessage where it cannot become a valid one."""
        if len(data) > _LONGEST_HEAD:
            raise MalformedMessage("its head is too long")
        if _BARE_END in data:
            raise MalformedMessage("its head mixes two kinds of line ends")
        self._held = data

    def _hand_whole(self, sink: ResponseSink, head: ResponseHead, body: bytes, length: int) -> None:
        """Pass on an answer that is complete already.

        The connection is free before the answer is read.
        """
        self._state, self._need = self._LENGTH, length
        if len(body) > length:
            self._keep, body = False, body[:length]
        self._release()
        pieces = []
        if body:
            pieces.append(body)
        sink.answered(head, pieces, ended=True)

    def _read_body(self, sink: ResponseSink, data: bytes) -> None:
        ended = False
        if self._state == self._CHUNKED:
            chunks = cast("Chunks", self._chunks)
            pieces = chunks.feed(data)
            ended = chunks.done
            if len(pieces) == 1:
                data = pieces[0]
            else:
                data = b"".join(pieces)
            if ended and chunks.rest:
                self._keep = False
        elif self._state == self._LENGTH:
            if len(data) > self._need:
                self._keep, data = False, data[: self._need]
            self._need -= len(data)
            ended = not self._need
        if ended:
            self._release()
        sink.fed(data, ended=ended)

    def _release(self) -> None:
        """Keep the connection for the next request, if both sides agree, since the answer is complete."""
        self._sink = None
        transport = self._transport
        # An answer may come before all of the request has left: the next one would wait behind its rest.
        if (
            self._keep
            and transport is not None
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        ):
            self._pool.put(self)
        else:
            self.drop()


def _blank_line(data: bytes) -> bytes:
    """Return what ends a head that begins with `data`: some small servers end their lines with LF alone."""
    at = data.find(b"\n")
    if at > 0 and data[at - 1 : at] != b"\r":
        return _BARE_END
    return _END
