"""The usage of connections, summed by day, session, key and pin: what stays of requests when the lines of the
journal that told of them are gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from .batch import Batch

USAGE_KEPT = 400
"""Days for which sums are kept. Those of single sessions go with the journal; then one of all sessions
stays."""


class Usage(NamedTuple):
    """Requests that were answered, and the tokens that providers counted for them.

    `day` (2026-11-30, UTC), `session`, `key` (its label) and `pin` are empty where the sum is over all."""

    day: str
    session: str
    key: str
    pin: str
    requests: int
    tokens_in: int
    tokens_out: int


class UsageSums(Protocol):
    """The part of `Store` for usage."""

    def add_usage(self, counted: Iterable[Usage], batch: Batch | None = None) -> None:
        """Add to the sums, unless `batch` was done before. Raises StoreError, having added nothing, or
        StoreAway where that is not certain."""
        ...

    def usage(self, by: Sequence[str] = (), *, session: str | None = None, since: str = "") -> list[Usage]:
        """Return the sums for each value of the fields in `by` (of `day`, `session`, `key`, `pin`), sorted by
        them: of all sessions or of one, from the day `since` on."""
        ...

    def add_begun(self, day: str, token_id: str, sessions: int) -> int:
        """Add to the number of sessions that requests with a token began on a day. Return the sum. Two days
        later it is forgotten."""
        ...

    def shorten_usage(self, keep_days: float) -> int:
        """Take the sessions out of a portion of the sums that are older than `keep_days`, and delete some
        that are older than `USAGE_KEPT` days. Return the number of sums; 0 when nothing is left to do."""
        ...


def day_of(at: float) -> str:
    """Return the day (UTC) of a time in epoch seconds."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
