"""The way home from a stand-in: when its lease has ended, the chosen connection is asked beside the requests,
never by a user's turn.

The request that comes after the end stays on its rung, and one small call of the chosen model goes out beside
it, for all processes of this home. If it is answered well, every session on that pin returns with its next
turn; a request in the middle of one (it brings a tool's result) stays where its prompt is cached, for ten
minutes at most. If not, the stand-in goes on for another lease. While this machine itself is offline nothing
is concluded. Nothing of this is ever written as anybody's choice, and where nobody asks, the lease still
ends: a turn that begins later than a second lease goes to the chosen connection itself."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..core.changes import NO_KEY, Change, FallbackStarted, key_succeeded
from ..core.classify import classify
from ..core.errors import SecretMissing
from ..core.faults import FaultClass, Phase, Reply
from ..core.identity import Endpoint, Route
from ..core.key_selection import select_key
from ..core.session import Session
from ..core.steps import Call
from ..store.journal_events import ChoiceAnswers, Detail, Event, FellBack
from .background import NamedJobs

if TYPE_CHECKING:
    from .state import Engine

Check = Callable[[Any, Any, Any], object]
_LEASE = 90.0
_AT_MOST_EVERY = 30.0
_JITTER = 0.2


def _check(connection: Any, secret: Any, profile: Any) -> object:
    from ..calls.api_calls import check_call

    return check_call(connection, secret, profile)


def _reachable(endpoint: Endpoint) -> bool:
    from ..calls.reachability import reachable

    return reachable(endpoint)


class FailbackMonitor:
    """One per engine. `roll` in [0, 1) is the jitter of the next look."""

    def __init__(
        self,
        engine: Engine,
        *,
        check: Check = _check,
        reachable: Callable[[Endpoint], bool] = _reachable,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine, self._ask, self._reachable, self._jitter, self._clock = (
            engine,
            check,
            reachable,
            jitter,
            clock,
        )
        self.jobs = NamedJobs("holdfast-failback", engine.journal_writer.tell)
        self._asked: dict[str, float] = {}
        engine.failback = self.stays

    def stays(self, session: Session, call: Call) -> bool:
        """Whether a request whose stand-in has just ended stays on its rung, because the chosen connection is
        asked beside it."""
        fallback_chain = self.engine.config().fallbacks.get(session.pin)
        if fallback_chain is None or not fallback_chain.check or session.active_fallback is None:
            return False
        name = f"home:{session.pin}:{session.key or ''}"
        now = self._clock()
        if now - self._asked.get(name, -_AT_MOST_EVERY) >= _AT_MOST_EVERY:
            self._asked[name] = now
            self.jobs.submit(name, partial(self._look, name, session, call))
        return True

    def close(self) -> None:
        self.jobs.close()

    def _look(self, name: str, session: Session, call: Call) -> None:
        """Ask the chosen connection, and act on its answer. One process of all does it."""
        engine = self.engine
        lease = engine.store.lease(name, engine.owner, _LEASE)
        if lease is None:
            return
        try:
            fault = self._fault(call.route, call.fallbacks)
            if fault is not None:
                self._settle(session, call.return_after, fault)
        finally:
            engine.store.release(lease)

    def _fault(self, route: Route, fallbacks: tuple[Route, ...]) -> str | None:
        """What is wrong with the chosen connection; "" when it answers, None when nobody can tell from
        here."""
        engine = self.engine
        now = engine.store.now()
        choice = select_key(route, engine.context(), now, (), kept_key=None, patience=0.0)
        connection = choice.connection
        if connection is None or choice.verdict is not None:
            return (
                str(choice.verdict.fault.kind)
                if choice.verdict is not None
                else str(FaultClass.AUTH_REJECTED)
            )
        try:
            secret = engine.vault.secret(connection.key) if connection.key is not None else None
        except SecretMissing:
            return str(FaultClass.AUTH_REJECTED)
        got = self._ask(connection, secret, engine.profile(connection))
        if isinstance(got, Reply):
            alone = got.status is None and got.phase is not Phase.BODY
            if alone and not any(self._reachable(fallback.connection.endpoint) for fallback in fallbacks):
                return None  # neither can be reached: it is this machine that is offline
            return str(classify(got, engine.profile(connection), now=now).kind)
        fingerprint = engine.fingerprint(connection.key) if connection.key is not None else NO_KEY
        if fingerprint is not None:
            good = key_succeeded(
                engine.health.evidence(fingerprint, connection.endpoint),
                connection,
                engine.store.now(),
                was_cooled=True,
            )
            engine.health.apply(good)
            engine.persist([good], now)
        return ""

    def _settle(self, asked: Session, return_after: float, fault: str) -> None:
        """Let the sessions of this pin go home with their next turn, or their rungs stand in for another
        lease."""
        engine = self.engine
        now = engine.store.now()
        until = now + return_after * (1.0 - _JITTER * self._jitter())
        changes: list[Change] = []
        events: list[Event[Detail]] = []
        for row in engine.store.sessions():
            active_fallback = row.active_fallback
            if (
                active_fallback is None
                or (row.pin, row.key) != (asked.pin, asked.key)
                or active_fallback.is_released(now, return_after)
            ):
                continue
            if fault and active_fallback.until > now:
                continue
            lasts = (
                replace(active_fallback, reason=fault, until=until)
                if fault
                else active_fallback.released(now, return_after)
            )
            changes.append(FallbackStarted(row.id, str(lasts.fallback), lasts.reason, lasts.until))
            if fault:
                events.append(
                    Event(at=now, detail=FellBack(fault, until), session=row.id, pin=str(lasts.fallback))
                )
            else:
                events.append(Event(at=now, detail=ChoiceAnswers(), session=row.id, pin=str(row.pin)))
        engine.persist(changes, now)
        engine.journal(*events)
        engine.catch_up()
