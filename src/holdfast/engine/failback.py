"""The return from a fallback to the chosen connection, tested in the background and never by a user's turn.

When a fallback's time is over, the next request stays on it, and one small call of the chosen model is made
in the background, once for all processes of this home. If it succeeds, every session on that pin returns
with its next turn; a request in the middle of a turn (it brings a tool's result) stays where its prompt is
cached, for ten minutes at most. If it fails, the fallback is kept for another lease. While this machine is
offline nothing changes. None of this is stored as a user's choice. Without any test the lease still ends: a
turn that begins later than a second lease goes to the chosen connection itself."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ..calls.reachability import reachable as can_reach
from ..core.changes import Change, FallbackStarted
from ..core.faults import Phase
from ..core.identity import Endpoint
from ..core.session import ActiveFallback, Session
from ..core.steps import Call
from ..store.journal_events import ChoiceAnswers, Detail, Event, FellBack
from .background import NamedJobs
from .check import AskOnce, ask_once, check_route
from .state import Engine

_LEASE = 90.0
"""Seconds for which one process alone may do the test."""
_AT_MOST_EVERY = 30.0
"""Seconds between two tests of one pin by this process."""
_JITTER = 0.2
"""The fraction by which a lease may be shorter, so that sessions do not all return at once."""


class FailbackMonitor:
    """Tests the chosen connections of sessions that are on a fallback. One per engine.

    `check` makes the small call, `reachable` tells if an endpoint's host takes connections, `jitter` returns
    a number in [0, 1), `clock` monotonic seconds."""

    def __init__(
        self,
        engine: Engine,
        *,
        check: AskOnce | None = None,
        reachable: Callable[[Endpoint], bool] = can_reach,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine = engine
        self.jobs = NamedJobs("holdfast-failback", engine.journal_writer.warn_once)
        self._ask: AskOnce = check or partial(ask_once, network=engine.network)
        self._reachable = reachable
        self._jitter, self._clock = jitter, clock
        self._asked: dict[str, float] = {}
        engine.dispatcher.failback = self.should_stay

    def should_stay(self, session: Session, call: Call) -> bool:
        """Return True if a request whose fallback has just ended stays on it, because a test is under way."""
        chain = self.engine.config().fallbacks.get(session.pin)
        if chain is None or not chain.check or session.active_fallback is None:
            return False
        # The lease's name in the store is shared with older versions.
        name = f"home:{session.pin}:{session.key or ''}"
        now = self._clock()
        if now - self._asked.get(name, -_AT_MOST_EVERY) >= _AT_MOST_EVERY:
            self._asked[name] = now
            self.jobs.submit(name, partial(self._test, name, session, call))
        return True

    def close(self) -> None:
        self.jobs.close()

    def _test(self, name: str, session: Session, call: Call) -> None:
        """Test the chosen connection and act on the result, in one process at a time."""
        store, owner = self.engine.store, self.engine.owner
        lease = store.lease(name, owner, _LEASE)
        if lease is None:
            return
        try:
            fault = self._fault(call)
            if fault is not None:
                self._settle(session, call.return_after, fault)
        finally:
            store.release(lease)

    def _fault(self, call: Call) -> str | None:
        """Return the fault class of the chosen connection: "" if it answers, None if this machine is
        offline."""
        engine = self.engine
        limits = replace(engine.config().settings, wait_budget=0.0, probe_delays=())
        fault = check_route(engine, call.route, limits, ask=self._ask).outcome.fault
        if fault is None:
            return ""
        unreachable = fault.sent and fault.status is None and fault.phase is not Phase.BODY
        if unreachable and not any(self._reachable(route.connection.endpoint) for route in call.fallbacks):
            return None
        return str(fault.kind)

    def _settle(self, tested: Session, return_after: float, fault: str) -> None:
        """Let the sessions of this pin return with their next turn, or extend their fallbacks by a lease."""
        engine = self.engine
        now = engine.store.now()
        until = now + return_after * (1.0 - _JITTER * self._jitter())
        changes: list[Change] = []
        events: list[Event[Detail]] = []
        for session in engine.store.sessions_on_fallback(tested.pin):
            fallback = session.active_fallback
            if fallback is None or session.key != tested.key:
                continue
            if fallback.is_released(now, return_after) or (fault and fallback.until > now):
                continue
            if fault:
                changed = replace(fallback, reason=fault, until=until)
                detail: Detail = FellBack(fault, until)
                pin = changed.fallback
            else:
                changed = fallback.released(now, return_after)
                detail = ChoiceAnswers()
                pin = session.pin
            changes.append(_started(session, changed))
            events.append(Event(at=now, detail=detail, session=session.id, pin=str(pin)))
        engine.persist(changes, now)
        engine.journal(*events)
        engine.catch_up()


def _started(session: Session, fallback: ActiveFallback) -> FallbackStarted:
    return FallbackStarted(session.id, str(fallback.fallback), fallback.reason, fallback.until)
