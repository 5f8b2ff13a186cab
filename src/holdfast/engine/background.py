"""Work that no request waits for: one pattern for every thread that works beside the requests.

A `BackgroundWorker` is a queue and one daemon thread that empties it. It is never waited for by who submits,
gives up after a deadline when it is closed, begins anew in a forked child, and tells once what its work runs
into. `NamedJobs` are jobs on such a worker, of which each name waits at most once.
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


class Renewed(Protocol):
    """What must begin anew in a forked child, where the parent's threads are not and their locks are held
    for ever."""

    def renew(self) -> None:
        """Begin anew, with nothing of what the parent does itself."""


_renewed: weakref.WeakSet[Renewed] = weakref.WeakSet()
_flushed: weakref.WeakSet[BackgroundWorker[Any]] = weakref.WeakSet()


def renew_after_fork(item: Renewed) -> None:
    """Have `renew` called in every forked child, as long as `one` lives."""
    _renewed.add(item)


class BackgroundWorker(Generic[T]):
    """One daemon thread, started with the first entry, that hands over what is queued, in order and together.

    `most` entries are kept: when the queue is full the oldest goes, and is counted in `lost`. None bounds
    nothing; that is for an owner who bounds the entries himself. For `gather` seconds entries come together
    before they are worked on. What `work` raises is counted in `failures`, its entries in `lost`, and the
    first is told to `failed`. With `at_exit` what is queued is worked on when the process ends.
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
        """Whether the thread is about to take what is queued: then nobody needs to wake it."""

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
        """How many entries wait to be worked on."""
        return len(self._queue)

    def flush(self, patience: float = -1) -> bool:
        """Work on what is queued, now and on this thread; False when another thread was at it for
        `patience` seconds (-1: however long that takes)."""
        if not self._working.acquire(timeout=patience):
            return False
        entries: list[T] = []
        try:
            entries += [self._queue.popleft() for _ in range(len(self._queue))]
            if entries:
                self._work(entries)
        except Exception as error:  # noqa: BLE001 - whatever an entry runs into, the thread goes on
            self.lost += len(entries)
            self.fail(error)
        finally:
            self._working.release()
        return True

    def fail(self, error: Exception) -> None:
        """Count what the work ran into, and tell of the first."""
        self.failures += 1
        if self.failures == 1:
            self._tell(error)

    def close(self, patience: float) -> bool:
        """Work on what is queued and end the thread; False when that took longer than `patience` seconds.
        What is submitted later is still worked on."""
        self._closing.set()
        self._wake.set()
        thread = self._thread
        if thread is threading.current_thread():
            return True
        if thread is not None:
            thread.join(patience)
            if thread.is_alive():
                return False
        return self.flush(patience)

    def renew(self) -> None:
        """Begin anew in a forked child; what the parent had queued it works on itself."""
        self._begin()
        self._queue.clear()

    def _rouse(self) -> None:
        with self._starting:
            self._awake = True
            self._wake.set()
            if self._thread is None or not self._thread.is_alive():
                # The thread holds its worker only while it works, so that one that nobody needs any more can
                # go.
                myself = weakref.ref(self, lambda _, wake=self._wake: wake.set())  # type: ignore[misc]
                signals = (self._wake, self._closing, self._gather)
                self._thread = threading.Thread(
                    target=_run, args=(myself, *signals), name=self.name, daemon=True
                )
                self._thread.start()

    def _turn(self) -> bool:
        """Work on what is queued; False when the thread is to end."""
        # Cleared before anything is taken: what comes from now on wakes again and is not slept through.
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
        _log.warning("%s met an error and goes on: %s", self.name, error)


class NamedJobs:
    """Jobs by name, done in order, of which each name waits at most once; that bounds them."""

    def __init__(self, name: str, failed: Callable[[Exception], object]) -> None:
        self._worker: BackgroundWorker[tuple[str, Callable[[], object]]] = BackgroundWorker(
            name, self._work, most=None, failed=failed
        )
        self._waiting: set[str] = set()
        self._lock = threading.Lock()
        renew_after_fork(self)

    def submit(self, name: str, job: Callable[[], object]) -> None:
        """Do this job soon, unless one of this name waits already."""
        with self._lock:
            if name in self._waiting:
                return
            self._waiting.add(name)
        self._worker.submit((name, job))

    def settle(self, patience: float = 10.0) -> bool:
        """Wait until everything that was asked for so far is done; whether it was in time."""
        done = threading.Event()
        self.submit(f"{id(done)}", done.set)
        return done.wait(patience)

    def close(self, patience: float = 2.0) -> None:
        """Let what was begun end, for so many seconds."""
        self._worker.close(patience)

    def renew(self) -> None:
        """Begin anew in a forked child."""
        self._waiting, self._lock = set(), threading.Lock()

    def _work(self, jobs: Sequence[tuple[str, Callable[[], object]]]) -> None:
        for name, job in jobs:
            with self._lock:
                self._waiting.discard(name)
            try:
                job()
            except Exception as error:  # noqa: BLE001 - whatever one job runs into, the others are done
                self._worker.fail(error)


def _run(
    myself: weakref.ref[BackgroundWorker[Any]], wake: threading.Event, closing: threading.Event, gather: float
) -> None:
    """Run the thread of a worker, until it is closed or gone."""
    while True:
        wake.wait()
        if gather:
            closing.wait(gather)
        worker = myself()
        if worker is None or not worker._turn():  # noqa: SLF001 - this is its own module
            return
        del worker


def _renew_all() -> None:
    for item in list(_renewed):
        item.renew()


def _flush_all() -> None:
    for worker in list(_flushed):
        worker.flush(_AT_EXIT)


_AT_EXIT = 5.0
"""For how many seconds a worker that is at it holds up the end of the process."""
atexit.register(_flush_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
