"""Work that the process finishes before it ends, since its result cannot be had a second time.

A renewal spends a refresh token: whoever ends between the service's answer and the write loses the sign-in.
So a renewal runs on a thread of its own, and no exception in the thread that waits for it, such as Ctrl-C,
ends it. The interpreter waits for it at the end, also in a child of multiprocessing, which runs no atexit
functions; but never longer than the work may take."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
_running: set[_Work[Any]] = set()
_end = threading.Event()
"""Set when the interpreter is about to end: then it waits for no further thread."""


class NotFinished(Exception):
    """Raised for work that takes too long, or cannot begin any more since the interpreter ends."""


class InFlight:
    """The work of one owner that is under way. Each may take `longest` seconds."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._mine: set[_Work[Any]] = set()

    def finish(self, call: Callable[[], T], patience: float) -> T:
        """Return the result of `call`, or raise its error. The end of `patience` (seconds), or an exception
        in this thread, such as KeyboardInterrupt, ends the wait and not the call. Raises NotFinished."""
        work = _Work(call, self._longest, self._mine)
        work.start()
        return work.result(patience)

    def settle(self) -> None:
        """Wait until all that is under way has ended, or has taken longer than it may."""
        for work in list(self._mine):
            work.wait()


class _Work(Generic[T]):
    def __init__(self, call: Callable[[], T], longest: float, owner: set[_Work[Any]]) -> None:
        self._call, self._longest, self._owner = call, longest, owner
        self._began, self._process = time.monotonic(), os.getpid()
        self._done = threading.Event()
        self._results: list[T] = []
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Start the call. At the end of the interpreter only its main thread may, and waits for it."""
        self._owner.add(self)
        _running.add(self)
        if not _end.is_set():
            try:
                # The interpreter joins the first of them, which ends in time even if the second does not.
                threading.Thread(target=self.wait, name="holdfast-keeper", daemon=False).start()
                threading.Thread(target=self._run, name="holdfast-renewal", daemon=True).start()
                return
            except RuntimeError:  # too late for a thread, or too many
                pass
        if _end.is_set() and threading.current_thread() is not threading.main_thread():
            self._finished()
            raise NotFinished("the program is about to end")
        self._run()

    def result(self, patience: float) -> T:
        if not self._done.wait(patience):
            raise NotFinished(f"no answer within {patience:.0f} s")
        if self._failure is not None:
            raise self._failure
        return self._results[0]

    def wait(self) -> bool:
        """Wait for the end of the call, at most as long as it may take. A forked child does not wait for its
        parent's. Return whether it has ended."""
        if os.getpid() != self._process:
            return False
        return self._done.wait(max(0.0, self._began + self._longest - time.monotonic()))

    def _run(self) -> None:
        try:
            self._results.append(self._call())
        except BaseException as error:
            self._failure = error
        finally:
            self._finished()

    def _finished(self) -> None:
        self._owner.discard(self)
        _running.discard(self)
        self._done.set()


def _settle_all() -> None:
    _end.set()
    for work in list(_running):
        work.wait()


atexit.register(_settle_all)
