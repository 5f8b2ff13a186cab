"""The store as an engine uses it: no call takes long, and none waits for a store that is known to be away.

A call that fails because the store is locked, silent, gone, full or read-only closes the guard: further calls
of its kind fail at once with the same reason, and a thread tries in the background until the store can be
written again. `from_memory` keeps an event loop's thread away from the store altogether."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Self, TypeVar, cast

from ..core.errors import HoldfastError, StoreError
from ..store.base import Store, StoreAway
from ..store.time_limit import seconds_allowed, time_limit
from .background import BackgroundWorker

T = TypeVar("T")
PATIENCE = 2.0
"""Seconds that a call may take."""
_SHORTLY = 1.0
"""The same for finding out whether the store can be used."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 0.3
"""Seconds between two tries to write to a store that is away."""
_LOOKS_EVERY = 0.02
READS = frozenset(
    (
        "session sessions sessions_named broken_sessions stored_session session_page sessions_on "
        "sessions_on_fallback sessions_using unused_sessions choices newest revision changes new_name "
        "evidence cooldowns journal holder token tokens usage models account_object first_object provision "
        "provisions broken_provisions status count_old"
    ).split()
)
"""The calls that go on while the store can be read and not written. All others write."""
_TRIED = "health"
"""The lease that is taken to find out whether the store can be written."""
_from_memory: ContextVar[bool] = ContextVar("from_memory", default=False)


class Unsettled(Exception):
    """Raised where memory does not suffice: ask again on a thread that may wait for the store."""


@contextmanager
def from_memory() -> Iterator[None]:
    """Use only what is in memory: a call of the guarded store raises Unsettled, before anything is done."""
    token = _from_memory.set(True)
    try:
        yield
    finally:
        _from_memory.reset(token)


def result_of(call: Callable[[], T]) -> T | HoldfastError:
    """Return what a call returns, or the error of ours that it raises: for a thread whose caller is told."""
    try:
        return call()
    except HoldfastError as error:
        return error


class StoreGuard:
    """Stands before a store (`guarded`). `back` is called, on a thread of ours, once the store can be written
    again."""

    def __init__(self, store: Store, back: Callable[[], object]) -> None:
        self.inner, self._back = store, back
        self.now, self.glance, self.wait = store.now, store.glance, store.wait
        self.far, self.tells = store.far, store.tells
        self.reads: StoreAway | None = None
        """Why nothing can be read now; None if it can, as far as is known."""
        self.writes: StoreAway | None = None
        """Why nothing can be written now; None if it can, as far as is known."""
        self._closed = threading.Event()
        self._retry: BackgroundWorker[None] = BackgroundWorker("holdfast-retry", self._try, most=1)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.inner, name)
        if name.startswith("_") or not callable(value):
            return value
        return partial(self._call, value, name not in READS)

    def close(self) -> None:
        """Close the store. A try that is under way ends by itself."""
        self._closed.set()
        self._retry.close(0.0)
        self.inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def is_back_within(self, seconds: float) -> bool:
        """Wait until the store can be written, as far as is known. Return False after so many seconds."""
        until = time.monotonic() + seconds
        while self.writes is not None:
            if time.monotonic() >= until:
                return False
            self._closed.wait(_LOOKS_EVERY)
        return True

    def why_not(self) -> StoreAway | None:
        """Return why a new session would be refused now; None if it would not. Tries it, for a second."""
        if self.writes is None:
            writes = False
            try:
                with time_limit(_SHORTLY):
                    self._call(self.inner.session, False, _TRIED)
                    writes = True
                    self._call(self._write, True)
            except StoreError as error:
                away = StoreAway(error.what, next_step=error.next_step)
                self._failed(away, writes=writes)
                self._retry.submit(None)
        return self.writes

    def _write(self) -> None:
        """Write a row that means nothing. Raises StoreError."""
        self.inner.lease(_TRIED, _TRIED, 0.0)

    def _call(self, call: Callable[..., Any], writes: bool, *args: Any, **options: Any) -> Any:
        if _from_memory.get():
            raise Unsettled
        away = self.writes if writes else self.reads
        if away is not None:
            raise StoreAway(away.what, next_step=away.next_step)
        allowed = seconds_allowed()
        with time_limit(min(PATIENCE, allowed)):
            try:
                return call(*args, **options)
            except StoreAway as error:
                if allowed >= PATIENCE:  # else its caller was impatient, which proves nothing
                    self._failed(error, writes=writes)
                if not self._closed.is_set():
                    self._retry.submit(None)
                raise

    def _failed(self, error: StoreAway, *, writes: bool) -> None:
        """Refuse calls of this kind from now on. What cannot be read cannot be written either."""
        self.writes = error
        if not writes:
            self.reads = error

    def _try(self, _: object) -> None:
        """Try until the store can be written."""
        pause = _FIRST_PAUSE
        while not self._closed.wait(pause):
            writes = False
            try:
                with time_limit(PATIENCE):
                    self.inner.revision()
                    self.reads, writes = None, True
                    self._write()
            except StoreAway as error:
                self._failed(error, writes=writes)
                pause = min(_LONGEST_PAUSE, 1.5 * pause)
            else:
                self.writes = None
                self._back()
                return


def guarded(store: Store, back: Callable[[], object]) -> tuple[Store, StoreGuard]:
    """Return the store as an engine uses it, and the guard before it."""
    guard = StoreGuard(store, back)
    return cast("Store", guard), guard
