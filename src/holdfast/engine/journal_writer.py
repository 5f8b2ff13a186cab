"""Takes the journal and what only refreshes evidence off the request's path. The queue is bounded: a slow or
full disk costs journal lines (told once), never a request; verdicts that change behaviour do not pass through
here."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVarTuple

from ..core.changes import Change
from ..store.base import Store
from ..store.journal_events import Detail, Event

Ts = TypeVarTuple("Ts")
_log = logging.getLogger("holdfast")
_QUEUE = 10_000
_GATHER = 0.25
"""For how long (seconds) what is to be written gathers: lines that are alike share a row, so the more of them
come together, the less each costs. In-process readers flush first; another process sees the journal so much
later."""
_KEEP_DAYS = 90.0


class JournalWriter:
    """A writer thread of its own, started with the first entry and ended with the process or by `close`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._events: deque[tuple[Callable[..., Iterable[Event[Detail]]], tuple[object, ...]]] = deque(
            maxlen=_QUEUE
        )
        self._changes: deque[tuple[float, Change]] = deque(maxlen=_QUEUE)
        self._wake, self._closing, self._writing = threading.Event(), threading.Event(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._told = self._pruned = False
        self.lost = 0
        """How many journal entries were dropped: the queue was full, or the store could not be written."""
        atexit.register(_flush_if_alive, weakref.ref(self))

    def journal(self, make: Callable[[*Ts], Iterable[Event[Detail]]], *told: *Ts) -> None:
        """Queue journal lines; `make(*told)` is called by the writer, so that a request pays for none of
        them."""
        self.lost += len(self._events) == _QUEUE
        self._events.append((make, told))
        self._start()

    @property
    def waiting(self) -> int:
        """How many journal entries wait to be written."""
        return len(self._events)

    def note(self, change: Change, at: float) -> None:
        """Queue a change of the time `at` that another process may learn a little later."""
        self._changes.append((at, change))
        self._start()

    def flush(self) -> None:
        """Write what is queued, now and on this thread."""
        with self._writing:
            changes = [self._changes.popleft() for _ in range(len(self._changes))]
            queued = [self._events.popleft() for _ in range(len(self._events))]
            try:
                if not self._pruned:
                    self._pruned = True
                    self._store.prune(_KEEP_DAYS)
                for at, change in changes:
                    self._store.apply([change], at)
                if queued:
                    self._store.record([event for make, told in queued for event in make(*told)])
            except Exception as error:  # noqa: BLE001 - whatever one line runs into, the thread and the requests go on
                self.lost += len(queued)
                self.tell(error)

    def tell(self, error: Exception) -> None:
        """Warn, once, that the store cannot be used: requests go on without what it would have remembered."""
        if not self._told:
            self._told = True
            _log.warning(
                "the journal cannot be written, or the store not be read; requests go on without it: %s",
                error,
            )

    def renew(self) -> None:
        """Begin anew in a forked child: the parent's thread and locks are not here, and what it had queued it
        writes itself."""
        self._wake, self._closing, self._writing, self._thread = (
            threading.Event(),
            threading.Event(),
            threading.Lock(),
            None,
        )
        self._events.clear()
        self._changes.clear()

    def close(self) -> None:
        """Write what is queued and end the thread, without waiting for more to gather."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5.0)
        self.flush()

    def _start(self) -> None:
        if self._wake.is_set() and self._thread is not None:  # it is about to write
            return
        self._wake.set()
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(
                target=_write_on,
                args=(weakref.ref(self), self._wake, self._closing),
                name="holdfast-recorder",
                daemon=True,
            )
            self._thread.start()


def _write_on(ref: weakref.ref[JournalWriter], wake: threading.Event, closing: threading.Event) -> None:
    """The thread: holds its recorder only while it writes, so that a forgotten one can go."""
    while True:
        wake.wait(timeout=5.0)
        # Cleared before anything is looked at: what comes from now on, an end too, wakes again and is not
        # slept through.
        wake.clear()
        if ref() is None:
            return
        ended = closing.wait(_GATHER)
        journal_writer = ref()
        if journal_writer is None:
            return
        journal_writer.flush()
        del journal_writer
        if ended:
            return


def _flush_if_alive(ref: weakref.ref[JournalWriter]) -> None:
    journal_writer = ref()
    if journal_writer is not None:
        journal_writer.flush()
