"""The feed of changes: what one process writes, the others learn without reading everything again.

A change that others must learn takes a number, in the order in which the changes are committed, and its rows
carry that number. Whoever read the rows up to a number asks for those above it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from ..core.changes import Cooldown, Evidence

TOLD_FOR = 86_400.0
"""Seconds for which the row of what ended or was removed is kept, so that others learn of it."""
REFUTED_LEVEL = -1
"""The level of a cooldown that ended before its time: the next one begins anew."""
_TRUSTED_FOR = TOLD_FOR / 2
"""Seconds after which a reader that did not look meanwhile reads everything again."""


class Revision(NamedTuple):
    """The last number of a store, and its epoch. Where the epoch differs or the number went down, the numbers
    tell nothing: another server, a restored copy, or a version without numbers has written."""

    number: int
    epoch: str

    def continues(self, before: Revision) -> bool:
        """Return whether all that changed since `before` has a number above its number."""
        return self.epoch == before.epoch and self.number >= before.number


class Changes(NamedTuple):
    """The rows that changed, as they are now, and the names of sessions and tokens whose rows did.

    Evidence that was forgotten has no times; a cooldown that ended before its time has the level
    `REFUTED_LEVEL`. `provisions` tells whether provisioning records changed. `upto` is the number up to which
    these are all changes; None where there are no more.
    """

    evidence: Sequence[Evidence] = ()
    cooldowns: Sequence[Cooldown] = ()
    sessions: Sequence[str] = ()
    tokens: Sequence[str] = ()
    provisions: bool = False
    upto: int | None = None


class ChangeFeed(Protocol):
    """The part of a store that tells of changes."""

    far: bool
    """Whether looking for changes waits for a network."""
    tells: bool
    """Whether `wait` hears of changes."""

    def revision(self) -> Revision:
        """Return the number of the last change, by anybody, of evidence, cooldowns, sessions that existed
        before, tokens and provisioning records.

        Cheap enough to call before every request. New sessions, the journal, leases and model lists do not
        change it.
        """
        ...

    def glance(self) -> Revision | None:
        """Return the revision if that waits for nobody and for no network; else None."""
        ...

    def wait(self, seconds: float) -> None:
        """Wait until there may be a change by anybody, for `seconds` at most."""
        ...

    def changes(self, after: int) -> Changes:
        """Return what changed since the number `after`, or a part of it (`Changes.upto`)."""
        ...


class Follower:
    """Follows the changes of a store for one process. Thread-safe.

    `take` is called with each part of the changes, or with None where everything has to be read again; while
    it fails, they are not taken over. `revision` is the one that was taken over last.
    """

    def __init__(self, store: ChangeFeed, *take: Callable[[Changes | None], object]) -> None:
        self._store = store
        self.take = [*take]
        self.revision: Revision | None = None
        self._looked_at = 0.0
        self.renew()

    def look(self) -> None:
        """Take over what changed since the last look. Raises StoreError."""
        if self._store.revision() == self.revision and self._is_fresh():
            self._looked_at = time.monotonic()
            return
        with self._lock:
            # Read again: another thread may have taken over more while this one waited.
            revision, before = self._store.revision(), self.revision
            if before is None or not revision.continues(before) or not self._is_fresh():
                self._tell(None)
            elif revision != before:
                self._read(before.number)
            self.revision, self._looked_at = revision, time.monotonic()

    def renew(self) -> None:
        """Replace the lock, in a forked child."""
        self._lock = threading.Lock()

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._looked_at < _TRUSTED_FOR

    def _read(self, after: int | None) -> None:
        while after is not None:
            changes = self._store.changes(after)
            self._tell(changes)
            after = changes.upto

    def _tell(self, changes: Changes | None) -> None:
        for take in self.take:
            take(changes)
