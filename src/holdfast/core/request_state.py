"""The state of one request while `request_flow` works on it: what it has cost, and what it has learnt."""

from __future__ import annotations

from math import inf

from .changes import Change, Cooldown, Evidence, key_succeeded
from .faults import Fault, Phase
from .identity import Connection
from .key_selection import DecisionContext, KeySelection, remembered, select_key
from .recovery_policy import Rule, rule_for
from .routes import Route
from .steps import Answer, Attempt, Call


class RequestState:
    """A request: its attempts, what may still be spent on it, and the changes since the last step.

    `route` is the one being tried, `tried` holds the labels of its keys that are done with. `reserved` sends
    are kept for the routes after it. `wait_left` is in seconds."""

    __slots__ = (
        "attempts",
        "call",
        "connection",
        "context",
        "fault",
        "memory_ends",
        "now",
        "pending",
        "refreshed",
        "reserved",
        "route",
        "sends_left",
        "tried",
        "wait_left",
    )

    def __init__(self, call: Call, context: DecisionContext, now: float) -> None:
        self.call, self.context, self.now = call, context, now
        self.attempts: list[Attempt] = []
        self.pending: list[Change] = []
        self.refreshed: set[str] = set()
        self.connection = call.route.connection
        self.fault: Fault | None = None
        self.memory_ends: float | None = None
        self.reserved = 0
        self.sends_left = max(1, call.limits.sends - call.client_retries)
        self.wait_left = call.limits.wait_budget

    def begin(self, route: Route) -> None:
        """Turn to a route, none of whose keys has been tried."""
        self.route = route
        self.tried: set[str] = set()

    def select(self) -> KeySelection:
        """Return the next key of the route."""
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
        self.wait_left -= max(0.0, answer.now - self.now)
        self.now = answer.now

    def decide(self, then: str) -> None:
        """Write down what was done after the last attempt."""
        last = self.attempts[-1]
        if last.then:
            then = f"{last.then}; {then}"
        self.attempts[-1] = last._replace(then=then)

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
        elif self._tells(connection):
            self.connection, self.fault, self.memory_ends = connection, fault, cooldown.until
        return rule_for(fault, worked_here=cooldown.until != inf)

    def _tells(self, connection: Connection) -> bool:
        """Return whether the user is told the fault of this connection, for which nothing was sent: the
        first, or that of the choice, but never in place of one for which a request left."""
        if self.sent:
            return False
        return self.fault is None or connection.pin == self.call.route.connection.pin

    def worked(self, connection: Connection, evidence: Evidence, sent_at: float, probe: bool) -> None:
        """Note a good answer."""
        health = self.context.health
        attempt = Attempt(self._sends() + 1, connection, sent_at, self.now)
        if probe:
            attempt = attempt._replace(probe=True)
        self.attempts.append(attempt)
        self.connection = connection
        health.bucket(connection.endpoint).succeed()
        was_cooled = health.cooldown(evidence.fingerprint, connection) is not None
        self.learn(key_succeeded(evidence, connection, self.now, was_cooled=was_cooled))

    def failed(self, connection: Connection, fault: Fault, sent_at: float, probe: bool = False) -> None:
        """Note a failed answer, or a key that could not be read."""
        number, tells = self._sends() + 1, True
        if fault.phase is Phase.UNSENT:
            number, tells = 0, self._tells(connection)
        self.attempts.append(Attempt(number, connection, sent_at, self.now, fault=fault, probe=probe))
        if tells:
            self.connection, self.fault, self.memory_ends = connection, fault, None

    def may_send(self, *, probing: bool = False) -> bool:
        """Return whether another send is within what one request may cost. What cannot be replayed is sent
        once."""
        repeatable = self.call.replayable and not self.call.passthrough
        if not repeatable and self.sent:
            return False
        return probing or self.sends_left > 0

    def may_rotate(self) -> bool:
        """Return whether another key may be used for this request."""
        return self.may_send() and len(self.sent) <= self.call.limits.rotations

    def _sends(self) -> int:
        return sum(attempt.was_sent for attempt in self.attempts)

    @property
    def sent(self) -> set[str]:
        """Return the labels of the keys that the request left with."""
        return {attempt.connection.label for attempt in self.attempts if attempt.was_sent}
