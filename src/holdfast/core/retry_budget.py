"""The retry budget of an endpoint: it bounds what retries add to an outage."""

from __future__ import annotations


class Bucket:
    """The retry budget of one endpoint: 10 tokens, +0.2 a success, +0.1 a second, one a retry.

    Retries then add next to nothing to an outage, while a single agent can still retry every short fault."""

    __slots__ = ("_at", "_tokens")
    SIZE, PER_SUCCESS, PER_SECOND = 10.0, 0.2, 0.1

    def __init__(self) -> None:
        self._tokens, self._at = self.SIZE, 0.0

    def succeed(self) -> None:
        """Add what a good answer earns."""
        if self._tokens < self.SIZE:
            self._tokens = min(self.SIZE, self._tokens + self.PER_SUCCESS)

    def take(self, now: float) -> bool:
        """Take a token if there is one. Return whether the caller may retry."""
        if self._at:
            earned = max(0.0, now - self._at) * self.PER_SECOND
            self._tokens = min(self.SIZE, self._tokens + earned)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
