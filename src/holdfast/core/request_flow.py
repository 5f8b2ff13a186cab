"""The flow of one request: a generator that says what to do next and is sent the result of each step.

Every driver (sync, async, gateway) obeys the same steps; none of them contains a rule of recovery. The calls
go down as the request does: `flow` over its routes, `_drive` over the keys of a route, `_try` over the sends
with one key."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from difflib import get_close_matches
from enum import Enum

from .changes import NO_KEY, Evidence, FallbackEnded, FallbackStarted, KeyKept
from .classify import classify, weigh
from .faults import REFUSALS, Fault, FaultClass, Phase, Reply
from .identity import Connection, Key
from .key_selection import DecisionContext, KeySelection
from .recovery_policy import (
    NO_KEY_SENT,
    OF_THE_ENDPOINT,
    RATE_PATIENCE,
    UNREADABLE,
    Failure,
    Rule,
    backoff,
    for_another_endpoint,
    key_failed,
    rule_for,
    verdict,
)
from .request_state import RequestState
from .routes import Route
from .steps import Answer, Call, Outcome, Probe, Refresh, Relist, Send, Step

Flow = Generator[Step, Answer, Outcome]
_PATIENCE = 10.0
"""Seconds that a request waits for the one that tests its key."""
_FIRST_PATIENCE = 5.0
"""Seconds that it waits for the first answer a key ever gets: a refusal is quick, an answer need not be."""


class _Check(Enum):
    """The outcome of the one check of a refused key, which its requests share."""

    OURS = "this request asks"
    ACCEPTED = "the key is good after all"
    REFUSED = "the request that asked was refused too, or took too long"


def flow(call: Call, context: DecisionContext, now: float, sent: KeySelection | None = None) -> Flow:
    """Take one request from its first send to its outcome.

    What it learns is applied at once to `context.health`; the driver gets the same changes with each step and
    persists them before it takes the step. Its first send is made already where it was `sent`."""
    run, rule = RequestState(call, context, now, sent), NO_KEY_SENT
    while True:
        for number, route in enumerate(_in_order(run), start=1):
            run.reserved = len(run.routes) - number  # retries with one key leave a send for each other route
            failed = yield from _drive(run, route)
            if failed is None:
                return _answered(run, route)
            rule = failed
            if not call.replayable and run.sent:
                run.decide("not repeated: this request cannot be sent twice")
            if route is call.route and rule.fall_back:
                run.note_left_out()
            # What the user must mend at the choice ends the request; a fallback's own trouble never does.
            if run.went_back or not run.may_send() or (route is call.route and not rule.fall_back):
                break
        helped = rule.rotate or rule.fall_back  # by another key: so perhaps by one that could not be read
        if not helped or not (yield from _speaks_again(run)):
            break
    return Outcome(
        run.connection,
        tuple(run.attempts),
        run.fault,
        run.take(),
        from_memory=run.memory_ends is not None,
        memory_ends=run.memory_ends,
    )


def _in_order(run: RequestState) -> Iterator[Route]:
    """Yield every route that may answer, in the order in which they are asked: the choice and its fallbacks;
    a session that is on a fallback begins there. Where the endpoint or the model is cooling down, a route
    comes after the others, the choice first."""
    call, routes = run.call, run.routes
    if len(routes) == 1:
        yield routes[0]
        return
    for start, route in enumerate(routes):
        if str(route.connection.pin) == call.on_fallback:
            routes = [*routes[start:], *routes[:start]]
            break
    resting = []
    for route in routes:
        if run.sent_before is None and run.rests(route):
            resting.append(route)
        else:
            yield route
    resting.sort(key=lambda route: route is not call.route)
    yield from resting


def _speaks_again(run: RequestState) -> Generator[Step, Answer, bool]:
    """Wait for the source of a key that gave nothing, now that no other key and no fallback has answered.
    Return whether it gives a value: then the routes are asked again."""
    silent, run.silent = run.silent, None
    if silent is None or silent.key is None or run.went_back or run.wait_left <= 0 or not run.may_send():
        return False
    answer = yield Refresh(silent.key, None, run.take(), run.wait_left)
    run.wait_budget -= 5.0  # so that this ends, whatever the source does
    run.waited(answer)
    if answer.reply is not None and run.connection == silent:
        run.fault = classify(answer.reply, run.context.profile(silent), now=run.now)
    if answer.reply is not None:
        return False
    run.decide(f"the source of key '{silent.label}' gave a value again")
    return run.in_time()


def _answered(run: RequestState, route: Route) -> Outcome:
    """Return the outcome of a good answer. Note which key the session keeps, and whether a fallback began or
    ended."""
    call, connection = run.call, run.connection
    on_fallback = route is not call.route
    if on_fallback and call.chosen and not call.bound:
        _note_fallback(run, str(route.connection.pin))
    if not on_fallback:
        if connection.label != call.kept_key and run.keeps(connection):
            run.learn(KeyKept(call.session, connection.label))
        if call.returning or call.on_fallback:
            run.learn(FallbackEnded(call.session))
    # In the order of the fields, which is faster than by name: every good answer passes here.
    return Outcome._make((connection, tuple(run.attempts), None, run.take(), False, on_fallback, None))


def _note_fallback(run: RequestState, fallback: str) -> None:
    """Note that `fallback` answers for the session from now on, if it did not before."""
    call, reason = run.call, FaultClass.UNKNOWN
    if call.on_fallback == fallback:
        return
    if run.fault is not None:
        reason = run.fault.kind
    run.learn(FallbackStarted(call.session, fallback, str(reason), run.now + call.return_after))


def _drive(run: RequestState, route: Route) -> Generator[Step, Answer, Rule | None]:
    """Work through the keys of one route. Return None after a good answer, else the rule of the last fault:
    it says whether a fallback may answer."""
    run.begin(route)
    rule: Rule | None = None
    waited = False
    while True:
        choice = run.select()
        connection = choice.connection
        if connection is None:
            return rule or NO_KEY_SENT
        if choice.verdict is not None and (rule is None or run.went_back):
            return run.recall(connection, choice.verdict)
        if rule is not None and (choice.verdict is not None or not run.may_rotate()):
            return rule
        if choice.fingerprint is None and connection.key is not None:
            missing = yield from _read(run, connection, connection.key)
            if missing is not None:
                rule = missing
                run.tried.add(connection.label)
            continue
        first = choice.untested and not waited and not run.call.passthrough
        if (choice.probing or first) and run.wait_left > 0:
            waited = True
            is_ours = yield from _take_turn(run, connection, choice, first=first)
            if not is_ours:
                continue
        run.stay(connection)
        rule = yield from _try(run, connection, choice)
        if rule is not None and run.goes_back(connection):
            continue
        if rule is not None and rule.relist and run.fault is not None:
            run.fault = yield from _near_names(run, connection, run.fault)
        if rule is None or not rule.rotate:
            return rule
        run.tried |= _spent(run, rule, route, connection)


def _take_turn(
    run: RequestState, connection: Connection, choice: KeySelection, *, first: bool
) -> Generator[Step, Answer, bool]:
    """Take the lease on testing a key, or wait for the request that holds it. Return whether the choice still
    holds; it does not if the other request has come to a verdict."""
    patience = _FIRST_PATIENCE if first else _PATIENCE
    answer = yield Probe(connection, choice.fingerprint or NO_KEY, run.take(), patience)
    run.waited(answer)
    return answer.yes and choice == run.select()


def _spent(run: RequestState, rule: Rule, route: Route, connection: Connection) -> set[str]:
    """Return the labels of the keys that `rule` makes useless for this request: the one that was sent, with
    `one_account` those of its account, and after trouble of an endpoint those that are called there."""
    labels = {connection.label}
    if rule.one_account and connection.account:
        labels |= {other.label for other in route.connections if other.account == connection.account}
    if run.fault is not None and run.fault.kind in OF_THE_ENDPOINT and run.fault.sent:
        labels |= {other.label for other in route.connections if other.endpoint == connection.endpoint}
    return labels


def _read(run: RequestState, connection: Connection, key: Key) -> Generator[Step, Answer, Rule | None]:
    """Read a key for the first time, and again where its value has changed since. Return None when it has a
    value, else the rule of a missing key."""
    reply: Reply | None = None
    for _ in range(5):  # times at most
        answer = yield Refresh(key, None, run.take())
        run.now, reply = answer.now, answer.reply
        if reply is None and run.context.fingerprint(key) is not None:
            return None
        if reply is not None:
            break
    reply = reply or Reply(None, body=b"SourceSilent: the key's value keeps changing", phase=Phase.UNSENT)
    fault = classify(reply, run.context.profile(connection), now=run.now)
    run.failed(connection, fault, run.now)
    return rule_for(fault, worked_here=False)


def _try(
    run: RequestState, connection: Connection, choice: KeySelection
) -> Generator[Step, Answer, Rule | None]:
    """Send with one key until it answers, or until nothing more can be done with it. Return None after a good
    answer, else the rule of the last fault."""
    health, fingerprint = run.context.health, choice.fingerprint or NO_KEY
    after, probing, fresh, tries = choice.after, choice.probing, False, 0
    if run.attempts:
        run.note_switch(connection)
    delays = run.probe_delays(connection, fingerprint)
    while True:
        run.wait_budget -= after
        health.use(connection)
        tests = probing or choice.untested
        answer = yield Send._make((connection, after, run.why, run.take(), tests, fresh))
        run.now = answer.now
        run.sends_left -= 1
        evidence = health.evidence(fingerprint, connection.endpoint)
        if answer.reply is None:
            run.worked(connection, evidence, answer.sent_at, probing)
            return None
        failure = _understand(run, connection, evidence, answer.reply, sent_at=answer.sent_at, probe=probing)
        rule = failure.rule
        if answer.reply.phase is Phase.UNSENT:  # the key's value ran out meanwhile
            run.sends_left += 1
            return rule
        if answer.reply.closed_unheard and run.call.replayable and not fresh:
            fresh, after = True, 0.0
            run.sends_left += 1
            run.decide("the kept connection had been closed: sent again on a fresh one")
            continue
        replaced = yield from _read_again(run, failure)
        if replaced is not None:
            fingerprint, after = replaced, 0.0
            continue
        failure = _unless_silent(run, failure)
        rule = failure.rule
        if rule.probe:
            check = yield from _shared_check(run, failure, probing=probing)
            if check is _Check.REFUSED:
                return rule
            after, probing = 0.0, check is _Check.OURS
            if check is _Check.ACCEPTED:
                continue
            if delays and not run.in_time(delays[0]):
                return rule  # it was not tested as it should be, so nothing is concluded
            if delays and run.may_send(probing=True):
                after = delays.pop(0)
                run.sends_left += 1
                run.decide(f"asked again after {after:g} s: this key worked here before")
                continue
        run.learn(*verdict(failure, health, run.now, run.context.jitter))
        delay = _retry_delay(run, failure, tries)
        if delay is None:
            return rule
        after, tries = delay, tries + 1


def _understand(
    run: RequestState,
    connection: Connection,
    evidence: Evidence,
    reply: Reply,
    *,
    sent_at: float,
    probe: bool,
) -> Failure:
    """Return the failure that a reply means: the provider's words first, our own evidence last."""
    worked_here = evidence.last_ok is not None
    fault = weigh(
        classify(reply, run.context.profile(connection), now=run.now),
        worked_here=worked_here,
        worked_elsewhere=run.context.health.works_elsewhere(evidence.fingerprint, connection.endpoint),
        key_prefix_host=run.context.plan_host(connection),
    )
    run.failed(connection, fault, sent_at, probe)
    rule = rule_for(fault, worked_here=worked_here)
    if rule.probe and not evidence.known_good(sent_at, run.call.limits.known_good_days):
        # It worked too long ago for a probe. But it did work, so no rule bars it for good.
        rule = replace(rule, probe=False)
    if fault.kind in OF_THE_ENDPOINT and any(
        other.endpoint != connection.endpoint for other in run.route.connections
    ):
        rule = for_another_endpoint(rule)
    return Failure(
        fault=fault, rule=rule, connection=connection, fingerprint=evidence.fingerprint, sent_at=sent_at
    )


def _read_again(run: RequestState, failure: Failure) -> Generator[Step, Answer, str | None]:
    """Read the reference of a refused key again, once a request. Return the new fingerprint if its value has
    been replaced."""
    key = failure.connection.key
    if not failure.rule.refresh or key is None or not run.may_send() or key.label in run.refreshed:
        return None
    run.refreshed.add(key.label)
    answer = yield Refresh(key, failure.fingerprint, run.take())
    run.now = answer.now
    fault = answer.reply and classify(answer.reply, run.context.profile(failure.connection), now=run.now)
    if fault and fault.kind is FaultClass.TRANSIENT:
        run.failed(failure.connection, fault, run.now)
    if not answer.yes:
        return None
    run.decide("the key had been replaced meanwhile: sent again with the new value")
    return run.context.fingerprint(key) or failure.fingerprint


def _unless_silent(run: RequestState, failure: Failure) -> Failure:
    """Return the failure, without its rule where the key's source is silent: its value may be an old one."""
    return failure if run.fault is failure.fault else failure._replace(rule=UNREADABLE)


def _shared_check(run: RequestState, failure: Failure, *, probing: bool) -> Generator[Step, Answer, _Check]:
    """Let one request ask again for all whose key was refused although it had worked. Return what came of it
    for this request, which may be `probing` already."""
    if probing:
        return _Check.OURS
    connection, fingerprint, health = failure.connection, failure.fingerprint, run.context.health
    refused = key_failed(failure, failure.sent_at)
    is_ours = False
    if refused.model or not run.may_send():
        run.learn(refused)
    if not run.may_send():  # nothing can be tested, so nothing is concluded: the next request tests the key
        return _Check.REFUSED
    while True:
        evidence = health.evidence(fingerprint, connection.endpoint, refused.model)
        if (evidence.last_ok or 0.0) > failure.sent_at:
            run.decide("the key worked for another request meanwhile: sent again")
            return _Check.ACCEPTED
        cooldown = health.cooldown(fingerprint, connection)
        if cooldown is not None and cooldown.fault.kind in REFUSALS and not cooldown.over(run.now):
            run.decide("another request had asked again and was refused too")
            return _Check.REFUSED
        if is_ours:
            return _Check.OURS
        if run.wait_left <= 0:
            return _Check.REFUSED
        run.learn(refused)
        answer = yield Probe(connection, fingerprint, run.take())
        run.waited(answer)
        is_ours = answer.yes


def _retry_delay(run: RequestState, failure: Failure, tries: int) -> float | None:
    """Return the seconds until the same key is tried again. Return None where the rule, the request's budget
    or the endpoint's says no, or a healthy spare key is the better way out of a throttle."""
    rule, connection = failure.rule, failure.connection
    if tries >= rule.retries or not run.may_send() or run.sends_left <= run.reserved:
        return None
    delay = backoff(rule, failure.fault, tries, run.context.jitter)
    if not run.in_time(delay) or delay > run.wait_left:
        return None
    if rule.rotate and (tries > 0 or delay > RATE_PATIENCE) and run.has_healthy_spare(connection):
        return None
    if not run.context.health.bucket(connection.endpoint).take(run.now):
        run.decide("not tried again: this endpoint keeps failing and its retry budget is spent")
        return None
    run.decide(f"tried again after {delay:.1f} s")
    return delay


def _near_names(run: RequestState, connection: Connection, fault: Fault) -> Generator[Step, Answer, Fault]:
    """Ask for the model list. Return the fault with the names of similar models, or with the cause that the
    refused model is listed or declared."""
    answer = yield Relist(connection, run.take())
    run.now = answer.now
    model = connection.model
    if model in answer.models:
        return replace(fault, cause="listed")
    if model in (connection.provider.models or ()):
        fault = replace(fault, cause="declared")
    near = get_close_matches(model, answer.models, n=3, cutoff=0.5)
    if near:
        fault = replace(fault, hint="did you mean " + ", ".join(near) + "?")
    return fault
