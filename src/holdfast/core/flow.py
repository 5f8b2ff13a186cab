"""The heart: one generator that says what to do next, and is sent what came of it. Every driver (sync, async, gateway)
obeys the same steps; none of them contains a rule of recovery."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from difflib import get_close_matches
from math import inf

from .evidence import AUTH_FAULTS, NO_KEY, Change, Cooldown, Evidence, Failed, KeyKept, StandInBegan, StandInEnded, worked
from .faults import Fault, FaultClass, Phase, Reply, classify, weigh
from .identity import Connection, Key, Lane
from .pool import Pick, World, pick, remembered
from .recovery import NO_KEY_SENT, RATE_PATIENCE, Failure, Rule, backoff, rule_for, verdict
from .steps import Answer, Attempt, Call, Outcome, Probe, Refresh, Relist, Send, Step

Flow = Generator[Step, Answer, Outcome]
_PATIENCE = 10.0
_FIRST_PATIENCE = 5.0  # seconds that others wait for the first answer a key ever gets: a refusal is quick, an answer need not be


class _Run:
    """The state of one request: what it has cost so far and what has been learnt since the last step."""

    __slots__ = ("attempts", "call", "connection", "fault", "now", "pending", "refreshed", "remembered", "reserved", "sends_left", "wait_left", "world")

    def __init__(self, call: Call, world: World, now: float) -> None:
        self.call, self.world, self.now = call, world, now
        self.attempts: list[Attempt] = []
        self.pending: list[Change] = []
        self.refreshed: set[str] = set()
        self.connection = call.lane.connection
        self.fault: Fault | None = None
        self.remembered, self.reserved = False, 0
        self.sends_left, self.wait_left = max(1, call.limits.sends - call.client_retries), call.limits.wait_budget

    def take(self) -> tuple[Change, ...]:
        changes, self.pending = tuple(self.pending), []
        return changes

    def learn(self, *changes: Change) -> None:
        for change in changes if not self.call.side_door else ():
            self.world.board.apply(change)
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
        board = self.world.board
        self.attempts.append(Attempt(len(self.attempts) + 1, connection, sent_at, self.now, None, probe))
        self.connection = connection
        board.bucket(connection.endpoint).succeed()
        was_cooled = board.cooldown(evidence.fingerprint, connection) is not None
        self.learn(worked(evidence, connection, self.now, was_cooled=was_cooled))

    def failed(self, connection: Connection, fault: Fault, sent_at: float, probe: bool = False) -> None:
        self.attempts.append(Attempt(len(self.attempts) + 1, connection, sent_at, self.now, fault, probe))
        self.connection, self.fault, self.remembered = connection, fault, False

    def may_send(self, *, probing: bool = False) -> bool:
        """Whether another send is within what one request may cost. What cannot be replayed is sent once."""
        return ((self.call.replayable and not self.call.side_door) or not self.sent) and (probing or self.sends_left > 0)

    def may_rotate(self) -> bool:
        """Whether another key may be used for this request."""
        return self.may_send() and len(self.sent) <= self.call.limits.rotations

    @property
    def sent(self) -> set[str]:
        """The labels of the keys that the request left with."""
        return {attempt.connection.label for attempt in self.attempts if attempt.fault is None or attempt.fault.phase is not Phase.UNSENT}


def flow(call: Call, world: World, now: float) -> Flow:
    """One request from its first send to its outcome. It applies what it learns to the board at once and hands the same
    changes to the driver, which persists them before it takes the step."""
    run = _Run(call, world, now)
    lanes = _in_order(call)
    for place, lane in enumerate(lanes, start=1):
        if place < len(lanes) and _better_elsewhere(run, lane):
            continue
        run.reserved = 1 if place < len(lanes) else 0  # tries on the same key leave one send for the rung that may stand in
        rule = yield from _drive(run, lane)
        if rule is None:
            return _answered(run, lane)
        if not run.call.replayable and run.sent:
            run.decide("not repeated: this request cannot be sent twice")
        if not rule.stand_in or not run.may_send():
            break
    return Outcome(run.connection, tuple(run.attempts), run.fault, run.take(), from_memory=run.remembered)


def _in_order(call: Call) -> list[Lane]:
    """The chosen pin first, then its rungs; while a rung stands in, that rung and those below it come before the pin."""
    lanes = [call.lane, *call.rungs]
    start = next((i for i, lane in enumerate(lanes) if str(lane.connection.pin) == call.standing_in), 0) if call.standing_in else 0
    return lanes[start:] + lanes[:1] if start else lanes


def _better_elsewhere(run: _Run, lane: Lane) -> bool:
    """Whether the lane's endpoint or model is cooling: another rung is tried first."""
    cooldown = run.world.board.cooldown(NO_KEY, lane.connection)
    if cooldown is None or cooldown.over(run.now):
        return False
    run.recall(lane.connection, cooldown)
    return True


def _answered(run: _Run, lane: Lane) -> Outcome:
    """The outcome of a good answer: what it proves about the key, which key the session keeps, who stood in."""
    call, connection = run.call, run.connection
    stands_in = lane is not call.lane
    if call.chosen and len(lane.connections) > 1 and connection.label != call.kept_key and not stands_in:
        run.learn(KeyKept(call.session, connection.label))
    if call.chosen and stands_in and call.standing_in != (rung := str(lane.connection.pin)):
        run.learn(StandInBegan(call.session, rung, str(run.fault.kind if run.fault is not None else FaultClass.UNKNOWN), run.now + call.return_after))
    elif not stands_in and (call.returning or call.standing_in):
        run.learn(StandInEnded(call.session))
    return Outcome(connection, tuple(run.attempts), None, run.take(), stand_in=stands_in)


def _drive(run: _Run, lane: Lane) -> Generator[Step, Answer, Rule | None]:
    """Work through the keys of one lane. None: answered well. Else the rule of the last fault, by which the ladder is judged."""
    tried: set[str] = set()
    rule: Rule | None = None
    waited = False
    while True:
        choice = pick(lane, run.world, run.now, tried, kept_key=run.call.kept_key, patience=run.wait_left)
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
        first = choice.untested and not waited and not run.call.side_door
        if (choice.probing or first) and run.wait_left > 0:
            answer = yield Probe(connection, choice.fingerprint or NO_KEY, run.take(), _FIRST_PATIENCE if first else _PATIENCE)
            run.wait_left -= max(0.0, answer.now - run.now)  # to wait for others is to wait
            run.now, waited = answer.now, True
            if not answer.yes or choice != pick(lane, run.world, run.now, tried, kept_key=run.call.kept_key, patience=run.wait_left):
                continue  # whoever asked before us has come to a verdict
        rule = yield from _try(run, lane, choice, connection, tried)
        if rule is not None and rule.relist:
            yield from _near_names(run, connection)
        if rule is None or not rule.rotate:
            return rule
        alike = connection.account if rule.one_account else ""
        tried |= {one.label for one in lane.connections if one.label == connection.label or (alike and one.account == alike)}


def _read(run: _Run, connection: Connection, key: Key) -> Generator[Step, Answer, Rule | None]:
    """Read a key for the first time. The rule of a missing key when there is none."""
    answer = yield Refresh(key, None, run.take())
    run.now = answer.now
    reply = answer.reply
    if reply is None and run.world.fingerprint(key) is not None:
        return None
    reply = reply or Reply(None, body=b"SecretMissing: the key's value ran out before it could be used", phase=Phase.UNSENT)
    fault = classify(reply, run.world.profile(connection), now=run.now)
    run.failed(connection, fault, run.now)
    return rule_for(fault, worked_here=False)


def _try(run: _Run, lane: Lane, choice: Pick, connection: Connection, tried: set[str]) -> Generator[Step, Answer, Rule | None]:
    """Send on one key until it answers, or until nothing more can be done with it. None: answered well."""
    board, fingerprint = run.world.board, choice.fingerprint or NO_KEY
    after, probing, tries = choice.after, choice.probing, 0
    if run.attempts:
        run.decide(f"went on with {'the next rung of your ladder, ' if connection.pin != run.connection.pin else ''}{connection}")
    refused = board.cooldown(fingerprint, connection)
    delays = [] if refused is not None and refused.fault.kind in AUTH_FAULTS else list(run.call.limits.probe_delays)
    while True:
        run.wait_left -= after
        board.use(connection)
        answer = yield Send(connection, after, run.attempts[-1].then if run.attempts else "", run.take(), probing or choice.untested)
        run.now = answer.now
        run.sends_left -= 1
        evidence = board.evidence(fingerprint, connection.endpoint)
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
        run.learn(*verdict(failure, board, run.now, run.world.roll))
        delay = _retry_delay(run, lane, failure, tries, tried)
        if delay is None:
            return rule
        after, tries = delay, tries + 1


def _understand(run: _Run, connection: Connection, evidence: Evidence, reply: Reply, sent_at: float, probe: bool) -> Failure:
    """What a reply means: the provider's words first, our own evidence last."""
    fault = classify(reply, run.world.profile(connection), now=run.now)
    elsewhere = run.world.board.works_elsewhere(evidence.fingerprint, connection.endpoint)
    fault = weigh(fault, worked_here=evidence.last_ok is not None, worked_elsewhere=elsewhere, key_prefix_host=run.world.plan_host(connection))
    run.failed(connection, fault, sent_at, probe)
    rule = rule_for(fault, worked_here=evidence.last_ok is not None)
    if rule.probe and not evidence.known_good(sent_at, run.call.limits.known_good_days):
        rule = replace(rule, probe=False)  # it worked too long ago for a test, but it did: nothing bars it for ever
    return Failure(fault, rule, connection, evidence.fingerprint, sent_at)


def _read_again(run: _Run, failure: Failure) -> Generator[Step, Answer, str | None]:
    """Read the reference of a refused key again, once a request. The new fingerprint if its value had been replaced."""
    key = failure.connection.key
    if not failure.rule.refresh or key is None or not run.may_send() or key.label in run.refreshed:
        return None
    run.refreshed.add(key.label)
    answer = yield Refresh(key, failure.fingerprint, run.take())
    run.now = answer.now
    if not answer.yes:
        return None
    run.decide("the key had been replaced meanwhile: sent again with the new value")
    return run.world.fingerprint(key) or failure.fingerprint


def _shared_check(run: _Run, failure: Failure) -> Generator[Step, Answer, bool | None]:
    """A key that worked is refused: one request asks again for all. None: that is us; True: the key is good after all, send
    again; False: whoever asked was refused too, or is not done within the time that we may wait."""
    _, _, connection, fingerprint, sent_at = failure
    board, ours = run.world.board, False
    while True:
        evidence = board.evidence(fingerprint, connection.endpoint)
        if (evidence.last_ok or 0.0) > sent_at:
            run.decide("the key worked for another request meanwhile: sent again")
            return True
        cooldown = board.cooldown(fingerprint, connection)
        if cooldown is not None and cooldown.fault.kind in AUTH_FAULTS and not cooldown.over(run.now):
            run.decide("another request had asked again and was refused too")
            return False
        if ours or run.wait_left <= 0:
            return None if ours else False
        run.learn(Failed(fingerprint, connection.endpoint.url, FaultClass.AUTH_REJECTED, sent_at))
        answer = yield Probe(connection, fingerprint, run.take())
        run.wait_left -= max(0.0, answer.now - run.now)
        run.now, ours = answer.now, answer.yes


def _retry_delay(run: _Run, lane: Lane, failure: Failure, tries: int, tried: set[str]) -> float | None:
    """Seconds until the same key is tried again, or None: the rule, the request's budget or the endpoint's says no, or a
    healthy spare key is the better way out of a throttle."""
    rule, connection = failure.rule, failure.connection
    if tries >= rule.retries or not run.may_send() or run.sends_left <= run.reserved:
        return None
    if (delay := backoff(rule, failure.fault, tries, run.world.roll)) > run.wait_left:
        return None
    if rule.rotate and (tries > 0 or delay > RATE_PATIENCE):
        spare = pick(lane, run.world, run.now, {*tried, connection.label}, kept_key=None, patience=0.0)
        if spare.connection is not None and spare.verdict is None and run.may_rotate():
            return None
    if not run.world.board.bucket(connection.endpoint).take(run.now):
        run.decide("not tried again: this endpoint keeps failing and its retry budget is spent")
        return None
    run.decide(f"tried again after {delay:.1f} s")
    return delay


def _near_names(run: _Run, connection: Connection) -> Generator[Step, Answer, None]:
    """Ask for the model list, so that the refusal can name models that exist."""
    answer = yield Relist(connection, run.take())
    run.now = answer.now
    near = get_close_matches(connection.model, answer.models, n=3, cutoff=0.5)
    if near and run.fault is not None:
        run.fault = replace(run.fault, hint="did you mean " + ", ".join(near) + "?")
