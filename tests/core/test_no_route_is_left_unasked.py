"""Law 5: while recovery lasts, no healthy route is left unasked. What is skipped now is asked later."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from holdfast.core.changes import Cooldown, CooldownStarted, FallbackEnded, FallbackStarted, subject
from holdfast.core.config import Limits
from holdfast.core.faults import Confidence, Fault, FaultClass, Phase, Reply, Scope
from holdfast.core.routes import Route
from tables import rows
from world import (
    BAD_KEY,
    BROKE,
    BROKEN,
    NO_MODEL,
    NO_PAGE,
    OVERLOADED,
    REFUSED_LINE,
    TOO_LONG,
    WRONG,
    Sim,
    call,
    key,
    provider,
    reply,
    route,
)

F = FaultClass
PIN = route(provider("mimo", "a"))
TWO = route(provider("mimo", "a", "b"))
SPARE = route(provider("spare", "s"))
FAR = route(provider("far", "f"))
BLOCKED = Reply(403, (("content-type", "text/html"),), b"<title>Attention Required! | Cloudflare</title>")


def rest(sim: Sim, resting: Route, scope: Scope = Scope.MODEL, seconds: float = 600.0) -> None:
    """Let a route's endpoint or model cool down."""
    kind = F.PROVIDER_UNAVAILABLE if scope is Scope.MODEL else F.BLOCKED
    fault = Fault(kind, scope=scope, confidence=Confidence.CODE)
    name = subject(scope, "-", resting.connection)
    sim.health.apply(CooldownStarted(Cooldown(name, sim.now + seconds, sim.now, 0, fault)))


@pytest.mark.parametrize("trouble", [OVERLOADED, NO_MODEL, BLOCKED])
@pytest.mark.parametrize("fallback_answer", [BROKE, BAD_KEY, NO_PAGE, WRONG, TOO_LONG, NO_MODEL, BLOCKED])
def test_a_choice_that_was_skipped_is_asked_after_its_fallback_failed(
    trouble: Reply, fallback_answer: Reply
) -> None:
    sim = Sim()
    first = sim.run(call(PIN, SPARE), lambda send, now: trouble if send.connection.label == "a" else BROKE)
    assert first.fault is not None
    sim.steps.clear()
    sim.health.apply(CooldownStarted(_forgotten(sim)))
    again = sim.run(
        call(PIN, SPARE), lambda send, now: None if send.connection.label == "a" else fallback_answer
    )
    assert again.fault is None
    assert sim.labels == ["s", "a"]
    sim.steps.clear()
    assert sim.run(call(PIN, SPARE), [None]).fault is None, "its verdict was refuted"
    assert sim.labels == ["a"]


def _forgotten(sim: Sim) -> Cooldown:
    """A verdict on the fallback that is over, so that it is asked again."""
    fault = Fault(F.QUOTA_EXHAUSTED, scope=Scope.ACCOUNT)
    return Cooldown(subject(Scope.ACCOUNT, "s0", SPARE.connection), sim.now, sim.now - 1, 0, fault)


def test_a_choice_that_was_skipped_is_asked_when_memory_says_no_for_its_fallback() -> None:
    sim = Sim()
    sim.run(call(SPARE), [BROKE])
    rest(sim, PIN)
    sim.steps.clear()
    outcome = sim.run(call(PIN, SPARE), [None])
    assert (outcome.fault, sim.labels) == (None, ["a"])
    assert not outcome.active_fallback


def test_of_routes_that_all_cool_down_the_choice_is_asked_first() -> None:
    sim = Sim()
    for resting in (PIN, SPARE, FAR):
        rest(sim, resting, Scope.ENDPOINT)
    sim.run(call(PIN, SPARE, FAR), [BROKEN] * 3)
    assert sim.labels == ["a", "s", "f"]
    sim.steps.clear()
    sim.run(call(PIN, SPARE, FAR, on_fallback="far/m1"), [BROKEN] * 3)
    assert sim.labels[0] == "a"


def test_a_session_on_its_second_fallback_asks_the_first_as_well() -> None:
    sim = Sim()
    outcome = sim.run(call(PIN, SPARE, FAR, on_fallback="far/m1"), [BROKEN, BROKEN, None])
    assert sim.labels == ["f", "a", "s"]
    assert FallbackStarted("s1", "spare/m1", "transient", sim.now) not in sim.changes
    assert outcome.active_fallback


@rows("healthy", range(3))
@rows("resting", [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
@rows("trouble", [BROKE, BROKEN, OVERLOADED, REFUSED_LINE, BLOCKED, NO_MODEL])
def test_a_turn_is_answered_while_any_of_three_routes_is_healthy(
    healthy: int, resting: tuple[int, ...], trouble: Reply
) -> None:
    routes = (PIN, SPARE, FAR)
    for active in (None, "spare/m1", "far/m1"):
        sim = Sim()
        for number in resting:
            rest(sim, routes[number])
        well = routes[healthy].connection
        outcome = sim.run(
            call(*routes, on_fallback=active),
            lambda send, now, well=well: None if send.connection == well else trouble,
        )
        assert outcome.fault is None, (active, sim.labels)
        assert len(sim.sends) <= 3
        ended = [change for change in sim.changes if isinstance(change, FallbackEnded)]
        assert bool(ended) == (healthy == 0 and active is not None)


def test_the_quota_of_one_account_does_not_send_a_route_to_the_end_whose_other_key_is_healthy() -> None:
    pool = route(provider("mimo", keys=(key("mimo", "a", "one"), key("mimo", "b", "two"))))
    sim = Sim()
    sim.run(call(pool), [BROKE, None])
    sim.steps.clear()
    assert not sim.run(call(pool, SPARE), [None]).active_fallback
    assert sim.labels == ["b"]


OWN = "https://own.example/v1"
MIXED = route(provider("mimo", keys=(key("mimo", "a"), key("mimo", "b", url=OWN), key("mimo", "c", url=OWN))))


@pytest.mark.parametrize("dead", [NO_PAGE, REFUSED_LINE, BLOCKED, OVERLOADED, BROKEN])
def test_the_dead_endpoint_of_a_spare_key_ends_no_turn_that_a_fallback_can_answer(dead: Reply) -> None:
    sim = Sim()
    assert sim.run(call(MIXED, SPARE), [BROKE, dead, None]).active_fallback
    assert sim.labels == ["a", "b", "s"], "the second key at the dead endpoint is not asked"
    sim.steps.clear()
    assert (
        sim.run(call(MIXED, SPARE), lambda send, now: None if send.connection.label == "s" else dead).fault
        is None
    )


@pytest.mark.parametrize("dead", [NO_PAGE, REFUSED_LINE, BLOCKED])
def test_a_key_at_a_healthy_endpoint_is_asked_after_one_at_a_dead_endpoint(dead: Reply) -> None:
    sim = Sim()
    own = call(MIXED, kept_key="b")
    assert sim.run(own, lambda send, now: None if send.connection.label == "a" else dead).fault is None
    assert sim.labels[-1] == "a"
    assert "c" not in sim.labels


def test_a_key_whose_endpoint_cools_down_comes_after_the_others() -> None:
    sim = Sim()
    sim.run(call(MIXED, kept_key="b"), [BLOCKED, None])
    sim.steps.clear()
    sim.run(call(MIXED, kept_key="b"), [None])
    assert sim.labels == ["a"]
    only = route(replace(MIXED.connection.provider, keys=MIXED.connection.provider.keys[1:]))
    sim.steps.clear()
    assert sim.run(call(only), [None]).fault is None, "but it is asked where there is no other"


def test_a_key_that_cannot_be_read_leads_to_the_next_key_and_to_the_fallbacks() -> None:
    sim = Sim(missing={"a", "b", "s"})
    outcome = sim.run(call(TWO, SPARE, FAR), [None])
    assert sim.labels == ["f"]
    assert outcome.active_fallback
    assert outcome.sends == 1
    assert [attempt.was_sent for attempt in outcome.attempts] == [False, False, False, True]


def test_a_fallback_without_a_key_never_hides_what_the_choice_answered() -> None:
    for order in permutations((SPARE, FAR)):
        sim = Sim(missing={"s", "f"})
        outcome = sim.run(call(PIN, *order), [BROKE])
        assert outcome.fault is not None
        assert (outcome.fault.kind, outcome.connection) == (F.QUOTA_EXHAUSTED, PIN.connection)
    sim = Sim(missing={"a", "s"})
    outcome = sim.run(call(PIN, SPARE), [])
    assert outcome.connection == PIN.connection, "of two that cannot be read, the user is told of his choice"


def test_what_memory_says_of_a_fallback_never_hides_what_the_choice_answers_now() -> None:
    sim = Sim()
    sim.run(call(SPARE), [BROKE])
    outcome = sim.run(call(PIN, SPARE), [OVERLOADED] * 3)
    assert outcome.fault is not None
    assert (outcome.fault.kind, outcome.from_memory) == (F.PROVIDER_UNAVAILABLE, False)
    assert "spare/m1 key 's' at spare.example was not asked" in outcome.attempts[-1].then


def test_where_nothing_may_be_asked_memory_tells_of_the_choice_and_until_when() -> None:
    sim = Sim()
    sim.run(call(PIN, SPARE), [BROKE, BROKE])
    outcome = sim.run(call(PIN, SPARE), [])
    assert (outcome.connection, outcome.from_memory) == (PIN.connection, True)
    assert outcome.memory_ends == sim.cooled[0].cooldown.until


@pytest.mark.parametrize("seconds", [5.0, 59.0, 61.0, 100.0, 119.0])
@pytest.mark.parametrize("budget", [0.0, 60.0, 200.0])
def test_a_wait_keeps_the_time_of_the_provider_and_is_not_begun_where_it_cannot_end(
    seconds: float, budget: float
) -> None:
    slow = reply(429, "rate_limit_exceeded", headers={"retry-after": f"{seconds:g}"})
    sim = Sim()
    began, limits = sim.now, Limits(wait_budget=budget)
    sim.run(call(PIN, replayable=False), [slow])
    outcome = sim.run(call(PIN, limits=limits), [None])
    if seconds <= budget:
        assert outcome.attempts[0].sent_at == pytest.approx(began + 0.1 + seconds, abs=0.2)
        return
    assert outcome.from_memory
    assert outcome.fault is not None
    assert outcome.fault.reset_at == outcome.memory_ends == pytest.approx(began + seconds, abs=0.2)
    assert sim.now == pytest.approx(began, abs=0.2)


def test_a_provider_that_is_overloaded_for_a_time_it_names_comes_after_its_fallbacks_for_that_time() -> None:
    sim = Sim()
    busy = reply(503, message="Overloaded", kind="overloaded_error", headers={"retry-after": "100"})
    sim.run(call(PIN), [busy])
    sim.now += 90
    sim.steps.clear()
    sim.run(call(PIN, SPARE), [None])
    assert sim.labels == ["s"]


UNHEARD = replace(REFUSED_LINE, phase=Phase.HEADERS, closed_unheard=True)


def test_a_kept_connection_that_was_closed_is_replaced_once_and_costs_nothing() -> None:
    sim = Sim()
    tokens = sim.health.bucket(PIN.connection.endpoint)
    for _ in range(20):
        outcome = sim.run(call(PIN), [UNHEARD, BROKEN, BROKEN, None])
        assert outcome.fault is None
        assert [send.fresh for send in sim.sends] == [False, True, True, True]
        assert [send.after for send in sim.sends][:2] == [0.0, 0.0]
        assert outcome.sends == 4, "but each is a send"
        sim.steps.clear()
        sim.now += 60
    assert tokens.take(sim.now)
    sim.run(call(PIN), [UNHEARD, UNHEARD, UNHEARD, None])
    assert len(sim.sends) == 4, "on a fresh connection it is an ordinary fault"


def test_what_cannot_be_sent_twice_is_not_sent_on_a_fresh_connection_either() -> None:
    sim = Sim()
    assert sim.run(call(PIN, replayable=False), [UNHEARD]).fault is not None
    assert sim.run(call(PIN, passthrough=True), [UNHEARD, None]).fault is None


def test_a_key_that_is_lost_just_before_it_is_sent_costs_no_send_and_is_not_blamed() -> None:
    for name in (b"SecretMissing", b"SignInEnded", b"NotRenewed"):
        lost = Reply(None, body=name + b": gone", phase=Phase.UNSENT, request_written=False)
        sim = Sim()
        outcome = sim.run(call(TWO), [lost, BROKEN, BROKEN, None])
        assert (outcome.fault, outcome.sends) == (None, 3)
        assert sim.labels == ["a", "b", "b", "b"]
        assert sim.cooled == []
