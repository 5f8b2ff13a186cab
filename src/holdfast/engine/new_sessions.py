"""Stores the first rows of sessions: who creates one waits for its commit, and all who come meanwhile share
the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

from ..core.errors import StoreError
from ..store.base import NewSession, Store, StoreAway
from .background import BackgroundWorker
from .store_guard import PATIENCE

_MOST = 5_000
"""New sessions that may wait."""
_AT_ONCE = 500
"""New sessions that are stored by one statement."""
_MARGIN = 0.5
"""Seconds that one waits longer than the store may take: its refusal says more."""
_NEXT_STEP = "holdfast doctor"


class NewSessions:
    """The sessions that wait for their first row. Thread-safe."""

    def __init__(self, store: Store, failed: Callable[[Exception], object]) -> None:
        self._store = store
        self._worker: BackgroundWorker[tuple[NewSession, Future[bool]]] = BackgroundWorker(
            "holdfast-sessions", self._create, most=None, failed=failed
        )

    def create(self, new: NewSession) -> bool:
        """Store a new session. Return False if its id is in use. Waits for the store, but not for long.
        Raises StoreError."""
        if self._worker.waiting >= _MOST:
            raise StoreAway(f"{_MOST} new sessions wait for the store already", next_step=_NEXT_STEP)
        created: Future[bool] = Future()
        self._worker.submit((new, created))
        try:
            return created.result(PATIENCE + _MARGIN)
        except TimeoutError:
            created.cancel()
            raise StoreAway(
                f"the store did not take the session within {PATIENCE:g} s", next_step=_NEXT_STEP
            ) from None

    def close(self) -> None:
        """End the thread; who still waits is refused."""
        self._worker.close(0.0)

    def _create(self, waiting: Sequence[tuple[NewSession, Future[bool]]]) -> None:
        for begin in range(0, len(waiting), _AT_ONCE):
            # One who gave up is told that there is no session; so none is made.
            batch = [
                each for each in waiting[begin : begin + _AT_ONCE] if each[1].set_running_or_notify_cancel()
            ]
            try:
                made = self._store.create_sessions([new for new, _ in batch])
            except StoreError as error:
                for _, created in batch:
                    _tell(created, StoreAway(error.what, next_step=error.next_step))
            else:
                for (session, _), created in batch:
                    first = session.id in made
                    made.discard(session.id)
                    _tell(created, first)


def _tell(created: Future[bool], result: bool | StoreError) -> None:
    with suppress(InvalidStateError):
        if isinstance(result, StoreError):
            created.set_exception(result)
        else:
            created.set_result(result)
