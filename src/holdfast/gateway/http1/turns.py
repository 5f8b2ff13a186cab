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

SHORT = 2 * 1024
"""Bytes that are always taken at once: even when each line of them costs, they cost 2 milliseconds."""
CODED = 128
"""The same for a compressed answer, whose bytes expand a thousandfold."""
_LONG = 16 * 1024
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


def piece_end(data: bytes | bytearray, start: int, short: int = SHORT) -> int:
    """Return where the next piece of `data` ends, which begins at `start`: after `short` bytes, or after more
    where they are few lines, since each line costs."""
    end = start + _LONG
    if short < SHORT or data.count(b"\n", start, end) > _MANY_LINES:
        return start + short
    return end


def set_reading(transport: Transport | None, *, wanted: bool) -> None:
    """Let a connection be read, or pause it; one that closes is left alone."""
    if transport is None or transport.is_closing():
        return
    if wanted:
        transport.resume_reading()
    else:
        transport.pause_reading()
