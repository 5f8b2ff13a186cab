"""Shares the turns of an event loop among the connections that have received much at once, so that nobody who
sends without a pause lets the others wait.

Most reads are short and are taken as they come. A longer one is cut into pieces: what the turn's time allows
is taken at once, and the rest waits, with its connection paused, for the next turns, each connection's piece
in its order.
"""

from __future__ import annotations

import time
from asyncio import AbstractEventLoop, Transport
from collections.abc import Callable
from typing import Protocol

from ...wire.decoding import Inflater

SHORT = 2 * 1024
"""Bytes that are always taken at once: even when each line of them costs, they cost 2 milliseconds."""
LONG = 16 * 1024
"""Bytes of few lines that are taken at once."""
_MANY_LINES = 64
"""Lines in a long piece up to which it costs no more than a short one of short lines."""
_SECONDS = 0.001
"""The time that long reads may take in one turn, all connections together."""


class Member(Protocol):
    """A connection with bytes that wait for their turn."""

    def take_turn(self) -> bool:
        """Take the next piece. Return whether more can be taken."""
        ...


class Turns:
    """The turns of one event loop. `clock` returns seconds."""

    __slots__ = ("_clock", "_end", "_waiting", "loop")

    def __init__(self, loop: AbstractEventLoop, clock: Callable[[], float] = time.perf_counter) -> None:
        self.loop, self._clock = loop, clock
        self._waiting: dict[Member, None] = {}
        self._end: float | None = None

    def has_time(self) -> bool:
        """Return whether another piece may be taken in this turn."""
        if self._end is not None:
            return self._clock() < self._end
        self._end = self._clock() + _SECONDS
        self.loop.call_soon(self._next)
        return True

    def wait(self, member: Member) -> None:
        """Let a connection take its pieces in the next turns."""
        self._waiting[member] = None
        if self._end is None:
            self.has_time()

    def _next(self) -> None:
        """Begin a turn: let each connection that waits take a piece, again and again, while time is left."""
        waiting = self._waiting
        if not waiting:
            self._end = None
            return
        self.loop.call_soon(self._next)
        self._end = self._clock() + _SECONDS
        while waiting:
            member = next(iter(waiting))
            del waiting[member]
            if member.take_turn():
                waiting[member] = None
            if self._clock() >= self._end:
                return


def piece_end(data: bytes | bytearray, start: int) -> int:
    """Return where the next piece of `data` ends, which begins at `start`: after `SHORT` bytes, or after more
    where they are few lines, since each line costs."""
    end = start + LONG
    if data.count(b"\n", start, end) > _MANY_LINES:
        return start + SHORT
    return end


class CodedBody:
    """The body of a compressed answer, whose bytes may expand a thousandfold: its pieces are as short as what
    they expand to asks for. It is decompressed here only to be counted.

    `left` is what was received of it and waits for its turn.
    """

    __slots__ = ("_ended", "_inflater", "_lines", "_size", "left")

    def __init__(self) -> None:
        self._inflater = Inflater(self._count, SHORT)
        self.left, self._ended = b"", False
        self._size = self._lines = 0

    def add(self, data: bytes, *, ended: bool) -> None:
        """Add the next bytes; where it has `ended`, the last ones."""
        self.left += data
        self._ended = ended

    def next_piece(self) -> tuple[bytes, bool]:
        """Return the next piece, and whether it is the last one."""
        before = rest = self.left
        self._size = self._lines = 0
        # A byte that was counted before may go on expanding: then nothing was taken.
        while rest and (len(rest) == len(before) or (self._size < LONG and self._lines <= _MANY_LINES)):
            rest = self._inflater.step(rest)
        self.left = rest
        return before[: len(before) - len(rest)], self._ended and not rest

    def _count(self, decoded: bytes) -> None:
        self._size += len(decoded)
        self._lines += decoded.count(b"\n")


def set_reading(transport: Transport | None, *, wanted: bool) -> None:
    """Let a connection be read, or pause it; one that closes is left alone."""
    if transport is None or transport.is_closing():
        return
    if wanted:
        transport.resume_reading()
    else:
        transport.pause_reading()
