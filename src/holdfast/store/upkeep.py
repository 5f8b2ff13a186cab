"""The upkeep of a store, as every store gives it: what is old or too much goes in small portions, so that no
other writer waits, and what it holds is told by table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

PORTION = 200
"""Rows of a table that are deleted in one transaction, and sessions that are changed in one."""
PAUSE = 0.02
"""Seconds between two portions, in which others write."""
_FEWEST = 20
_LONGEST = 0.01
"""Seconds that a portion should take, since other writers of a file wait meanwhile."""
LINES_KEPT = 10_000
"""Lines of the journal that stay however large the store is: the newest."""


@dataclass(slots=True)
class Portion:
    """The number of rows that are deleted at once: `PORTION`, and fewer where that takes long, as on a slow
    disk or a busy machine."""

    rows: int = PORTION

    def took(self, seconds: float) -> None:
        """Take note of how long so many rows took."""
        if seconds > _LONGEST:
            self.rows = max(_FEWEST, self.rows // 2)
        elif seconds < _LONGEST / 2:
            self.rows = min(PORTION, self.rows + _FEWEST)


@dataclass(frozen=True, slots=True)
class TableStatus:
    """The rows of a table, and the times of the oldest and the newest (epoch seconds; None: no row, or rows
    without a time)."""

    name: str
    rows: int
    oldest: float | None = None
    newest: float | None = None


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """The content of a store. Of its `size` in bytes, `free` ones are used again before it grows; `shrinks`
    tells whether they go back to the file system by themselves."""

    size: int
    free: int
    shrinks: bool
    tables: tuple[TableStatus, ...]


class Upkeep(Protocol):
    """The part of `Store` that keeps it small."""

    def prune(self, keep_days: float) -> int:
        """Delete a portion of what is old, and return the number of rows; 0 when nothing is left to delete.

        Old are journal lines of more than `keep_days`, cooldowns past `COOLDOWN_KEPT`, what is known about
        keys past `EVIDENCE_KEPT`, tokens of one gateway past `TOKEN_KEPT`, and cooldowns that began before
        the clock was set back. Lines, and what is known about keys, are as old as the time since the last of
        them (`newest`)."""
        ...

    def prune_to_size(self, most: int) -> int:
        """Delete a portion of the oldest journal lines if what the store holds is larger than `most` bytes.
        Return the number of lines; 0 when it is small enough, or has only `LINES_KEPT`."""
        ...

    def count_old(self, keep_days: float) -> int:
        """Return the number of journal lines that `prune` would delete."""
        ...

    def compact(self) -> int:
        """Give a few free bytes back to the file system. Return how many; 0 when there are none, or the
        engine does this by itself."""
        ...

    def vacuum(self) -> None:
        """Write the store anew without its free bytes. Other writers wait meanwhile, which takes seconds for
        a large store."""
        ...

    def status(self) -> StoreStatus:
        """Return what the store holds, by table. Reads every table."""
        ...
