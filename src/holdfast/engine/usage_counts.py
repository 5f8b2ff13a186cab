"""Counting usage in memory, and adding it to the store's sums every few seconds.

Nothing is lost while the store is away: what could not be added is added later, and nothing is added twice. A
process that is killed loses the last seconds of its own counts; one that ends in order loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..core.errors import StoreError
from ..store.base import Store
from ..store.batch import new_writer
from ..store.time_limit import seconds_allowed
from ..store.usage import Usage, day_of
from ..wire.usage import in_and_out
from .background import BackgroundWorker, renew_after_fork

_GATHER = 5.0
"""Seconds for which counts gather: the more, the fewer rows are written."""
_MOST_WAITING = 200_000
"""Requests that may wait to be summed, which takes no store."""
_MOST_SUMS = 50_000
"""Sums that may wait for the store; then the requests of further sessions are summed together."""
_PORTION = 500
"""Sums that are added in one transaction."""
_DAY = 86_400
_PATIENCE = 5.0
"""Seconds that closing waits for the store."""


class Counted(NamedTuple):
    """An answered request at `at` (epoch seconds), with the provider's counts under its names or by kind."""

    at: float
    session: str
    key: str
    pin: str
    usage: Mapping[str, int]


class UsageCounts:
    """The counts of one process. `count` takes a `Counted` and is cheap: every request passes it."""

    def __init__(self, store: Store, tell: Callable[[Exception], object]) -> None:
        self._store, self._tell = store, tell
        self.renew()
        renew_after_fork(self)
        self._worker: BackgroundWorker[Counted] = BackgroundWorker(
            "holdfast-usage", self._add, most=_MOST_WAITING, gather=_GATHER, failed=tell, at_exit=True
        )
        self.count = self._worker.submit

    def renew(self) -> None:
        """Begin anew in a forked child: the parent adds what it counted."""
        self._lock = threading.Lock()
        self._sums: dict[tuple[str, str, str, str], list[int]] = {}
        self._sent: list[Usage] = []
        self._batch = new_writer()

    def flush(self) -> None:
        """Add what is counted to the store's sums, now and on this thread."""
        if self._worker.waiting:
            self._worker.flush()
        else:
            self._save()

    @property
    def unsaved(self) -> bool:
        """Return whether something is counted that is not added."""
        return bool(self._worker.waiting or self._sums or self._sent)

    def close(self) -> None:
        """Add what is counted, and end the thread; wait a few seconds for the store at most."""
        self._worker.close(_PATIENCE)
        self._save()

    def _add(self, requests: Sequence[Counted]) -> None:
        days: dict[float, str] = {}
        with self._lock:
            for at, session, key, pin, usage in requests:
                number = at // _DAY
                day = days.get(number)
                if day is None:
                    day = days[number] = day_of(at)
                name = (day, session, key, pin)
                if name not in self._sums and len(self._sums) >= _MOST_SUMS:
                    name = (day, "", key, pin)
                counts = self._sums.setdefault(name, [0, 0, 0])
                taken, made = in_and_out(usage)
                counts[0] += 1
                counts[1] += taken
                counts[2] += made
        self._save()

    def _save(self) -> None:
        """Add the sums to the store's, in portions. What could not be added is sent again as it was, since it
        may have been added all the same."""
        if not self._lock.acquire(timeout=seconds_allowed()):
            return
        try:
            names = sorted(self._sums)
            self._send()
            for first in range(0, len(names), _PORTION):
                portion = names[first : first + _PORTION]
                self._sent = [Usage(*name, *self._sums.pop(name)) for name in portion]
                self._batch = self._batch.after()
                self._send()
        except StoreError as error:
            self._tell(error)
        finally:
            self._lock.release()

    def _send(self) -> None:
        """Add the portion that is under way, if there is one. Raises StoreError."""
        if self._sent:
            self._store.add_usage(self._sent, self._batch)
            self._sent = []
