"""The user's own limits of time, over those that a caller's library sets for itself."""

from __future__ import annotations

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


def time_limits(settings: Limits) -> TimeLimits:
    """Return the limits that the user has set."""
    return TimeLimits(settings.connect_timeout, settings.answer_timeout, settings.stall_timeout)


def _shorter(first: float | None, second: float | None) -> float | None:
    return min((limit for limit in (first, second) if limit is not None), default=None)
