"""Background work: one pattern for every thread that runs beside the requests.

A `BackgroundWorker` is a queue and one daemon thread that empties it. Submitting never blocks; closing gives
up after a deadline; a forked child gets a fresh queue and thread; the first error of the work is reported.
`NamedJobs` are jobs on such a worker; a name is queued at most once.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
_log = logging.getLogger("holdfast")
_AT_EXIT = 5.0
"""Seconds for which a working worker may delay the end of the process."""


class Renewed(Protocol):
    """An object to reset in a forked child, where the parent's threads are missing and the locks that they
    held stay locked."""

    def renew(self) -> None:
        """Replace locks and threads, and drop the work that the parent does itself."""


_renewed: weakref.WeakSet[Renewed] = weakref.WeakSet()
_flushed: weakref.WeakSet[BackgroundWorker[Any]] = weakref.WeakSet()


def renew_after_fork(item: Renewed) -> None:
    """Call `item.renew()` in every forked child, as long as `item` lives."""
    _renewed.add(item)


class BackgroundWorker(Generic[T]):
    """A daemon thread, started by the first entry, that passes queued entries to `work` in order, in batches.

    The queue holds `most` entries: when it is full the oldest is dropped and counted in `lost`. None means
    no bound, for owners that bound their entries themselves. Entries gather for `gather` seconds before they
    are worked on. An exception of `work` is counted in `failures`, its entries in `lost`; the first one is
    passed to `failed`. With `at_exit` the queue is emptied when the process ends.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Sequence[T]], object],
        *,
        most: int | None,
        gather: float = 0.0,
        failed: Callable[[Exception], object] | None = None,
        at_exit: bool = False,
    ) -> None:
        self.name = name
        self.lost = self.failures = 0
        self._work, self._gather, self._tell = work, gather, failed or self._warn
        self._most = most
        self._queue: deque[T] = deque(maxlen=most)
        self._begin()
        renew_after_fork(self)
        if at_exit:
            _flushed.add(self)

    def _begin(self) -> None:
        self._wake, self._closing = threading.Event(), threading.Event()
        self._working, self._starting = threading.Lock(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._awake = False
        """True while the thread is about to empty the queue: then it need not be woken."""

    def submit(self, entry: T) -> None:
        """Queue an entry and return at once."""
        queue = self._queue
        if len(queue) == self._most:
            self.lost += 1
        queue.append(entry)
        if not self._awake:
            self._rouse()

    @property
    def waiting(self) -> int:
        """Return the number of queued entries."""
        return len(self._queue)

    def flush(self, patience: float = -1) -> bool:
        """Work on what is queued, now and on this thread. Return False when another thread was working for
        `patience` seconds (-1: wait without limit)."""
        if not self._working.acquire(timeout=patience):
            return False
        entries: list[T] = []
        try:
            entries += [self._queue.popleft() for _ in range(len(self._queue))]
            if entries:
                self._work(entries)
        # The thread must survive every error of its entries.
        except Exception as error:  # noqa: BLE001
            self.lost += len(entries)
            self.fail(error)
        finally:
            self._working.release()
        return True

    def put_back(self, entries: Sequence[T]) -> None:
        """Queue entries again, before all others: called by the work, which could not be done. What there is
        no room for is lost."""
        room = len(entries)
        if self._most is not None:
            room = min(room, self._most - len(self._queue))
        self.lost += len(entries) - room
        self._queue.extendleft(reversed(entries[len(entries) - room :]))

    def fail(self, error: Exception) -> None:
        """Count an error of the work, and report the first."""
        self.failures += 1
        if self.failures == 1:
            self._tell(error)

    def close(self, patience: float) -> bool:
        """Work on what is queued and end the thread. Return False when that took longer than `patience`
        seconds. An entry that is submitted later is still worked on."""
        self._closing.set()
        self._wake.set()
        with self._starting:  # a thread that is not started yet cannot be waited for
            thread = self._thread
        if thread is threading.current_thread():
            return True
        if thread is not None:
            thread.join(patience)
            if thread.is_alive():
                return False
        return self.flush(patience)

    def renew(self) -> None:
        """Reset in a forked child; the parent works on its queue itself."""
        self._begin()
        self._queue.clear()

    def _rouse(self) -> None:
        with self._starting:
            self._awake = True
            self._wake.set()
            if self._thread is None or not self._thread.is_alive():
                # The thread refers to its worker only while it works, so that an unused worker can be
                # collected.
                myself = weakref.ref(self, lambda _, wake=self._wake: wake.set())  # type: ignore[misc]
                signals = (self._wake, self._closing, self._gather)
                self._thread = threading.Thread(
                    target=_run, args=(myself, *signals), name=self.name, daemon=True
                )
                self._thread.start()

    def _turn(self) -> bool:
        """Work on what is queued. Return False when the thread has to end."""
        # Cleared before the queue is emptied, so that a later entry wakes the thread again.
        self._wake.clear()
        self._awake = False
        self.flush()
        if not self._closing.is_set():
            return True
        with self._starting:
            if self._queue:
                self._wake.set()
                return True
            self._thread = None
            return False

    def _warn(self, error: Exception) -> None:
        _log.warning("%s: error in background work, continuing: %s", self.name, error)


def call_all(calls: Sequence[Callable[[], object]]) -> None:
    """Call each of these: the work of a worker to which calls are submitted."""
    for call in calls:
        call()


class NamedJobs:
    """Jobs by name, run in order. A name is queued at most once, which bounds the queue."""

    def __init__(self, name: str, failed: Callable[[Exception], object]) -> None:
        self._worker: BackgroundWorker[tuple[str, Callable[[], object]]] = BackgroundWorker(
            name, self._work, most=None, failed=failed
        )
        self._waiting: set[str] = set()
        self._lock = threading.Lock()
        renew_after_fork(self)

    def submit(self, name: str, job: Callable[[], object]) -> None:
        """Queue a job, unless one of this name is queued already."""
        with self._lock:
            if name in self._waiting:
                return
            self._waiting.add(name)
        self._worker.submit((name, job))

    def settle(self, patience: float = 10.0) -> bool:
        """Wait until all jobs submitted so far are done. Return False after `patience` seconds."""
        done = threading.Event()
        self.submit(f"{id(done)}", done.set)
        return done.wait(patience)

    def close(self, patience: float = 2.0) -> None:
        """Let the queued jobs end, for at most `patience` seconds."""
        self._worker.close(patience)

    def renew(self) -> None:
        """Reset in a forked child."""
        self._waiting, self._lock = set(), threading.Lock()

    def _work(self, jobs: Sequence[tuple[str, Callable[[], object]]]) -> None:
        for name, job in jobs:
            with self._lock:
                self._waiting.discard(name)
            try:
                job()
            # One failing job must not stop the others.
            except Exception as error:  # noqa: BLE001
                self._worker.fail(error)


def _run(
    myself: weakref.ref[BackgroundWorker[Any]], wake: threading.Event, closing: threading.Event, gather: float
) -> None:
    """Run the thread of a worker until the worker is closed or collected."""
    while True:
        wake.wait()
        if gather:
            closing.wait(gather)
        worker = myself()
        if worker is None or not worker._turn():  # noqa: SLF001
            return
        del worker


def _renew_all() -> None:
    for item in list(_renewed):
        item.renew()


def _flush_all() -> None:
    for worker in list(_flushed):
        worker.flush(_AT_EXIT)


atexit.register(_flush_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
