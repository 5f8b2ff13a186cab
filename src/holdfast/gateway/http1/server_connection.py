"""A client's connection: reads one request at a time, strictly, and passes it to a handler.

Any doubt about where a request ends closes the connection.
"""

from __future__ import annotations

import asyncio
import math
from typing import cast

from .body_reader import BodyReader
from .ports import Admission, LocalAnswer, RequestTimeout, RunningRequest, Server
from .request_body import RequestBody
from .request_head import CachedHead, Head, cacheable, split_head
from .turns import SHORT, set_reading
from .upload import Upload

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ServerConnection(BodyReader):
    """A client's connection (`ports.ServedConnection`). `paused`: the client reads more slowly than we
    write."""

    __slots__ = (
        "_admission",
        "_again",
        "_cached",
        "_handler",
        "_unsent",
        "paused",
        "running",
    )

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._handler = server.handler
        self._admission: Admission | None = None
        self._again = False
        self._cached: CachedHead | None = None
        self._unsent = 0
        self.running: RunningRequest | None = None
        self.paused = False

    @property
    def busy(self) -> bool:
        """True while a request is under way."""
        return self._state == self._BUSY or self.running is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.opened(self)
        self._deadline = self._idle_until()
        if self._server.retired:
            self._transport.close()

    # The cause makes no difference.
    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._transport = None
        self._held.clear()
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
        if self._state in (self._HEAD_STATE, self._HELD) and self._transport is not None:
            self._transport.close()

    def expire(self) -> None:
        """Close soon if no request is under way. One that its client sends until then is answered: it may be
        on its way."""
        if self._state in (self._HEAD_STATE, self._HELD):
            self._deadline = min(self._deadline, self._idle_until())

    def forget(self) -> None:
        """Forget the last request, whose head holds a token and perhaps a key; not while it is under way."""
        self._cached = None
        if self._state in (self._HEAD_STATE, self._FULL):
            self._head = None

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
        if self._transport is not None:
            self._keep = False
            self.answer(answer.status, answer.lines, answer.body)
            self._linger(self._transport)

    def finished(self) -> None:
        """Go on to the next request, once the client takes what it has, or close."""
        self.running = None
        if self._transport is None:
            return
        if self._state == self._BODY:  # of an upload that was answered before its end
            self._linger(self._transport)
            return
        self._deadline = self._idle_until()
        if self.paused:
            self._state, self._unsent = self._FULL, self._transport.get_write_buffer_size()
        else:
            self._next()

    @property
    def admitted(self) -> tuple[CachedHead, Admission] | None:
        """The last request's head and the decision about it, if it may be admitted again without being
        read."""
        if self._cached is None or self._admission is None:
            return None
        return self._cached, self._admission

    def begin_again(self, cached: CachedHead, admission: Admission) -> None:
        """Begin a request that is complete, with a head that was admitted before."""
        server = self._server
        if self._cached is None:  # no token may have been shown on this connection yet
            server.unauthenticated.admitted(self, admission, server.loop.time(), alone=True)
        self._cached, self._admission, self._head = cached, admission, cached.head
        self._keep, self._again = cached.head.keep and not server.draining, False
        self._state, self._deadline = self._BUSY, math.inf

    def data_received(self, data: bytes) -> None:
        if self._state == self._HEAD_STATE and not self._held and self._handler.repeats(self, data):
            return
        if self._state == self._HEAD_STATE or (self._state == self._BODY and not self._held):
            self._take(data)
        elif self._state != self._LINGER:
            self._hold(data)

    def _take(self, data: bytes) -> None:
        """Read the next bytes of a head or a body."""
        try:
            if self._state == self._HEAD_STATE:
                data = self._take_head(data)
            if self._state != self._BODY:
                return
            if len(data) <= SHORT or not self._body.chunked:
                self._take_body(data)
            else:
                self._take_pieces(data)
        except Exception as error:
            self._fail(error)

    def _hold(self, data: bytes) -> None:
        """Keep the bytes of the next request until this one is answered, and read no further."""
        self._held += data
        if self in self._server.unauthenticated:
            self._keep = False
            self._held.clear()
        set_reading(self._transport, wanted=False)

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
        admission = self._admission = self._handler.admit(head, again=self._again)
        self._again = admission.unsure
        if admission.unsure:
            self._held[:] = b"%b\r\n\r\n%b" % (block, rest)
            self._state = self._HELD
            set_reading(self._transport, wanted=False)
            self._handler.look_at_tokens(self._go_on)
            return b""
        if not server.unauthenticated.admitted(self, admission, server.loop.time(), alone=not rest):
            self._keep = False
        if admission.refusal is not None:
            self.reject(admission.refusal)
            return b""
        self._expect(head, head.length, admission)
        if isinstance(self._body, Upload):
            self._keep = False  # the answer may come before all of it
            self._handler.handle(self, head, admission, self._body)
        elif admission.repeatable:
            self._cached = cacheable(head)
        return rest

    def _take_again(self, cached: CachedHead, data: bytes) -> bytes | None:
        """Do what `_take_head` does, for a head that this connection's last request had too.

        A client sends the same head again and again, but for its length. Return None where it is another one,
        or where it would not be admitted as before.
        """
        digits, admission = cached.find_length(data), self._admission
        if digits is None or admission is None or not self._handler.still_admits(admission):
            return None
        start, end = digits
        self._keep = cached.head.keep and not self._server.draining
        self._expect(cached.head, int(data[start:end]), admission)
        return data[end + len(cached.after) :]

    def _expect(self, head: Head, length: int, admission: Admission) -> None:
        """Prepare for the body. Raises BodyTooLarge."""
        if admission.streams:
            self._body = Upload(self, length, chunked=head.chunked, most=admission.body_bytes)
        elif isinstance(self._body, RequestBody):  # a connection that carried an upload carries no more
            self._body.begin(length, chunked=head.chunked, most=admission.body_bytes)
        self._state = self._BODY
        if head.expects and self._transport is not None:
            self._transport.write(_CONTINUE)

    def _take_body(self, data: bytes) -> None:
        """Read the body as far as it has come, and pass on the request once it is complete.

        What follows it is read once the request is answered.
        """
        body = self._body.take(data)
        if body is None:
            if self._body.wanted:
                now = self._server.loop.time()
                self._deadline = self._body.clock.deadline(len(data), now, self._limits)
            return
        self._state, self._deadline = self._BUSY, math.inf
        self._held[:0], self._body.rest = self._body.rest, b""
        if self._held:
            self._hold(b"")
        if self.running is None:
            self._handler.handle(self, cast("Head", self._head), self._admission, body)

    def _fail(self, error: Exception) -> None:
        running, self.running = self.running, None
        if running is not None:
            running.client_closed()
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
            self._state = self._HELD  # what is read meanwhile follows it
            self._server.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._transport is not None:
            waiting, self._held = bytes(self._held), bytearray()
            self._state = self._HEAD_STATE
            set_reading(self._transport, wanted=True)
            self.data_received(waiting)
