"""Background writing of the journal, off the request path.

The queue is bounded: a slow or full disk costs journal lines (reported once), never a request. What requests
learnt is written by `changes`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVarTuple, cast

from ..core.changes import CLOCK_SLACK
from ..store.base import AccountObject, Store, StoreAway
from ..store.batch import new_writer
from ..store.gathered import Similar
from ..store.journal_events import Detail, Event
from .background import BackgroundWorker, renew_after_fork
from .change_writer import ChangeWriter
from .usage_counts import UsageCounts

Ts = TypeVarTuple("Ts")
_Made = Iterable[Event[Detail] | Similar]
_Entry = tuple[Callable[..., _Made] | None, tuple[object, ...], bool]
"""A function that makes events, its arguments, and whether it takes those of many entries at once; or None,
and an object of an account."""
_log = logging.getLogger("holdfast")
_QUEUE = 20_000
"""Entries that may wait."""
_GATHER = 0.25
"""Seconds for which entries gather before they are written: similar events share a row, so larger batches
cost less. Readers in this process flush first; other processes see the journal this much later."""
OTHERS_SEE_IT_AFTER = 2 * _GATHER
"""Seconds after which other processes see an event, unless the store is slow."""
_AT_ONCE = 1_000
"""Entries that are written at once: other writers of the process wait for them."""
_PATIENCE = 5.0
"""Seconds that closing waits for the store."""
_PRUNED_EVERY = 500
"""Objects of accounts after which some old ones are pruned: fewer than go at a time."""


class JournalWriter:
    """Writer of the journal: one background worker over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.changes = ChangeWriter(store, self.warn_once)
        self._warned = self._ends = False
        self.wrote: Callable[[bool], object] = bool
        """Is called when something is written, with True where the clock was set back since the last time."""
        self._wrote_at = 0.0
        self._unpruned = 0
        self._worker: BackgroundWorker[_Entry] = BackgroundWorker(
            "holdfast-journal", self._work, most=_QUEUE, gather=_GATHER, failed=self.warn_once, at_exit=True
        )
        self._submit = self._worker.submit
        self.renew()
        renew_after_fork(self)
        self.usage = UsageCounts(store, self.warn_once)
        self.count = self.usage.count
        """Takes note of an answered request, a `Counted`."""

    def renew(self) -> None:
        """Begin anew in a forked child: the parent writes what it queued."""
        self._batch = new_writer()
        self._sent: Sequence[_Entry] = ()

    def journal(self, make: Callable[[*Ts], Iterable[Event[Detail]]], *arguments: *Ts) -> None:
        """Queue events. The writer's thread calls `make(*arguments)`, so that a request does not pay for
        it."""
        self._submit((make, arguments, False))

    def journal_alike(self, make: Callable[[Sequence[tuple[*Ts]]], _Made], *arguments: *Ts) -> None:
        """Queue events that are like many others. The writer's thread calls `make` once with the `arguments`
        of all that are queued."""
        self._submit((make, arguments, True))

    def keep(self, made: AccountObject) -> None:
        """Queue an object of an account."""
        self._submit((None, (made,), False))

    @property
    def waiting(self) -> int:
        """Return the number of queued entries."""
        return self._worker.waiting

    @property
    def unsaved(self) -> bool:
        """Return whether something waits for the store."""
        return bool(self._worker.waiting or self.changes.waiting or self.usage.unsaved)

    @property
    def lost(self) -> int:
        """Return the number of dropped entries: the queue was full, or the store could not be written."""
        return self._worker.lost + self.changes.lost

    def flush(self) -> None:
        """Write what is queued and counted, the changes first, now and on this thread."""
        self.changes.flush()
        self._worker.flush()
        self.usage.flush()

    def warn_once(self, error: Exception) -> None:
        """Warn once that the store cannot be used. Requests continue without it."""
        if not self._warned:
            self._warned = True
            _log.warning(
                "cannot write the journal or read the store; requests continue without it: %s",
                error,
            )

    def close(self) -> None:
        """Write what is queued and end the thread, without gathering more; wait a few seconds for the store
        at most."""
        self._ends = True
        self.changes.close()
        self._worker.close(_PATIENCE)
        self.usage.close()

    def _work(self, entries: Sequence[_Entry]) -> None:
        # What was sent and may be written is sent again under its number, as far as there was room for it.
        sent, self._sent = {*map(id, self._sent)}, ()
        again = sum(id(entry) in sent for entry in entries)
        first = 0
        while first < len(entries):
            if first or not again:
                self._batch = self._batch.after()
            portion = entries[first : first + (again or _AT_ONCE)]
            again = 0
            try:
                self._write(portion)
            except StoreAway as error:
                if self._ends:
                    raise
                # They are written when it is back, as far as there is room.
                self._sent = portion
                self._worker.put_back(entries[first:])
                self.warn_once(error)
                break
            first += len(portion)

    def _write(self, entries: Sequence[_Entry]) -> None:
        now = self._store.now()
        set_back, self._wrote_at = now < self._wrote_at - CLOCK_SLACK, now
        self.wrote(set_back)
        objects: list[AccountObject] = []
        events: list[Event[Detail] | Similar] = []
        alike: dict[Callable[..., _Made], list[tuple[object, ...]]] = {}
        for make, arguments, at_once in entries:
            if make is None:
                objects.append(cast("AccountObject", arguments[0]))
            elif at_once:
                alike.setdefault(make, []).append(arguments)
            else:
                events += make(*arguments)
        for make_all, each in alike.items():
            events += make_all(each)
        self._save(objects)
        if events:
            self._store.record(events, self._batch)

    def _save(self, objects: Sequence[AccountObject]) -> None:
        """Store objects of accounts, and prune old ones now and then."""
        if not objects:
            return
        self._store.save_objects(objects)
        self._unpruned += len(objects)
        if self._unpruned >= _PRUNED_EVERY:
            self._unpruned = 0
            self._store.prune_objects()
