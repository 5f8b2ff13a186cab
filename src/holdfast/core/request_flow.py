"""The heart: one generator that says what to do next, and is sent what came of it. Every driver (sync, async,
gateway) obeys the same steps; none of them contains a rule of recovery."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from difflib import get_close_matches
from math import inf

from .changes import (
    AUTH_FAULTS,
    NO_KEY,
    Change,
    Cooldown,
    Evidence,
    FallbackEnded,
    FallbackStarted,
    KeyFailed,
    KeyKept,
    key_succeeded,
)
from .classify import classify, weigh
from .faults import Fault, FaultClass, Phase, Reply
from .identity import Connection, Key, Route
from .key_selection import DecisionContext, KeySelection, remembered, select_key
from .recovery_policy import NO_KEY_SENT, RATE_PATIENCE, Failure, Rule, backoff, rule_for, verdict
from .steps import Answer, Attempt, Call, Outcome, Probe, Refresh, Relist, Send, Step

Flow = Generator[Step, Answer, Outcome]
_PATIENCE = 10.0
# seconds that others wait for the first answer a key ever gets: a refusal is quick, an answer need not be
_FIRST_PATIENCE = 5.0


class _RequestState:
    """The state of one request: what it has cost so far and what has been learnt since the last step."""

    __slots__ = (
        "attempts",
        "call",
        "connection",
        "context",
        "fault",
        "now",
        "pending",
        "refreshed",
        "remembered",
        "reserved",
        "sends_left",
        "wait_left",
    )

    def __init__(self, call: Call, context: DecisionContext, now: float) -> None:
        self.call, self.context, self.now = call, context, now
        self.attempts: list[Attempt] = []
        self.pending: list[Change] = []
        self.refreshed: set[str] = set()
        self.connection = call.route.connection
        self.fault: Fault | None = None
        self.remembered, self.reserved = False, 0
        self.sends_left, self.wait_left = (
            max(1, call.limits.sends - call.client_retries),
            call.limits.wait_budget,
        )

    def take(self) -> tuple[Change, ...]:
        changes, self.pending = tuple(self.pending), []
        return changes

    def learn(self, *changes: Change) -> None:
        for change in changes if not self.call.passthrough else ():
            self.context.health.apply(change)
            self.pending.append(change)

    def decide(self, then: str) -> None:
        """Write down what was done after the last attempt."""
        last = self.attempts[-1]
        self.attempts[-1] = last._replace(then=f"{last.then}; {then}" if last.then else then)

    def recall(self, connection: Connection, cooldown: Cooldown) -> Rule:
        """Nothing is asked: the true last fault, from memory."""
        self.connection, self.fault, self.remembered = connection, remembered(cooldown, self.now), True
        return rule_for(self.fault, worked_here=cooldown.until != inf)

    def worked(self, connection: Connection, evidence: Evidence, sent_at: float, probe: bool) -> None:
        health = self.context.health
        self.attempts.append(Attempt(len(self.attempts) + 1, connection, sent_at, self.now, None, probe))
        self.connection = connection
        health.bucket(connection.endpoint).succeed()
        was_cooled = health.cooldown(evidence.fingerprint, connection) is not None
        self.learn(key_succeeded(evidence, connection, self.now, was_cooled=was_cooled))

    def failed(self, connection: Connection, fault: Fault, sent_at: float, probe: bool = False) -> None:
        self.attempts.append(Attempt(len(self.attempts) + 1, connection, sent_at, self.now, fault, probe))
        self.connection, self.fault, self.remembered = connection, fault, False

    def may_send(self, *, probing: bool = False) -> bool:
        """Whether another send is within what one request may cost. What cannot be replayed is sent once."""
        return ((self.call.replayable and not self.call.passthrough) or not self.sent) and (
            probing or self.sends_left > 0
        )

    def may_rotate(self) -> bool:
        """Whether another key may be used for this request."""
        return self.may_send() and len(self.sent) <= self.call.limits.rotations

    @property
    def sent(self) -> set[str]:
        """The labels of the keys that the request left with."""
        return {attempt.connection.label for attempt in self.attempts if attempt.was_sent}


def flow(call: Call, context: DecisionContext, now: float) -> Flow:
    """One request from its first send to its outcome. It applies what it learns to the board at once and
    hands the same changes to the driver, which persists them before it takes the step."""
    run = _RequestState(call, context, now)
    routes = _in_order(call)
    for place, route in enumerate(routes, start=1):
        if place < len(routes) and _better_elsewhere(run, route):
            continue
        run.reserved = (
            1 if place < len(routes) else 0
        )  # tries on the same key leave one send for the rung that may stand in
        rule = yield from _drive(run, route)
        if rule is None:
            return _answered(run, route)
        if not run.call.replayable and run.sent:
            run.decide("not repeated: this request cannot be sent twice")
        if not rule.active_fallback or not run.may_send():
            break
    return Outcome(run.connection, tuple(run.attempts), run.fault, run.take(), from_memory=run.remembered)


def _in_order(call: Call) -> list[Route]:
    """The chosen pin first, then its rungs; while a rung stands in, that rung and those below it come before
    the pin."""
    routes = [call.route, *call.fallbacks]
    start = (
        next((i for i, route in enumerate(routes) if str(route.connection.pin) == call.on_fallback), 0)
        if call.on_fallback
        else 0
    )
    return routes[start:] + routes[:1] if start else routes


def _better_elsewhere(run: _RequestState, route: Route) -> bool:
    """Whether the lane's endpoint or model is cooling: another rung is tried first."""
    cooldown = run.context.health.cooldown(NO_KEY, route.connection)
    if cooldown is None or cooldown.over(run.now):
        return False
    run.recall(route.connection, cooldown)
    return True


def _answered(run: _RequestState, route: Route) -> Outcome:
    """The outcome of a good answer: what it proves about the key, which key the session keeps, who stood
    in."""
    call, connection = run.call, run.connection
    stands_in = route is not call.route
    if call.chosen and len(route.connections) > 1 and connection.label != call.kept_key and not stands_in:
        run.learn(KeyKept(call.session, connection.label))
    if call.chosen and stands_in and call.on_fallback != (fallback := str(route.connection.pin)):
        run.learn(
            FallbackStarted(
                call.session,
                fallback,
                str(run.fault.kind if run.fault is not None else FaultClass.UNKNOWN),
                run.now + call.return_after,
            )
        )
    elif not stands_in and (call.returning or call.on_fallback):
        run.learn(FallbackEnded(call.session))
    return Outcome(connection, tuple(run.attempts), None, run.take(), active_fallback=stands_in)


def _drive(run: _RequestState, route: Route) -> Generator[Step, Answer, Rule | None]:
    """Work through the keys of one lane. None: answered well. Else the rule of the last fault, by which the
    ladder is judged."""
    tried: set[str] = set()
    rule: Rule | None = None
    waited = False
    while True:
        choice = select_key(
            route, run.context, run.now, tried, kept_key=run.call.kept_key, patience=run.wait_left
        )
        connection = choice.connection
        if connection is None or (rule is not None and (choice.verdict is not None or not run.may_rotate())):
            return rule or NO_KEY_SENT
        if choice.verdict is not None:
            return run.recall(connection, choice.verdict)
        if choice.fingerprint is None and connection.key is not None:
            missing = yield from _read(run, connection, connection.key)
            if missing is not None:
                rule = missing
                tried.add(connection.label)
            continue
        first = choice.untested and not waited and not run.call.passthrough
        if (choice.probing or first) and run.wait_left > 0:
            answer = yield Probe(
                connection, choice.fingerprint or NO_KEY, run.take(), _FIRST_PATIENCE if first else _PATIENCE
            )
            run.wait_left -= max(0.0, answer.now - run.now)  # to wait for others is to wait
            run.now, waited = answer.now, True
            if not answer.yes or choice != select_key(
                route, run.context, run.now, tried, kept_key=run.call.kept_key, patience=run.wait_left
            ):
                continue  # whoever asked before us has come to a verdict
        rule = yield from _try(run, route, choice, connection, tried)
        if rule is not None and rule.relist:
            yield from _near_names(run, connection)
        if rule is None or not rule.rotate:
            return rule
        alike = connection.account if rule.one_account else ""
        tried |= {
            one.label
            for one in route.connections
            if one.label == connection.label or (alike and one.account == alike)
        }


def _read(run: _RequestState, connection: Connection, key: Key) -> Generator[Step, Answer, Rule | None]:
    """Read a key for the first time. The rule of a missing key when there is none."""
    answer = yield Refresh(key, None, run.take())
    run.now = answer.now
    reply = answer.reply
    if reply is None and run.context.fingerprint(key) is not None:
        return None
    reply = reply or Reply(
        None, body=b"SecretMissing: the key's value ran out before it could be used", phase=Phase.UNSENT
    )
    fault = classify(reply, run.context.profile(connection), now=run.now)
    run.failed(connection, fault, run.now)
    return rule_for(fault, worked_here=False)


def _try(
    run: _RequestState, route: Route, choice: KeySelection, connection: Connection, tried: set[str]
) -> Generator[Step, Answer, Rule | None]:
    """Send on one key until it answers, or until nothing more can be done with it. None: answered well."""
    health, fingerprint = run.context.health, choice.fingerprint or NO_KEY
    after, probing, tries = choice.after, choice.probing, 0
    if run.attempts:
        falls_back = connection.pin not in (run.connection.pin, run.call.route.connection.pin)
        run.decide(f"{'fell back to' if falls_back else 'went on with'} {connection}")
    refused = health.cooldown(fingerprint, connection)
    delays = (
        []
        if refused is not None and refused.fault.kind in AUTH_FAULTS
        else list(run.call.limits.probe_delays)
    )
    while True:
        run.wait_left -= after
        health.use(connection)
        answer = yield Send(
            connection,
            after,
            run.attempts[-1].then if run.attempts else "",
            run.take(),
            probing or choice.untested,
        )
        run.now = answer.now
        run.sends_left -= 1
        evidence = health.evidence(fingerprint, connection.endpoint)
        if answer.reply is None:
            run.worked(connection, evidence, answer.sent_at, probing)
            return None
        failure = _understand(run, connection, evidence, answer.reply, answer.sent_at, probing)
        rule = failure.rule
        if (replaced := (yield from _read_again(run, failure))) is not None:
            fingerprint, after = replaced, 0.0
            continue
        if rule.probe and run.may_send(probing=probing):
            if not probing:
                told = yield from _shared_check(run, failure)
                if told is False:
                    return rule
                after, probing = 0.0, told is None
                if told:
                    continue
            if delays:
                after = delays.pop(0)
                run.sends_left += 1
                run.decide(f"asked again after {after:g} s: this key worked here before")
                continue
        run.learn(*verdict(failure, health, run.now, run.context.jitter))
        delay = _retry_delay(run, route, failure, tries, tried)
        if delay is None:
            return rule
        after, tries = delay, tries + 1


def _understand(
    run: _RequestState, connection: Connection, evidence: Evidence, reply: Reply, sent_at: float, probe: bool
) -> Failure:
    """What a reply means: the provider's words first, our own evidence last."""
    fault = classify(reply, run.context.profile(connection), now=run.now)
    elsewhere = run.context.health.works_elsewhere(evidence.fingerprint, connection.endpoint)
    fault = weigh(
        fault,
        worked_here=evidence.last_ok is not None,
        worked_elsewhere=elsewhere,
        key_prefix_host=run.context.plan_host(connection),
    )
    run.failed(connection, fault, sent_at, probe)
    rule = rule_for(fault, worked_here=evidence.last_ok is not None)
    if rule.probe and not evidence.known_good(sent_at, run.call.limits.known_good_days):
        rule = replace(
            rule, probe=False
        )  # it worked too long ago for a test, but it did: nothing bars it for ever
    return Failure(fault, rule, connection, evidence.fingerprint, sent_at)


def _read_again(run: _RequestState, failure: Failure) -> Generator[Step, Answer, str | None]:
    """Read the reference of a refused key again, once a request. The new fingerprint if its value had been
    replaced."""
    key = failure.connection.key
    if not failure.rule.refresh or key is None or not run.may_send() or key.label in run.refreshed:
        return None
    run.refreshed.add(key.label)
    answer = yield Refresh(key, failure.fingerprint, run.take())
    run.now = answer.now
    if not answer.yes:
        return None
    run.decide("the key had been replaced meanwhile: sent again with the new value")
    return run.context.fingerprint(key) or failure.fingerprint


def _shared_check(run: _RequestState, failure: Failure) -> Generator[Step, Answer, bool | None]:
    """A key that worked is refused: one request asks again for all. None: that is us; True: the key is good
    after all, send again; False: whoever asked was refused too, or is not done within the time that we may
    wait."""
    _, _, connection, fingerprint, sent_at = failure
    health, ours = run.context.health, False
    while True:
        evidence = health.evidence(fingerprint, connection.endpoint)
        if (evidence.last_ok or 0.0) > sent_at:
            run.decide("the key worked for another request meanwhile: sent again")
            return True
        cooldown = health.cooldown(fingerprint, connection)
        if cooldown is not None and cooldown.fault.kind in AUTH_FAULTS and not cooldown.over(run.now):
            run.decide("another request had asked again and was refused too")
            return False
        if ours or run.wait_left <= 0:
            return None if ours else False
        run.learn(KeyFailed(fingerprint, connection.endpoint.url, FaultClass.AUTH_REJECTED, sent_at))
        answer = yield Probe(connection, fingerprint, run.take())
        run.wait_left -= max(0.0, answer.now - run.now)
        run.now, ours = answer.now, answer.yes


def _retry_delay(
    run: _RequestState, route: Route, failure: Failure, tries: int, tried: set[str]
) -> float | None:
    """Seconds until the same key is tried again, or None: the rule, the request's budget or the endpoint's
    says no, or a healthy spare key is the better way out of a throttle."""
    rule, connection = failure.rule, failure.connection
    if tries >= rule.retries or not run.may_send() or run.sends_left <= run.reserved:
        return None
    if (delay := backoff(rule, failure.fault, tries, run.context.jitter)) > run.wait_left:
        return None
    if rule.rotate and (tries > 0 or delay > RATE_PATIENCE):
        spare = select_key(
            route, run.context, run.now, {*tried, connection.label}, kept_key=None, patience=0.0
        )
        if spare.connection is not None and spare.verdict is None and run.may_rotate():
            return None
    if not run.context.health.bucket(connection.endpoint).take(run.now):
        run.decide("not tried again: this endpoint keeps failing and its retry budget is spent")
        return None
    run.decide(f"tried again after {delay:.1f} s")
    return delay


def _near_names(run: _RequestState, connection: Connection) -> Generator[Step, Answer, None]:
    """Ask for the model list, so that the refusal can name models that exist."""
    answer = yield Relist(connection, run.take())
    run.now = answer.now
    near = get_close_matches(connection.model, answer.models, n=3, cutoff=0.5)
    if near and run.fault is not None:
        run.fault = replace(run.fault, hint="did you mean " + ", ".join(near) + "?")
