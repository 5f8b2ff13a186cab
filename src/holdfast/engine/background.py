"""Work that no request waits for: one thread, at most one job for each name, none of them lost silently."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue

Jobs = SimpleQueue[tuple[str, Callable[[], object]] | None]


class BackgroundWorker:
    """Jobs by name, done in order. `failed` is told of what a job runs into; the thread goes on."""

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=partial(_renew, weakref.ref(self)))

    def _begin(self) -> None:
        """Also anew in a forked child, where the thread is not."""
        self._jobs: Jobs = SimpleQueue()
        self._waiting: set[str] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def do(self, name: str, job: Callable[[], object]) -> None:
        """Do this job soon, unless one of this name waits already."""
        with self._lock:
            if name in self._waiting:
                return
            if self._thread is None or not self._thread.is_alive():
                self._jobs = SimpleQueue()
                self._thread = threading.Thread(
                    target=self._work, args=(self._jobs,), name="holdfast-later", daemon=True
                )
                self._thread.start()
            self._waiting.add(name)
            self._jobs.put((name, job))

    def settle(self, patience: float = 10.0) -> bool:
        """Wait until everything that was asked for so far is done; whether it was in time."""
        done = threading.Event()
        self.do(f"{id(done)}", done.set)
        return done.wait(patience)

    def close(self, patience: float = 2.0) -> None:
        """Let what was begun end, for so many seconds."""
        with (
            self._lock
        ):  # what is asked for from here on is another thread's: this one ends after what it has
            ending, self._thread = self._thread, None
            self._jobs.put(None)
        if ending is not None:
            ending.join(patience)

    def _work(self, jobs: Jobs) -> None:
        while (next_one := jobs.get()) is not None:
            name, job = next_one
            with self._lock:
                self._waiting.discard(name)
            try:
                job()
            except Exception as error:  # noqa: BLE001 - whatever one job runs into, the thread goes on
                self._failed(error)


def _renew(ref: weakref.ref[BackgroundWorker]) -> None:
    later = ref()
    if later is not None:
        later._begin()  # noqa: SLF001 - this is its own module
