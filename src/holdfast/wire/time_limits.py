"""The user's own limits of time, over those that a caller's library sets for itself, and the deadline of one
call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import isfinite
from typing import NamedTuple

from ..core.config import Limits
from .ports import Timeout


class TimeLimits(NamedTuple):
    """Seconds until a provider is reached, until the head of its answer, and between two pieces of it. None:
    only the caller's own limit counts."""

    connect: float | None = None
    answer: float | None = None
    stall: float | None = None

    def until_head(self, own: Timeout) -> Timeout:
        """Return the caller's time-outs for the time until the head, each with the shorter limit."""
        return own | {
            "connect": _shorter(own.get("connect"), self.connect),
            "read": _shorter(own.get("read"), self.answer),
        }

    def after_head(self, own: Timeout) -> float | None:
        """Return the limit between two pieces of the answer."""
        return _shorter(own.get("read"), self.stall)


NO_TIME_LIMITS = TimeLimits()


class Deadline:
    """The end of one call, `seconds` after it begins. `now` returns the time, in seconds of any clock."""

    __slots__ = ("_ends", "_now", "seconds")

    def __init__(self, seconds: float, now: Callable[[], float]) -> None:
        self.seconds, self._now, self._ends = seconds, now, now() + seconds

    @property
    def remaining(self) -> float:
        """Return the seconds that are left; less than 0 after the end."""
        return self._ends - self._now()

    @property
    def over(self) -> bool:
        """Return whether nothing can be waited for any more."""
        return self.remaining <= _SHORTEST

    def shortened(self, limit: float | None) -> float:
        """Return a time-out, shortened to what is left."""
        left = max(self.remaining, _SHORTEST)
        return left if limit is None else min(limit, left)

    def limit(self, timeout: Timeout) -> None:
        """Shorten all time-outs of a request."""
        for name in ("connect", "read", "write", "pool"):
            timeout[name] = self.shortened(timeout.get(name))

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Shorten every time-out that `within_deadline` is asked for, in this thread or task."""
        token = _in_force.set(self)
        try:
            yield
        finally:
            _in_force.reset(token)

    def __str__(self) -> str:
        return f"timed out: the deadline of {self.seconds:g} s for this call is over"


_SHORTEST = 0.005
"""Seconds: the shortest time-out, since clocks differ by a little and 0 would not wait at all."""
_in_force: ContextVar[Deadline | None] = ContextVar("holdfast_deadline", default=None)


def within_deadline(limit: float | None) -> float | None:
    """Return a time-out, shortened to what is left of the call for which it is."""
    deadline = _in_force.get()
    return limit if deadline is None else deadline.shortened(limit)


def seconds_of(text: bytes) -> float:
    """Return the seconds that a header names. Raises ValueError unless they are a positive number."""
    seconds = float(text)
    if not isfinite(seconds) or seconds <= 0:
        raise ValueError("seconds are a positive number")
    return seconds


def time_limits(settings: Limits) -> TimeLimits:
    """Return the limits that the user has set."""
    return TimeLimits(settings.connect_timeout, settings.answer_timeout, settings.stall_timeout)


def _shorter(first: float | None, second: float | None) -> float | None:
    return min((limit for limit in (first, second) if limit is not None), default=None)
