"""The retry budget of an endpoint: it bounds what retries add to an outage."""

from __future__ import annotations


class Bucket:
    """The retry budget of one endpoint: at first 10 tokens, at most 100, +0.5 a success, +0.1 a second up to
    10; a retry takes one.

    Where every fifth send fails, a success costs 0.25 retries: a half pays for that and for bad moments, and
    no more turns are lost than without a budget. Where half fail, an endpoint gets a third more sends;
    in an outage next to none. What is saved lets requests that run at once survive a short fault."""

    __slots__ = ("_at", "_tokens")
    FIRST, SIZE, PER_SUCCESS, PER_SECOND = 10.0, 100.0, 0.5, 0.1

    def __init__(self) -> None:
        self._tokens, self._at = self.FIRST, 0.0

    def succeed(self) -> None:
        """Add what a good answer earns."""
        if self._tokens < self.SIZE:
            self._tokens = min(self.SIZE, self._tokens + self.PER_SUCCESS)

    def take(self, now: float) -> bool:
        """Take a token if there is one. Return whether the caller may retry."""
        if self._at and self._tokens < self.FIRST:
            earned = max(0.0, now - self._at) * self.PER_SECOND
            self._tokens = min(self.FIRST, self._tokens + earned)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
