"""How sure a verdict must be before a key is barred: a structured sign, or the same again after a test."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from holdfast.core.changes import CooldownStarted, Evidence, KeyFailed, KeySucceeded, subject
from holdfast.core.faults import Confidence, Fault, FaultClass, Reply, Scope
from holdfast.core.health import HealthRegistry
from holdfast.core.recovery_policy import Failure, rule_for, verdict
from holdfast.core.routes import Route
from holdfast.core.steps import Probe
from tables import rows
from world import BROKE, Sim, call, provider, reply, route
from world import key as key_of

F = FaultClass
ONE = route(provider("mimo", "a"))
TWO = route(provider("mimo", "a", "b"))
URL = "https://mimo.example/v1"
JSON = (("content-type", "application/json"),)
BARE = (
    Reply(403, (), b""),
    Reply(403, JSON, b'{"error": "Forbidden"}'),
    Reply(403, JSON, b'{"message": "Forbidden"}'),
    reply(403, message="Access denied"),
    reply(403, message="Access denied.", kind="permission_denied"),
    reply(403, message="", kind="permission_error"),
    reply(403, message="Permission denied", kind="forbidden"),
)
"""Answers that refuse, and say nothing about why."""
REASONED = (
    reply(403, "model_access_denied", "no"),
    reply(403, message="Access denied: your plan does not include this model"),
    reply(403, message="The project has no access to model `m1`"),
)


def used(*labels: str, ago: float = 240.0) -> Sim:
    """A world whose keys worked a while ago."""
    sim = Sim()
    sim.health.load([Evidence(f"{label}0", URL, sim.now - 9999, sim.now - ago) for label in labels], [])
    return sim


@pytest.mark.parametrize("bare", BARE)
def test_a_403_without_a_reason_gets_the_shared_test_when_the_key_had_worked(bare: Reply) -> None:
    sim = used("a")
    outcome = sim.run(call(ONE), [bare, bare, None])
    assert outcome.fault is None
    assert [send.after for send in sim.sends] == [0.0, 0.5, 1.0]
    assert sum(isinstance(step, Probe) for step in sim.steps) == 1
    assert sim.cooled == []


@pytest.mark.parametrize("bare", BARE)
def test_a_403_without_a_reason_is_believed_for_a_while_when_the_test_confirms_it(bare: Reply) -> None:
    sim = used("a", "b")
    assert sim.run(call(TWO), [bare] * 4 + [None]).fault is None
    assert sim.labels == ["a"] * 4 + ["b"]
    (cooled,) = sim.cooled
    assert cooled.cooldown.subject == subject(Scope.KEY_MODEL, "a0", ONE.connection)
    assert cooled.cooldown.until - sim.now <= 300
    sim.now = cooled.cooldown.until + 1
    sim.steps.clear()
    assert sim.run(call(ONE), [bare]).fault is not None
    assert len(sim.sends) == 1, "one request asks, and no series of tests begins again"


@pytest.mark.parametrize("bare", BARE)
def test_a_key_that_never_worked_is_asked_once_after_a_403_without_a_reason(bare: Reply) -> None:
    sim = Sim()
    sim.run(call(ONE), [bare])
    assert sim.run(call(ONE), []).from_memory
    assert len(sim.sends) == 1


@pytest.mark.parametrize("reasoned", REASONED)
def test_a_403_that_gives_its_reason_is_not_tested(reasoned: Reply) -> None:
    sim = used("a")
    sim.run(call(ONE), [reasoned])
    assert len(sim.sends) == 1


def test_the_others_wait_for_the_test_of_a_403_and_send_again_when_it_is_good() -> None:
    sim = used("a")

    def found_good(waiting: Sim) -> None:
        waiting.now += 1.0
        waiting.health.apply(KeySucceeded("a0", URL, "m1", "", waiting.now, True))

    sim.busy_probes = [found_good]
    assert sim.run(call(ONE), [BARE[0], None]).fault is None
    assert len(sim.sends) == 2


def test_the_others_do_not_ask_again_when_the_test_of_a_403_confirms_it() -> None:
    sim = used("a")
    sim.busy_probes = [
        lambda waiting: Sim(waiting.health, waiting.now).run(call(ONE), [BARE[0]] * 4) and None
    ]
    assert sim.run(call(ONE), [BARE[0]]).fault is not None
    assert len(sim.sends) == 1


@pytest.mark.parametrize("refusal", [BARE[0], BARE[3], Reply(401, (), b"")])
def test_a_key_is_not_barred_by_a_request_that_cannot_test_it(refusal: Reply) -> None:
    for more in ({"replayable": False}, {"client_retries": 2}):
        sim = used("a")
        sim.run(call(ONE, **more), [refusal])
        assert sim.cooled == []
        assert any(isinstance(change, KeyFailed) for change in sim.changes)
        sim.steps.clear()
        assert sim.run(call(ONE), [None]).fault is None
        assert [type(step).__name__ for step in sim.steps] == ["Probe", "Send"]


def ended(fault: Fault, level: int, *, worked: bool, ref: str = "env:A") -> float:
    """How many seconds the cooldown lasts that a fault starts at this level, of a key with this reference."""
    key = replace(key_of("p", "a"), ref=ref)
    connection = route(provider("p", keys=(key,))).connection
    health = HealthRegistry()
    fault = replace(fault, scope=Scope.KEY)
    now = 10.0
    for _ in range(level + 1):
        failure = Failure(fault, rule_for(fault, worked_here=worked), connection, "f", sent_at=now)
        *_, change = verdict(failure, health, now, 0.0)
        assert isinstance(change, CooldownStarted)
        health.apply(change)
        seconds = change.cooldown.until - now
        now = change.cooldown.until + 1
    return seconds


WEAK = (Confidence.HEURISTIC, Confidence.STATUS, Confidence.TEXT)
COOLING = (
    F.AUTH_REJECTED,
    F.AUTH_EXPIRED,
    F.NOT_ENTITLED,
    F.BLOCKED,
    F.QUOTA_EXHAUSTED,
    F.QUOTA_WINDOW,
    F.MODEL_UNAVAILABLE,
)


@rows("confidence", WEAK)
@rows("kind", COOLING)
@rows("level", [0, 1, 5])
def test_words_alone_are_believed_for_five_minutes_at_most(
    kind: F, confidence: Confidence, level: int
) -> None:
    for terminal in (False, True):
        for worked in (False, True):
            fault = Fault(
                kind, status=403, confidence=confidence, terminal=terminal, signs=("words:x", "hint:words")
            )
            assert ended(replace(fault, retry_after=9000.0), level, worked=worked) <= 300


@pytest.mark.parametrize("confidence", [Confidence.TYPE, Confidence.CODE])
@pytest.mark.parametrize("kind", [F.AUTH_REJECTED, F.AUTH_EXPIRED])
def test_a_structured_sign_that_is_final_bars_a_key_at_once(kind: F, confidence: Confidence) -> None:
    assert ended(Fault(kind, status=401, confidence=confidence, terminal=True), 0, worked=True) == inf


def test_a_key_that_never_worked_is_barred_by_a_second_401_and_by_no_second_403() -> None:
    refused = Fault(F.AUTH_REJECTED, status=401, confidence=Confidence.STATUS)
    assert ended(refused, 0, worked=False) == 300
    assert ended(refused, 1, worked=False) == inf
    assert ended(replace(refused, status=403, confidence=Confidence.TEXT), 1, worked=False) == 300


@pytest.mark.parametrize("ref", ["oauth:corp", "wif:corp", "cmd:tool", "call:f"])
@pytest.mark.parametrize(("terminal", "worked"), [(False, False), (True, True)])
def test_a_key_whose_value_is_renewed_under_its_name_is_barred_for_half_an_hour(
    ref: str, terminal: bool, worked: bool
) -> None:
    refused = Fault(F.AUTH_REJECTED, status=401, confidence=Confidence.CODE, terminal=terminal)
    for stays in ("env:A", "file:a", "store:a", "keyring:a/b"):
        assert ended(refused, 0, worked=worked, ref=stays) == inf
    assert [ended(refused, level, worked=worked, ref=ref) for level in (0, 1, 2)] == [1800.0] * 3


@pytest.mark.parametrize(
    ("kind", "hint", "seconds"),
    [
        (F.QUOTA_WINDOW, "hint:retry-after", 7200),
        (F.QUOTA_WINDOW, "hint:words", 300),
        (F.RATE_LIMITED, "hint:retry-after", 100),
        (F.RATE_LIMITED, "hint:words", 100),
    ],
)
def test_the_time_in_a_header_is_the_providers_own_however_weak_the_sign_of_its_class(
    kind: F, hint: str, seconds: float
) -> None:
    after = 7200.0 if kind is F.QUOTA_WINDOW else 100.0
    fault = Fault(
        kind, status=429, confidence=Confidence.STATUS, signs=("status:429", hint), retry_after=after
    )
    assert ended(fault, 0, worked=True) == pytest.approx(seconds)


def test_the_quota_of_one_model_is_a_cooldown_of_that_model() -> None:
    for kind in (F.QUOTA_EXHAUSTED, F.QUOTA_WINDOW):
        health = HealthRegistry()
        fault = Fault(kind, scope=Scope.KEY_MODEL, confidence=Confidence.CODE)
        failure = Failure(fault, rule_for(fault, worked_here=True), ONE.connection, "f", sent_at=1.0)
        *_, change = verdict(failure, health, 1.0, 0.0)
        assert isinstance(change, CooldownStarted)
        assert change.cooldown.subject == subject(Scope.KEY_MODEL, "f", ONE.connection)
        assert change.cooldown.hard


def test_an_account_without_money_is_still_a_verdict_on_all_of_its_models() -> None:
    sim = Sim()
    sim.run(call(ONE), [BROKE])
    assert sim.cooled[0].cooldown.subject == subject(Scope.ACCOUNT, "a0", ONE.connection)


def of_model(model: str) -> Route:
    return Route(replace(ONE.connection, model=model))


@pytest.mark.parametrize("bare", BARE)
def test_a_key_that_is_barred_from_one_model_goes_on_with_the_others_untested(bare: Reply) -> None:
    sim = used("a")
    barred, other = of_model("m2"), of_model("m1")
    assert sim.run(call(barred), [bare] * 4).fault is not None
    sim.steps.clear()
    assert sim.run(call(other), [None]).fault is None
    assert [type(step).__name__ for step in sim.steps] == ["Send"]
    assert sim.health.evidence("a0", ONE.connection.endpoint).last_fault is None
    assert sim.run(call(barred), []).from_memory


@pytest.mark.parametrize("bare", BARE)
def test_what_another_model_answers_meanwhile_is_no_evidence_for_the_barred_one(bare: Reply) -> None:
    sim = used("a")

    def other_answers(waiting: Sim) -> None:
        waiting.now += 1.0
        waiting.health.apply(KeySucceeded("a0", URL, "m1", "", waiting.now, True))

    sim.busy_probes = [other_answers] * 3
    assert sim.run(call(of_model("m2")), [bare] * 4).fault is not None
    assert len(sim.sends) == 4, "the series of tests, and no send for each answer to the other model"


def test_a_model_that_answers_again_is_forgotten_to_have_been_refused() -> None:
    health, endpoint = HealthRegistry(), ONE.connection.endpoint
    health.apply(KeySucceeded("a0", URL, "m2", "", 10.0, True))
    health.apply(KeyFailed("a0", URL, F.NOT_ENTITLED, 20.0, "m2"))
    health.apply(KeyFailed("a0", URL, F.NOT_ENTITLED, 25.0, "m2"))
    health.apply(KeySucceeded("a0", URL, "m1", "", 30.0, True))
    assert health.evidence("a0", endpoint, "m2") == Evidence(
        "a0", URL, 10.0, 10.0, F.NOT_ENTITLED, 25.0, 10.0
    )
    assert health.evidence("a0", endpoint, "m2").suspect
    assert not health.evidence("a0", endpoint, "m1").suspect
    health.apply(KeySucceeded("a0", URL, "m2", "", 40.0, True))
    assert not health.evidence("a0", endpoint, "m2").suspect


def test_refusals_for_models_end_with_the_evidence_of_the_key_and_are_bounded() -> None:
    health, endpoint = HealthRegistry(), ONE.connection.endpoint
    health.load([Evidence("a0", URL, 1.0, 10.0)], [])
    for number in range(3000):
        health.apply(KeyFailed("a0", URL, F.NOT_ENTITLED, 20.0, f"m{number}"))
    assert not health.evidence("a0", endpoint, "m0").suspect
    assert health.evidence("a0", endpoint, "m2999").suspect
    health.load([], [])
    assert health.evidence("a0", endpoint, "m2999") == Evidence("a0", URL)
