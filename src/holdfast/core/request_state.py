"""The state of one request while `request_flow` works on it: what it has cost, and what it has learnt."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from .bound import labelled, made_by, of_other_accounts
from .changes import NO_KEY, Change, Cooldown, Evidence, Owner, key_succeeded
from .faults import REFUSALS, Fault, FaultClass, Phase
from .identity import Connection
from .key_selection import DecisionContext, KeySelection, remembered, select_key
from .recovery_policy import Rule, rule_for
from .routes import Route
from .steps import Answer, Attempt, Call, sends_of

_TOO_LATE = "not tried again: the deadline of the call comes first"


class RequestState:
    """A request: its attempts, what may still be spent on it, and the changes since the last step.

    `route` is the one being tried, `tried` holds the labels of its keys that are done with. `reserved` sends
    are kept for the routes after it. `wait_budget` is in seconds. `account` is the connection to whose
    account the request is bound, as far as that is known; `went_back` says that it left it before. `silent`
    is the first connection whose key's source gave nothing."""

    def __init__(
        self, call: Call, context: DecisionContext, now: float, sent: KeySelection | None = None
    ) -> None:
        self.call, self.context, self.now, self.sent_before = call, context, now, sent
        self.attempts: list[Attempt] = []
        self.pending: list[Change] = []
        self.refreshed: set[str] = set()
        self.connection = call.route.connection
        self.fault: Fault | None = None
        self.memory_ends: float | None = None
        self.went_back = False
        self.routes: Sequence[Route] = (call.route, *call.fallbacks)
        self.account: Connection | None = None
        self.silent: Connection | None = None
        if call.bound:
            self.routes, self.account = _permitted(self.routes, call, context)
        self.reserved = 0
        self.sends_left = max(1, call.limits.sends - call.client_retries)
        self.wait_budget = call.limits.wait_budget

    def begin(self, route: Route) -> None:
        """Turn to a route, none of whose keys has been tried."""
        self.route = route
        self.tried: set[str] = set()
        if self.account is not None:
            self.tried = of_other_accounts(route, self.account)

    def stay(self, connection: Connection) -> None:
        """Let no other account than the connection's get a request that is bound."""
        if self.call.bound:
            self.account = connection
            self.tried |= of_other_accounts(self.route, connection)

    def goes_back(self, refused: Connection) -> bool:
        """Return whether the account that answered before is asked again: another has refused what the
        request refers to, which is put down to the change."""
        if self.went_back or self.fault is None or self.fault.cause != "replay_state":
            return False
        asked = (attempt.connection for attempt in self.attempts)
        first = next(connection for connection in asked if connection in self.route.connections)
        before = labelled(self.route, self.call.kept_key) or first
        others = of_other_accounts(self.route, before)
        if self.call.owner is not None or refused.label not in others:
            return False
        self.went_back, self.tried = True, others
        self.decide(f"put down to the change of account: went back to key '{before.label}'")
        return True

    def keeps(self, connection: Connection) -> bool:
        """Return whether the session keeps this key of its choice. A request that refers to nothing does not
        take it from the account that holds what its other requests refer to."""
        call, route = self.call, self.route
        if not call.chosen or len(route.connections) == 1:
            return False
        if call.bound:
            return True
        kept = labelled(route, call.kept_key)
        holder = made_by(route, self.context.first_owner(call.session), self.context)
        return holder is None or connection.label not in of_other_accounts(route, kept or holder)

    def select(self) -> KeySelection:
        """Return the next key of the route; first that with which the request was sent before."""
        before, self.sent_before = self.sent_before, None
        if before is not None:
            return before
        kept, patience = self.call.kept_key, self.wait_left
        return select_key(self.route, self.context, self.now, self.tried, kept_key=kept, patience=patience)

    def take(self) -> tuple[Change, ...]:
        """Return the changes since the last step, for the driver to persist."""
        changes, self.pending = tuple(self.pending), []
        return changes

    def learn(self, *changes: Change) -> None:
        """Apply changes to what is known of keys and endpoints. A passthrough request changes nothing."""
        if self.call.passthrough:
            return
        for change in changes:
            self.context.health.apply(change)
            self.pending.append(change)

    def waited(self, answer: Answer) -> None:
        """Count the time that other requests made this one wait."""
        self.wait_budget -= max(0.0, answer.now - self.now)
        self.now = answer.now

    def decide(self, then: str) -> None:
        """Write down what was done after the last attempt."""
        last = self.attempts[-1]
        if last.then:
            then = f"{last.then}; {then}"
        self.attempts[-1] = last._replace(then=then)

    def note_switch(self, connection: Connection) -> None:
        """Write down that the request goes on with another key, or falls back to another pin."""
        if connection.pin in (self.connection.pin, self.call.route.connection.pin):
            self.decide(f"went on with {connection}")
        else:
            self.decide(f"fell back to {connection}")

    def probe_delays(self, connection: Connection, fingerprint: str) -> list[float]:
        """Return the seconds before each probe of a key; none where a verdict says that it was refused
        before."""
        refused = self.context.health.cooldown(fingerprint, connection)
        if refused is not None and refused.fault.kind in REFUSALS:
            return []
        return list(self.call.limits.probe_delays)

    def has_healthy_spare(self, connection: Connection) -> bool:
        """Return whether another key of the route can be used now."""
        excluded = {*self.tried, connection.label}
        spare = select_key(self.route, self.context, self.now, excluded, kept_key=None, patience=0.0)
        return spare.connection is not None and spare.verdict is None and self.may_rotate()

    def note_left_out(self) -> None:
        """Write down which of the listed fallbacks could not be asked, once the choice has failed."""
        if self.attempts:
            for reason in self.call.left_out:
                self.decide(reason)

    @property
    def why(self) -> str:
        """Return why the next request is sent; empty for the first."""
        return self.attempts[-1].then if self.attempts else ""

    def rests(self, route: Route) -> bool:
        """Return whether all endpoints or models of the route are cooling down; then other routes come
        first."""
        verdict: Cooldown | None = None
        for connection in route.connections:
            verdict = self.context.health.resting(connection, self.now)
            if verdict is None:
                return False
        if verdict is not None and not self.sent:
            self.recall(route.connection, verdict)
        return True

    def recall(self, connection: Connection, cooldown: Cooldown) -> Rule:
        """Take the true last fault from memory, since it says that nothing may be asked. Return its rule."""
        fault = remembered(cooldown, self.now)
        if self.sent:
            self.decide(f"{connection} was not asked: its last failure, {fault.kind}, still applies")
        if self._tells(connection):
            self.connection, self.fault, self.memory_ends = connection, fault, cooldown.until
        return rule_for(fault, worked_here=cooldown.until != inf)

    def _tells(self, connection: Connection) -> bool:
        """Return whether the user is told the fault of this connection, for which nothing was sent: the
        first, or that of the choice, but never in place of one for which a request left, unless that was
        put down to a change of account."""
        if self.sent:
            return self.went_back
        return self.fault is None or connection.pin == self.call.route.connection.pin

    def worked(self, connection: Connection, evidence: Evidence, sent_at: float, probe: bool) -> None:
        """Note a good answer."""
        health = self.context.health
        number = sends_of(self.attempts) + 1
        values = (number, connection, sent_at, self.now, None, probe, "")
        self.attempts.append(Attempt._make(values))
        self.connection = connection
        health.bucket(connection.endpoint).succeed()
        was_cooled = health.cooldown(evidence.fingerprint, connection) is not None
        self.learn(key_succeeded(evidence, connection, self.now, was_cooled=was_cooled))

    def failed(self, connection: Connection, fault: Fault, sent_at: float, probe: bool = False) -> None:
        """Note a failed answer, or a key that could not be read."""
        number, tells = sends_of(self.attempts) + 1, True
        if fault.phase is Phase.UNSENT:
            number, tells = 0, self._tells(connection)
            if fault.kind is FaultClass.TRANSIENT:
                self.silent, tells = self.silent or connection, tells or connection == self.connection
        self.attempts.append(Attempt(number, connection, sent_at, self.now, fault=fault, probe=probe))
        if tells:
            self.connection, self.fault, self.memory_ends = connection, fault, None

    @property
    def wait_left(self) -> float:
        """Return the seconds that it may wait, within its budget and before its caller's deadline."""
        return min(self.wait_budget, self.call.ends - self.now)

    def in_time(self, after: float = 0.0) -> bool:
        """Return whether a send in so many seconds comes before the deadline; write down that none does."""
        if self.now + after < self.call.ends:
            return True
        if self.attempts and _TOO_LATE not in self.attempts[-1].then:
            self.decide(_TOO_LATE)
        return False

    def may_send(self, *, probing: bool = False) -> bool:
        """Return whether another send is within what one request may cost. What cannot be replayed is sent
        once."""
        if not self.call.replayable and self.sent:
            return False
        return (probing or self.sends_left > 0) and self.in_time()

    def may_rotate(self) -> bool:
        """Return whether another key may be used for this request."""
        return self.may_send() and len(self.sent) <= self.call.limits.rotations

    @property
    def sent(self) -> set[str]:
        """Return the labels of the keys that the request left with."""
        return {attempt.connection.label for attempt in self.attempts if attempt.was_sent}


def _permitted(
    routes: Sequence[Route], call: Call, context: DecisionContext
) -> tuple[Sequence[Route], Connection | None]:
    """Return the routes that may get a request that is bound to an account: those of its provider; and the
    owner's connection, or else most likely the session's."""
    kept = Owner(call.route.connection.provider.name, call.kept_key or NO_KEY)
    owners = (call.owner, kept, context.first_owner(call.session))
    makers = (made_by(route, owner, context) for owner in owners for route in routes)
    account = next(filter(None, makers), None)
    on_fallback = (each for each in routes if str(each.connection.pin) == call.on_fallback)
    home = account or next(on_fallback, call.route).connection
    of_provider = [each for each in routes if each.connection.provider == home.provider]
    if account is None:
        return of_provider, None
    own = [each for each in of_provider if len(of_other_accounts(each, account)) < len(each.connections)]
    return own, account
