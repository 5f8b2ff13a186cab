"""A client's connection: reads one request at a time, strictly, and passes it to a handler.

Any doubt about where a request ends closes the connection.
"""

from __future__ import annotations

import asyncio
import math
from typing import cast

from .framing import LONG_BODIES, BodyBuffer, BodyTooLarge, Chunks
from .ports import Admission, LocalAnswer, RequestTimeout, RunningRequest, Server
from .request_head import CachedHead, Head, cacheable, split_head
from .response_writer import ResponseWriter

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ServerConnection(ResponseWriter):
    """A client's connection (`ports.ServedConnection`). `paused`: the client reads more slowly than we
    write."""

    __slots__ = (
        "_admission",
        "_body",
        "_buffer",
        "_cached",
        "_chunks",
        "_deadline",
        "_handler",
        "_held",
        "_limits",
        "_longest",
        "_need",
        "_server",
        "_state",
        "_unsent",
        "paused",
        "running",
    )

    # The states: reading a head; reading a body; a request is under way; its answer waits for a slow reader;
    # the connection ends.
    _HEAD_STATE, _BODY, _BUSY, _FULL, _LINGER = range(5)

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server, self._handler, self._limits = server, server.handler, server.limits
        self._state = self._HEAD_STATE
        self._held = bytearray()
        self._admission: Admission | None = None
        self._cached: CachedHead | None = None
        self._need, self._longest = 0, self._limits.body_bytes
        self._body: list[bytes] = []
        self._buffer: BodyBuffer | None = None
        self._chunks: Chunks | None = None
        self._deadline = 0.0
        self._unsent = 0
        self.running: RunningRequest | None = None
        self.paused = False

    @property
    def busy(self) -> bool:
        """True while a request is under way."""
        return self._state == self._BUSY

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.opened(self)
        self._deadline = self._server.loop.time() + self._limits.idle
        if self._server.draining:
            self._transport.close()

    # The cause makes no difference.
    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        self._server.closed(self)
        running, self.running = self.running, None
        if running is not None:
            running.client_closed()

    def eof_received(self) -> bool:
        # A client that closes its sending side has left: returning False closes the connection.
        return False

    def pause_writing(self) -> None:
        self.paused = True
        if self.running is not None:
            self.running.pause()

    def resume_writing(self) -> None:
        self.paused = False
        if self.running is not None:
            self.running.resume()
        elif self._state == self._FULL:
            self._next()

    def retire(self) -> None:
        """Take no further request; close at once if none is under way, also where a head is incomplete."""
        self._keep = False
        if self._state == self._HEAD_STATE and self._transport is not None:
            self._transport.close()

    def look(self, now: float) -> None:
        """Check the time limits. `now` is the loop's time in seconds."""
        if self.running is not None:
            self.running.look(now)
        if now < self._deadline or self._transport is None:
            return
        if self._state == self._BODY or (self._state == self._HEAD_STATE and self._held):
            self._fail(RequestTimeout())
        elif self._state != self._BUSY:
            before, self._unsent = self._unsent, self._transport.get_write_buffer_size()
            if not 0 < self._unsent < before:
                self._transport.abort()
                return
            self._deadline = now + self._limits.idle  # a slow reader, but it reads

    def reject(self, answer: LocalAnswer) -> None:
        """Answer a request whose rest is not wanted.

        The connection is closed once the client has had time to read why (RFC 9112 9.6).
        """
        if self._transport is None:
            return
        self._keep, self._state, self._body = False, self._LINGER, []
        self._held.clear()
        self.answer(answer.status, answer.lines, answer.body)
        self._head = None  # what was refused is not held
        self._deadline = self._server.loop.time() + self._limits.linger
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def finished(self) -> None:
        """Go on to the next request, once the client takes what it has, or close."""
        self.running = None
        if self._transport is None:
            return
        self._deadline = self._server.loop.time() + self._limits.idle
        if self.paused:
            self._state, self._unsent = self._FULL, self._transport.get_write_buffer_size()
        else:
            self._next()

    def data_received(self, data: bytes) -> None:
        if self._state == self._LINGER:
            return
        if self._state in (self._BUSY, self._FULL):
            self._hold(data)
            return
        try:
            while data and self._state in (self._HEAD_STATE, self._BODY):
                if self._state == self._HEAD_STATE:
                    data = self._take_head(data)
                else:
                    data = self._take_body(data)
        except Exception as error:
            self._fail(error)
            return
        if data and self._state in (self._BUSY, self._FULL):
            self._hold(data)

    def _hold(self, data: bytes) -> None:
        """Keep the bytes of the next request until this one is answered, and read no further."""
        if self._transport is None:
            return
        self._keep = self._keep and self not in self._server.unauthenticated
        if self._keep:
            self._held += data
        self._transport.pause_reading()

    def _take_head(self, data: bytes) -> bytes:
        """Read a head as far as it has come. Return the bytes that follow it."""
        if self._cached is not None and not self._held:
            rest = self._take_again(self._cached, data)
            if rest is not None:
                return rest
        limits, server = self._limits, self._server
        begins = not self._held
        whole = split_head(self._held, data, limits.head_bytes)
        if whole is None:
            if begins and self._held:
                self._deadline = server.loop.time() + limits.head
            server.unauthenticated.spoke(self, server.loop.time())
            return b""
        block, rest = whole
        self._head = None  # a head that cannot be read is not answered as the one before
        head = self._head = Head(block, limits.header_count, limits.target_bytes, server.header_names)
        self._keep = head.keep and not server.draining
        self._cached = None
        admission = self._admission = self._handler.admit(head)
        self._longest = admission.body_bytes
        if not server.unauthenticated.admitted(self, admission, server.loop.time(), alone=not rest):
            self._keep = False
        if admission.refusal is not None:
            self.reject(admission.refusal)
            return b""
        self._expect(head, head.length)
        if admission.repeatable:
            self._cached = cacheable(head)
        return self._take_body(rest)

    def _take_again(self, cached: CachedHead, data: bytes) -> bytes | None:
        """Do what `_take_head` does, for a head that this connection's last request had too.

        A client sends the same head again and again, but for its length. Return None where it is another one,
        or where it would not be admitted as before.
        """
        digits = cached.find_length(data)
        if digits is None or not self._handler.still_admits(self._admission):
            return None
        start, end = digits
        self._keep = cached.head.keep and not self._server.draining
        self._expect(cached.head, int(data[start:end]))
        return self._take_body(data[end + len(cached.after) :])

    def _expect(self, head: Head, length: int) -> None:
        """Prepare for the body. Raises MalformedMessage where it is too long."""
        if length > self._longest:
            raise BodyTooLarge(self._longest)
        self._state, self._need, self._chunks = self._BODY, length, None
        if head.chunked:
            self._chunks, self._need = Chunks(), 0
        if head.expects and self._transport is not None:
            self._transport.write(_CONTINUE)

    def _take_body(self, data: bytes) -> bytes:
        """Read the body as far as it has come, and pass on the request once it is complete.

        Return the bytes that follow it.
        """
        if self._chunks is not None:
            if not self._take_chunks(self._chunks, data):
                return b""
            rest = self._chunks.rest
        elif len(data) < self._need:
            self._take_part(data)
            return b""
        else:
            rest = b""
            if len(data) > self._need:
                data, rest = data[: self._need], data[self._need :]
            self._body.append(data)
        pieces = self._body
        if self._buffer is not None:
            body = self._buffer.whole(pieces[0])
        elif len(pieces) == 1:
            body = pieces[0]
        else:
            body = b"".join(pieces)
        self._body, self._buffer = [], None
        self._state, self._deadline = self._BUSY, math.inf
        self._handler.handle(self, cast("Head", self._head), self._admission, body)
        return rest

    def _take_part(self, data: bytes) -> None:
        """Keep a piece of a body of known length that goes on."""
        if self._buffer is not None or (self._need in LONG_BODIES and not self._body):
            self._buffer = self._buffer or BodyBuffer()
            self._buffer.add(data)
        elif data:
            self._body.append(data)
        self._need -= len(data)
        self._deadline = self._server.loop.time() + self._limits.body

    def _take_chunks(self, chunks: Chunks, data: bytes) -> bool:
        """Keep a piece of a chunked body. Return whether it was the last."""
        pieces = chunks.feed(data)
        # One object for all of them: a client may send a body in very small pieces.
        self._body.append(b"".join(pieces))
        self._need += len(self._body[-1])
        if self._need > self._longest:
            raise BodyTooLarge(self._longest)
        if not chunks.done:
            self._deadline = self._server.loop.time() + self._limits.body
        return chunks.done

    def _fail(self, error: Exception) -> None:
        if self._transport is not None:
            self.reject(self._handler.answer_to(error, self._admission))

    def _next(self) -> None:
        if self._transport is None:
            return
        if not self._keep:
            self._state, self._unsent = self._LINGER, self._transport.get_write_buffer_size()
            self._transport.close()
            return
        self._state = self._HEAD_STATE
        if self._held:
            waiting = bytes(self._held)
            self._held.clear()
            self._server.loop.call_soon(self._go_on, waiting)

    def _go_on(self, waiting: bytes) -> None:
        if self._transport is not None:
            self._transport.resume_reading()
            self.data_received(waiting)
