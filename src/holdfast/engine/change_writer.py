"""Writes behind the requests what they learnt: verdicts, kept keys, active fallbacks.

They count in memory at once. Here they gather for a moment, so that one statement of the store serves many
requests; of two about the same subject the later counts. While the store is away they wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from ..core.changes import (
    Change,
    CooldownStarted,
    FallbackEnded,
    FallbackStarted,
    KeyFailed,
    KeyKept,
    KeySucceeded,
    refuted,
)
from ..core.errors import StoreError
from ..core.health import HealthRegistry
from ..store.base import Store, StoreAway
from ..store.time_limit import seconds_allowed
from .background import BackgroundWorker

_GATHER = 0.02
"""Seconds for which changes gather; others learn of them this much later."""
_MOST = 20_000
"""Changes that may wait for a store that is away; then the oldest are dropped."""
_MANY = 2
"""First keys of sessions that are stored together; one goes with its session's other changes."""
_LATER = 0.25
"""Seconds between two tries to write what could not be written."""
_AT_LAST = 3.0
"""Seconds that closing waits for the store."""


class Waiting(NamedTuple):
    """A change, and when its request began (epoch seconds)."""

    change: Change
    at: float


class ChangeWriter:
    """The changes that the store does not have yet. Thread-safe; `failed` hears of errors of the store."""

    def __init__(self, store: Store, failed: Callable[[StoreError], object]) -> None:
        self._store, self._failed = store, failed
        self.lost = 0
        self._begin()
        self._worker: BackgroundWorker[None] = BackgroundWorker(
            "holdfast-changes", self._work, most=1, gather=_GATHER, at_exit=True
        )

    def _begin(self) -> None:
        self._waiting: dict[tuple[object, ...], Waiting] = {}
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._closing = threading.Event()

    def add(self, changes: Iterable[Change], at: float) -> None:
        """Have changes stored that requests begun at `at` made. Returns at once."""
        with self._lock:
            for change in changes:
                subject = _subject(change)
                self._waiting.pop(subject, None)  # in the order of the last ones
                self._waiting[subject] = Waiting(change, at)
            while len(self._waiting) > _MOST:
                del self._waiting[next(iter(self._waiting))]
                self.lost += 1
        self._worker.submit(None)

    @property
    def waiting(self) -> Sequence[Change]:
        """Return the changes that are not stored yet, in order."""
        if not self._waiting:
            return ()
        with self._lock:
            return [each.change for each in self._waiting.values()]

    def of(self, session_id: str) -> list[Waiting]:
        """Return the changes of a session that are not stored yet, in order."""
        if not self._waiting:
            return []
        with self._lock:
            every = self._waiting.values()
            return [each for each in every if getattr(each.change, "session", "") == session_id]

    def flush(self) -> None:
        """Store what waits, now and on this thread. What cannot be stored is tried again."""
        if not self._write():
            self._worker.submit(None)

    def close(self) -> None:
        """Store what waits, and end the thread; wait a few seconds for the store at most."""
        self._closing.set()
        self._worker.close(_AT_LAST)
        if self._waiting:
            self.lost += len(self._waiting)

    def renew(self) -> None:
        """Begin anew in a forked child: the parent stores what waits."""
        self._begin()

    def _work(self, _: object) -> None:
        if not self._write() and not self._closing.wait(_LATER):
            self._worker.submit(None)

    def _write(self) -> bool:
        """Store what waits. Return False where it has to be tried again."""
        if not self._writing.acquire(timeout=seconds_allowed()):
            return False
        try:
            with self._lock:
                waiting = dict(self._waiting)
            try:
                for at, changes in _together(self._but_first_keys(waiting.values())):
                    self._store.apply(changes, at)
            except StoreError as error:
                self._failed(error)
                if isinstance(error, StoreAway):
                    return False
                self.lost += len(waiting)
            with self._lock:
                for subject, written in waiting.items():
                    if self._waiting.get(subject) is written:
                        del self._waiting[subject]
        finally:
            self._writing.release()
        return True

    def _but_first_keys(self, waiting: Collection[Waiting]) -> Collection[Waiting]:
        """Store the first keys that sessions keep, one statement for all of them. Return what is left."""
        kept = [(each.change, each.at) for each in waiting if isinstance(each.change, KeyKept)]
        if len(kept) < _MANY:
            return waiting
        written = self._store.keep_first_keys(kept)
        return [
            each
            for each in waiting
            if not (isinstance(each.change, KeyKept) and each.change.session in written)
        ]


def _subject(change: Change) -> tuple[object, ...]:
    """Return what a change is about: a later one about the same replaces it."""
    match change:
        case KeySucceeded(fingerprint, url, model, account):
            return "worked", fingerprint, url, model, account
        case KeyFailed(fingerprint, url, _, _, model):
            return "failed", fingerprint, url, model
        case CooldownStarted(cooldown):
            return "cooldown", cooldown.subject
        case KeyKept(session):
            return "kept", session
        case FallbackStarted(session) | FallbackEnded(session):
            return "fallback", session


def _together(waiting: Collection[Waiting]) -> Iterator[tuple[float, list[Change]]]:
    """Yield what is stored at once. Only changes of sessions depend on when their request began."""
    of_keys = [each for each in waiting if not hasattr(each.change, "session")]
    if of_keys:
        yield of_keys[-1].at, [each.change for each in of_keys]
    of_sessions = [each for each in waiting if hasattr(each.change, "session")]
    for at, group in groupby(of_sessions, key=lambda each: each.at):
        yield at, [each.change for each in group]


def take_again(health: HealthRegistry, waiting: Iterable[Change]) -> None:
    """Apply changes that were not stored when `health` was read from the store, unless that knows better."""
    for change in waiting:
        match change:
            case CooldownStarted(cooldown):
                known = health.cooled(cooldown.subject)
                later = known is not None and known.since > cooldown.since
            case KeySucceeded():
                verdicts = map(health.cooled, refuted(change))
                later = any(verdict is not None and verdict.since > change.at for verdict in verdicts)
            case _:
                later = False
        if not later:
            health.apply(change)
