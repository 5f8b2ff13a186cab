"""The return from a fallback to the chosen connection, tested in the background and never by a user's turn.

When a fallback's time is over, the next request stays on it, and one small call of the chosen model goes out
beside the requests, once for all processes of this home. If it is answered well, every session on that pin
returns with its next turn; a request in the middle of a turn (it brings a tool's result) stays where its
prompt is cached, for ten minutes at most. If not, the fallback goes on for another lease. While this machine
is offline nothing is concluded. Nothing of this is ever stored as a user's choice. Without any test the lease
still ends: a turn that begins later than a second lease goes to the chosen connection itself."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ..calls.api_calls import check_call
from ..calls.reachability import reachable as can_reach
from ..core.changes import Change, FallbackStarted
from ..core.faults import Phase
from ..core.identity import Endpoint
from ..core.session import ActiveFallback, Session
from ..core.steps import Call
from ..store.journal_events import ChoiceAnswers, Detail, Event, FellBack
from .background import NamedJobs
from .check import AskOnce, check_route
from .state import Engine

_LEASE = 90.0
"""Seconds for which one process of all does the test."""
_AT_MOST_EVERY = 30.0
"""Seconds between two tests of one pin by this process."""
_JITTER = 0.2
"""The part of a lease by which it may be shorter, so that sessions do not return together."""


class FailbackMonitor:
    """Tests the chosen connections of sessions that are on a fallback. One per engine.

    `ask` makes the small call, `reachable` says whether an endpoint's host takes connections, `jitter` gives
    a number in [0, 1), `clock` monotonic seconds."""

    def __init__(
        self,
        engine: Engine,
        *,
        check: AskOnce = check_call,
        reachable: Callable[[Endpoint], bool] = can_reach,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine = engine
        self.jobs = NamedJobs("holdfast-failback", engine.journal_writer.tell)
        self._ask, self._reachable = check, reachable
        self._jitter, self._clock = jitter, clock
        self._asked: dict[str, float] = {}
        engine.dispatcher.failback = self.should_stay

    def should_stay(self, session: Session, call: Call) -> bool:
        """Return whether a request whose fallback has just ended stays on it, because a test is under way."""
        chain = self.engine.config().fallbacks.get(session.pin)
        if chain is None or not chain.check or session.active_fallback is None:
            return False
        # the lease's name in the store, shared with older software
        name = f"home:{session.pin}:{session.key or ''}"
        now = self._clock()
        if now - self._asked.get(name, -_AT_MOST_EVERY) >= _AT_MOST_EVERY:
            self._asked[name] = now
            self.jobs.submit(name, partial(self._test, name, session, call))
        return True

    def close(self) -> None:
        self.jobs.close()

    def _test(self, name: str, session: Session, call: Call) -> None:
        """Ask the chosen connection, and act on its answer. One process of all does it."""
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
        """Return what is wrong with the chosen connection: "" if it answers, None if it cannot be told from
        here."""
        engine = self.engine
        limits = replace(engine.config().settings, wait_budget=0.0, probe_delays=())
        fault = check_route(engine, call.route, limits, ask=self._ask).outcome.fault
        if fault is None:
            return ""
        unreachable = fault.sent and fault.status is None and fault.phase is not Phase.BODY
        if unreachable and not any(self._reachable(route.connection.endpoint) for route in call.fallbacks):
            return None  # neither can be reached: this machine is offline
        return str(fault.kind)

    def _settle(self, tested: Session, return_after: float, fault: str) -> None:
        """Let the sessions of this pin return with their next turn, or give their fallbacks another lease."""
        engine = self.engine
        now = engine.store.now()
        until = now + return_after * (1.0 - _JITTER * self._jitter())
        changes: list[Change] = []
        events: list[Event[Detail]] = []
        for session in engine.store.sessions():
            fallback = session.active_fallback
            if fallback is None or (session.pin, session.key) != (tested.pin, tested.key):
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
