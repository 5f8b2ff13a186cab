"""Calls of code that is not ours and may never return: a keyring, a function of the calling program."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from math import inf

from .sources import Silent

Fetched = tuple[str, float | None]
DEADLINE = 10.0
"""Seconds that a request waits for such a call."""


class ForeignCall:
    """A call that is made in a thread of its own and waited for no longer than its deadline. A thread that
    takes longer is left alone, and no second one is started beside it: what it returns in the end is given to
    whoever asks next. Used by one thread at a time."""

    def __init__(self, call: Callable[[], Fetched], seconds: float | None = None) -> None:
        self._call, self._seconds = call, DEADLINE if seconds is None else seconds
        self._pending: Future[Fetched] | None = None

    def __call__(self) -> Fetched:
        """Return what the call returns. Raises what it raises, and Silent where it takes too long."""
        pending, patience = self._pending, 0.0
        if pending is None:
            pending, patience = Future(), self._seconds
            self._pending = pending
            threading.Thread(target=self._run, args=(pending,), name="holdfast-key", daemon=True).start()
        if not wait([pending], patience).done:
            raise Silent(f"gave no answer within {self._seconds:g} s", inf)
        self._pending = None
        return pending.result()

    def _run(self, pending: Future[Fetched]) -> None:
        try:
            pending.set_result(self._call())
        except BaseException as error:  # is raised in the thread of the caller
            pending.set_exception(error)
