"""One connection to a provider: sends a request, and reads its answer as it comes.

It does not look at the meaning of an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from .errors import ClosedUnheard, ReadError, RemoteProtocolError
from .framing import Chunks, MalformedMessage
from .pool_owner import Owner
from .ports import OutboundMessage, ResponseSink
from .response_head import HeadReader, ResponseHead
from .turns import LONG, SHORT, CodedBody, piece_end, set_reading


class UpstreamConnection(asyncio.Protocol):
    """A connection to a provider, which carries one request at a time.

    `born`, `since`: the times when it was opened and when it was last put into its pool, in seconds of the
    loop's clock. `heard`: bytes came since the last check of the time limits. `served`: the number of
    requests that were sent on it. `_whole` is asked first whether it takes what comes as a whole answer.
    `_left` is what was received and waits for its turn, from `_at` on; of a
    compressed body (`_coded`) a part waits behind its framing, too.
    """

    __slots__ = (
        "_at",
        "_chunks",
        "_coded",
        "_heads",
        "_keep",
        "_left",
        "_lost",
        "_need",
        "_pool",
        "_short",
        "_sink",
        "_spoke",
        "_state",
        "_stopped",
        "_transport",
        "_whole",
        "born",
        "heard",
        "served",
        "since",
    )

    _HEAD, _LENGTH, _CHUNKED, _CLOSE = range(4)

    def __init__(self, pool: Owner) -> None:
        self._pool = pool
        self._sink: ResponseSink | None = None
        self._whole: Callable[[bytes], bool] | None = None
        self._transport: asyncio.Transport | None = None
        self._state, self._need = self._HEAD, 0
        self._heads = HeadReader(pool.names)
        self._left, self._at, self._short = b"", 0, SHORT
        self._keep = self._spoke = self._stopped = False
        self._lost: tuple[Exception | None] | None = None
        self._chunks: Chunks | None = None
        self._coded: CodedBody | None = None
        self.served = 0
        self.born = self.since = 0.0
        self.heard = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(self._pool.limits.high_water)
        self.born = self._pool.loop.time()

    def send(
        self, sink: ResponseSink, request: OutboundMessage, whole: Callable[[bytes], bool] | None = None
    ) -> None:
        """Send a request; its answer goes to `sink`, unless the first bytes of it are taken as all of it by
        `whole`, which calls `free` then."""
        transport = self._transport
        if transport is None:
            raise RuntimeError("the connection is not open")
        self._sink, self._whole, self._state = sink, whole, self._HEAD
        self._spoke, self._short, self._coded = False, SHORT, None
        self.served += 1
        request.write_to(transport)

    @property
    def usable(self) -> bool:
        """True where another request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def hand_over(self, sink: ResponseSink) -> None:
        """Let what is left of the answer, if anything is, go to another sink."""
        self._sink, self._whole = self._sink and sink, None

    def free(self) -> None:
        """Serve other requests, since all of the answer was taken."""
        self._keep = True
        self._release()

    def give_back(self) -> None:
        """Return an unused connection to its pool."""
        self._pool.put(self)

    def drop(self) -> None:
        """Close at once, whatever is under way."""
        self._sink, self._left, self._coded = None, b"", None
        if self._transport is not None:
            self._transport.abort()

    @property
    def _waits(self) -> bool:
        """True while something that was received waits for its turn."""
        return bool(self._left) or (self._coded is not None and bool(self._coded.left))

    def pause(self) -> None:
        """Stop reading, so that the provider waits for a slow reader. Once its answer is complete, the
        connection serves others and is not stopped."""
        if self._sink is not None:
            self._stopped = True
            set_reading(self._transport, wanted=False)

    def resume(self) -> None:
        """Read on."""
        self._stopped = False
        if self._waits:
            self._pool.turns.wait(self)
        else:
            set_reading(self._transport, wanted=True)

    def data_received(self, data: bytes) -> None:
        if self._sink is None:  # an answer without a request: no byte of it can be trusted any more
            self.drop()
            return
        self.heard = self._spoke = True
        whole, self._whole = self._whole, None
        if whole is not None and len(data) <= LONG and not self._stopped and whole(data):
            return
        if len(data) <= self._short and not self._left and not self._stopped:
            self._take(data)
            return
        self._left, self._at = self._left[self._at :] + data, 0
        self._take_pieces()

    def _take_pieces(self) -> None:
        """Take what waits as far as this turn's time allows, and read no further before the rest is taken."""
        while self._waits and not self._stopped and self._pool.turns.has_time():
            self._take(self._next_piece())
        if self._waits:
            set_reading(self._transport, wanted=False)
            self._pool.turns.wait(self)

    def take_turn(self) -> bool:
        """Take the next piece of what was received. Return whether more can be taken."""
        if self._stopped or not self._waits:
            return False
        self.heard = True
        self._take(self._next_piece())
        if self._waits:
            return not self._stopped
        if self._lost is not None:
            self._end(self._lost[0])
        elif not self._stopped:
            set_reading(self._transport, wanted=True)
        return False

    def _next_piece(self) -> bytes:
        if self._coded is not None and self._coded.left:
            return b""
        left, start = self._left, self._at
        self._at = piece_end(left, start)
        if self._at >= len(left):
            self._left = b""
        return left[start : self._at]

    def _take(self, data: bytes) -> None:
        """Read the next bytes of the answer."""
        sink = self._sink
        if sink is None:
            self.drop()
            return
        try:
            if self._state == self._HEAD:
                self._read_head(sink, data)
            else:
                self._read_body(sink, data)
        except MalformedMessage as error:
            self.drop()
            sink.failed(RemoteProtocolError(f"the provider's answer is not HTTP: {error.what}"))
        except Exception:
            self._left, self._coded = b"", None
            if self._transport is not None:
                self._transport.abort()
            raise

    def pause_writing(self) -> None:
        if self._sink is not None:
            self._sink.upstream_is_full(full=True)

    def resume_writing(self) -> None:
        if self._sink is not None:
            self._sink.upstream_is_full(full=False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._pool.forget(self)
        if self._waits:
            self._lost = (exc,)  # what was received before comes first
        else:
            self._end(exc)

    def _end(self, exc: Exception | None) -> None:
        """Report the end of the connection, by an error or in order, to who waits for an answer."""
        sink, self._sink = self._sink, None
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
        read = self._heads.read(data)
        if read is None:
            return
        head, rest = read
        self._keep = head.keep
        if head.coding:
            self._short, self._coded = 0, CodedBody()
        if head.chunked:
            self._state, self._chunks = self._CHUNKED, Chunks()
        elif head.length is None:
            self._state, self._keep = self._CLOSE, False
        elif len(rest) >= head.length and not (head.coding and head.length):
            self._hand_whole(sink, head, rest, head.length)
            return
        else:
            self._state, self._need = self._LENGTH, head.length
        sink.answered(head, [], ended=False)
        if rest and self._sink is not None:  # it may have handed over to another one
            self._read_body(self._sink, rest)
            if self._coded is not None:
                self._take_pieces()

    def _hand_whole(self, sink: ResponseSink, head: ResponseHead, body: bytes, length: int) -> None:
        """Pass on an answer that is complete already.

        The connection is free before the answer is read.
        """
        self._state, self._need = self._LENGTH, length
        if len(body) > length:
            self._keep, body = False, body[:length]
        self._release()
        sink.answered(head, [body] if body else [], ended=True)

    def _read_body(self, sink: ResponseSink, data: bytes) -> None:
        """Pass on the next part of the body; where `data` is empty, of what waits behind its framing."""
        ended, coded = False, self._coded
        if self._state == self._CHUNKED:
            chunks = cast("Chunks", self._chunks)
            pieces = chunks.feed(data)
            ended = chunks.done
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if ended and chunks.rest:
                self._keep = False
        elif self._state == self._LENGTH:
            if len(data) > self._need:
                self._keep, data = False, data[: self._need]
            self._need -= len(data)
            ended = not self._need
        if coded is not None:
            coded.add(data, ended=ended)
            data, ended = coded.next_piece()
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
            and not self._left
            and transport is not None
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        ):
            self._pool.put(self)
        else:
            self.drop()
