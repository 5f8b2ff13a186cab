"""The retry budget of an endpoint: it bounds what retries add to an outage."""

from __future__ import annotations


class Bucket:
    """The retry budget of one endpoint: 10 tokens, +0.2 a success, +0.1 a second, one a retry.

    An outage is amplified by about nothing, while a lone agent can still retry every blip.
    """

    __slots__ = ("_at", "_tokens")
    SIZE, PER_SUCCESS, PER_SECOND = 10.0, 0.2, 0.1

    def __init__(self) -> None:
        self._tokens, self._at = self.SIZE, 0.0

    def succeed(self) -> None:
        if self._tokens < self.SIZE:
            self._tokens = min(self.SIZE, self._tokens + self.PER_SUCCESS)

    def take(self, now: float) -> bool:
        """One token if there is one; the caller may retry."""
        elapsed = max(0.0, now - self._at) if self._at else 0.0
        self._tokens, self._at = min(self.SIZE, self._tokens + elapsed * self.PER_SECOND), now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
