"""The upkeep of the store in the background: what is old or too much goes in small portions with pauses, in
one process of all that share the store, so that nobody waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from math import inf, isfinite

from ..core.config import StoreSettings
from ..store.base import Store
from ..store.upkeep import PAUSE
from .background import BackgroundWorker, renew_after_fork

_EVERY = 600.0
"""Seconds between two rounds of a process that writes."""
_LEASE = 60.0
"""Seconds for which a process holds the lease beyond its last portion."""
_RENEWED_EVERY = 200
"""Portions after which the lease is renewed: about ten seconds."""
_NAME = "upkeep"
_DAY = 86_400.0
_PATIENCE = 2.0
"""Seconds that closing waits for the portion that is under way."""


class StoreUpkeep:
    """The rounds in which a home's store is pruned: after its first line, and every ten minutes while it is
    written. `wait` lets seconds pass and returns True at the end, `clock` returns monotonic seconds."""

    def __init__(
        self,
        store: Store,
        settings: Callable[[], StoreSettings],
        owner: str,
        *,
        tell: Callable[[Exception], object],
        wait: Callable[[float], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._settings, self._owner = store, settings, owner
        self._given_wait, self._clock, self._due = wait, clock, -inf
        self._worker: BackgroundWorker[None] = BackgroundWorker(
            "holdfast-upkeep", self._work, most=1, failed=tell
        )
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Begin anew in a forked child."""
        self._end = threading.Event()
        self._wait = self._given_wait or self._end.wait

    def wrote(self, set_back: bool) -> None:
        """Take note that something was written: begin a round if one is due, or the clock was `set_back`."""
        now = self._clock()
        if set_back or now >= self._due:
            self._due = now + _EVERY
            self._worker.submit(None)

    def close(self) -> None:
        """End the round that is under way after its present portion."""
        self._end.set()
        self._worker.close(_PATIENCE)

    def round(self) -> int:
        """Delete what is to be deleted, unless another process does so or did so lately. Return the number of
        rows. Raises StoreError."""
        lease = self._store.lease(_NAME, self._owner, _LEASE)
        if lease is None:
            return 0
        deleted, whole = 0, False
        try:
            for number, rows in enumerate(portions(self._store, self._settings()), start=1):
                deleted += rows
                if number % _RENEWED_EVERY == 0 and not self._store.renew(lease, _LEASE):
                    return deleted
                if self._wait(PAUSE):
                    return deleted
            whole = True
        finally:
            if whole:
                self._store.renew(lease, 0.9 * _EVERY)  # nobody repeats it soon
            else:
                self._store.release(lease)
        return deleted

    def _work(self, _: Sequence[None]) -> None:
        if not self._end.is_set():
            self.round()


def portions(store: Store, settings: StoreSettings) -> Iterator[int]:
    """Delete one portion of what is old or too much at a time, and yield the number of its rows, until
    nothing is left to do. Wait for `PAUSE` seconds between two. Raises StoreError."""
    while rows := store.prune(settings.keep / _DAY):
        yield rows
    while rows := store.shorten_usage(settings.keep / _DAY):
        yield rows
    while rows := store.prune_objects():
        yield rows
    if isfinite(settings.forget_sessions):
        while rows := store.forget_sessions(store.newest() - settings.forget_sessions):
            yield rows
    while rows := store.prune_to_size(settings.max_size):
        yield rows
    while store.compact():
        yield 0
