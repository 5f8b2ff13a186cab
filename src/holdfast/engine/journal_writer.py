"""Takes the journal and what only refreshes evidence off the request's path. The queue is bounded: a slow
or full disk costs journal lines (told once), never a request; verdicts that change behaviour do not pass
through here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVarTuple, cast

from ..core.changes import Change
from ..store.base import Store
from ..store.journal_events import Detail, Event
from .background import BackgroundWorker

Ts = TypeVarTuple("Ts")
_Entry = tuple[Callable[..., Iterable[Event[Detail]]] | None, tuple[object, ...]]
"""What makes journal lines, and of what; a change of evidence and its time where nothing is made."""
_log = logging.getLogger("holdfast")
_QUEUE = 20_000
_GATHER = 0.25
"""For how long (seconds) what is to be written gathers: lines that are alike share a row, so the more of
them come together, the less each costs. In-process readers flush first; another process sees the journal
so much later."""
_PATIENCE = 5.0
_KEEP_DAYS = 90.0


class JournalWriter:
    """The journal's writer: one background worker over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told = self._pruned = False
        self._worker: BackgroundWorker[_Entry] = BackgroundWorker(
            "holdfast-journal", self._write, most=_QUEUE, gather=_GATHER, failed=self.tell, at_exit=True
        )
        self._submit = self._worker.submit

    def journal(self, make: Callable[[*Ts], Iterable[Event[Detail]]], *arguments: *Ts) -> None:
        """Queue journal lines; `make(*arguments)` is called by the writer, so that a request pays for none of
        them."""
        self._submit((make, arguments))

    def note(self, change: Change, at: float) -> None:
        """Queue a change of the time `at` that another process may learn a little later."""
        self._submit((None, (change, at)))

    @property
    def waiting(self) -> int:
        """How many entries wait to be written."""
        return self._worker.waiting

    @property
    def lost(self) -> int:
        """How many entries were dropped: the queue was full, or the store could not be written."""
        return self._worker.lost

    def flush(self) -> None:
        """Write what is queued, now and on this thread."""
        self._worker.flush()

    def tell(self, error: Exception) -> None:
        """Warn, once, that the store cannot be used: requests go on without what it would have remembered."""
        if not self._told:
            self._told = True
            _log.warning(
                "the journal cannot be written, or the store not be read; requests go on without it: %s",
                error,
            )

    def close(self) -> None:
        """Write what is queued and end the thread, without waiting for more to gather, nor for ever for
        the store."""
        self._worker.close(_PATIENCE)

    def _write(self, entries: Sequence[_Entry]) -> None:
        if not self._pruned:
            self._pruned = True
            self._store.prune(_KEEP_DAYS)
        for make, arguments in entries:
            if make is None:
                change, at = cast("tuple[Change, float]", arguments)
                self._store.apply([change], at)
        events = [event for make, arguments in entries if make is not None for event in make(*arguments)]
        if events:
            self._store.record(events)
