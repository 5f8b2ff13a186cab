"""Reads the body of a client's request: a long one in chunks by turns, an upload as it is passed on."""

from __future__ import annotations

import asyncio
import math

from .ports import Server
from .request_body import RequestBody
from .response_writer import ResponseWriter
from .turns import piece_end, set_reading
from .upload import Upload


class BodyReader(ResponseWriter):
    """The part of a client's connection that reads bodies. `_held` are bytes that wait for their turn, or for
    the next request."""

    __slots__ = ("_body", "_deadline", "_held", "_limits", "_server", "_state")

    # The states: reading a head; reading a body; a request is under way; its answer waits for a slow reader;
    # the bytes of the next request wait for the next turn of the loop; the connection ends.
    _HEAD_STATE, _BODY, _BUSY, _FULL, _HELD, _LINGER = range(6)

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server, self._limits = server, server.limits
        self._state = self._HEAD_STATE
        self._held = bytearray()
        self._body: RequestBody | Upload = RequestBody()
        self._deadline = 0.0

    def _take_body(self, data: bytes) -> None:
        """Read the body as far as it has come."""
        raise NotImplementedError

    def _fail(self, error: Exception) -> None:
        """Refuse the request because of an error."""
        raise NotImplementedError

    def take_turn(self) -> bool:
        """Take the next piece of a chunked body. Return whether more can be taken."""
        if self._waits:
            try:
                self._take_body(self._next_piece())
            except Exception as error:
                self._fail(error)
        if not self._held and self._body.wanted:
            set_reading(self._transport, wanted=True)
        return self._waits

    @property
    def _waits(self) -> bool:
        """True while a part of a chunked body waits for its turn."""
        return bool(self._held) and self._state == self._BODY

    def _take_pieces(self, data: bytes) -> None:
        """Take a long part of a chunked body, as far as this turn's time allows: its chunks may be very
        small."""
        self._held += data
        turns = self._server.turns
        while self._waits and turns.has_time():
            self._take_body(self._next_piece())
        if self._waits:
            set_reading(self._transport, wanted=False)
            turns.wait(self)

    def _next_piece(self) -> bytes:
        held = self._held
        piece = bytes(held[: piece_end(held, 0)])
        del held[: len(piece)]
        return piece

    def read_on(self, *, wanted: bool) -> None:
        """Read the rest of an upload, or let the client wait."""
        if self._state == self._BODY:
            self._deadline = self._server.loop.time() + self._limits.body if wanted else math.inf
            set_reading(self._transport, wanted=wanted and not self._held)

    def _idle_until(self) -> float:
        """Return the loop's time until which the connection may be idle."""
        limits, server = self._limits, self._server
        return server.loop.time() + (limits.last_idle if server.draining else limits.idle)

    def _linger(self, transport: asyncio.Transport) -> None:
        """Read and drop what still comes, until the client has had its time."""
        self._state, self._head = self._LINGER, None  # what was refused is not held
        self._body.drop()
        self._held.clear()
        set_reading(transport, wanted=True)
        self._deadline = self._server.loop.time() + self._limits.linger
        if transport.can_write_eof():
            transport.write_eof()
