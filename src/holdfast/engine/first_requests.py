"""The first requests of sessions that are not in memory. All that come meanwhile share one statement, and a
second one where another process made some of the sessions.

Nearly every session that a process does not know is new, so it is created before it is looked for. What
cannot be created so is left to the start of its request, which knows every refusal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from ..core.errors import HoldfastError, StoreError
from ..store.base import NewSession, Store, StoreAway
from ..store.time_limit import time_limit
from .account_objects import AccountObjects
from .background import BackgroundWorker
from .config_watch import ConfigWatch
from .known_sessions import KnownSessions
from .store_guard import PATIENCE

_MOST = 5_000
"""Requests that may wait."""
_AT_ONCE = 500
"""Sessions that are stored by one statement."""
_GATHER_FAR = 0.005
"""Seconds for which they gather where each statement is planned by a server: of twenty at once, one costs the
tenth part."""
_NEXT_STEP = "holdfast doctor"
_MOMENT = 0.1
"""Seconds for which a session is looked for after its request has waited for too long."""


class SessionsOfEngine(Protocol):
    """The engine as first requests see it."""

    store: Store
    sessions: KnownSessions
    objects: AccountObjects
    config_watch: ConfigWatch

    def keep_up(self) -> None:
        """Take over what others wrote, as often as a request does. Raises Closed."""
        ...


@dataclass(frozen=True, slots=True)
class FirstRequest:
    """A request in a session that is not in memory.

    `plan` returns the session that may be made for it at a time (epoch seconds), None for none. `begun` is
    called when it was made, and `done` at last: with the error that its client is told, or None where the
    request can be started. All three are called on a thread of ours."""

    session: str
    plan: Callable[[float], NewSession | None]
    begun: Callable[[], object]
    done: Callable[[HoldfastError | None], object]
    since: float = field(default_factory=time.monotonic)


class FirstRequests:
    """The first requests that wait. Thread-safe."""

    def __init__(self, engine: SessionsOfEngine, failed: Callable[[Exception], object]) -> None:
        self._engine = engine
        self._worker: BackgroundWorker[FirstRequest] = BackgroundWorker(
            "holdfast-first",
            self._work,
            most=None,
            gather=_GATHER_FAR if engine.store.far else 0.0,
            failed=failed,
        )

    def submit(self, first: FirstRequest) -> None:
        """Have the session of a request created or found. Returns at once."""
        if self._worker.waiting >= _MOST:
            first.done(StoreAway(f"{_MOST} new sessions wait for the store already", next_step=_NEXT_STEP))
        else:
            self._worker.submit(first)

    def close(self) -> None:
        """End the thread."""
        self._worker.close(0.0)

    def _work(self, waiting: Sequence[FirstRequest]) -> None:
        for begin in range(0, len(waiting), _AT_ONCE):
            latest, portion = time.monotonic() - PATIENCE, waiting[begin : begin + _AT_ONCE]
            self._find([first for first in portion if first.since < latest])
            batch = [first for first in portion if first.since >= latest]
            away = None
            try:
                self._begin(batch)
            except StoreAway as error:
                away = StoreAway(error.what, next_step=error.next_step)
            # Whatever a batch meets, its clients are answered, and those of the next one.
            except Exception as error:  # noqa: BLE001
                self._worker.fail(error)
            for first in batch:
                known = self._engine.sessions.peek(first.session) is not None
                first.done(None if known else away)

    def _find(self, late: Sequence[FirstRequest]) -> None:
        """Answer requests that have waited for too long: a session that is stored is served, none is made."""
        if late:
            with suppress(StoreError), time_limit(_MOMENT):
                self._engine.sessions.load({first.session for first in late})
        for first in late:
            known = self._engine.sessions.peek(first.session) is not None
            away = _away(f"the store did not take the session within {PATIENCE:g} s")
            first.done(None if known else away)

    def _begin(self, batch: Sequence[FirstRequest]) -> None:
        """Create or find the sessions of these requests. Raises StoreError."""
        engine = self._engine
        engine.config_watch.expire()
        with suppress(HoldfastError):
            engine.keep_up()
        turn, away = engine.sessions.turn, None
        requests, made = {first.session: first for first in reversed(batch)}, set[str]()
        new = dict(self._planned(requests.values()))
        try:
            made = engine.store.create_sessions(new.values()) if new else made
        except StoreAway as error:
            away = error  # what others made may still be read
        for name in made:
            requests[name].begun()
            if engine.sessions.add(new[name][0], turn):
                engine.objects.none_yet(name)
        others = [name for name in requests if name not in made]
        engine.sessions.load(others)
        for name in others:
            if engine.sessions.peek(name) is not None:
                engine.objects.load(name)
        if away is not None:
            raise away

    def _planned(self, requests: Iterable[FirstRequest]) -> Iterator[tuple[str, NewSession]]:
        """Yield the sessions that may be made for these requests, by id."""
        engine = self._engine
        now = engine.store.now()
        for first in requests:
            if engine.sessions.peek(first.session) is None:
                with suppress(HoldfastError):
                    new = first.plan(now)
                    if new is not None:
                        yield first.session, new


def _away(what: str) -> StoreAway:
    return StoreAway(what, next_step=_NEXT_STEP)
