"""What follows each answer: the flow against scripted providers, with a clock of its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.core.changes import (
    CooldownStarted,
    Evidence,
    FallbackEnded,
    FallbackStarted,
    KeyFailed,
    KeyKept,
    KeySucceeded,
)
from holdfast.core.config import Limits
from holdfast.core.faults import FaultClass, Reply
from holdfast.core.health import HealthRegistry
from holdfast.core.identity import Strategy
from holdfast.core.steps import Answer, Probe, Refresh, Relist, Step
from world import (
    BAD_KEY,
    BROKE,
    BROKEN,
    DELETED,
    NO_MODEL,
    NO_PAGE,
    OVERLOADED,
    REFUSED_LINE,
    THROTTLED,
    TOO_LONG,
    WRONG,
    Script,
    Sim,
    call,
    key,
    provider,
    reply,
    route,
)

F = FaultClass
ONE = route(provider("mimo", "a"))
TWO = route(provider("mimo", "a", "b"))
THREE = route(provider("mimo", "a", "b", "c"))
OPEN = route(provider("local"))
FALLBACK = route(provider("router", "r"))
URL = "https://mimo.example/v1"


def known_good(sim: Sim, *labels: str, ago: float = 240.0) -> None:
    """Make keys of `mimo` known-good."""
    sim.health.load([Evidence(f"{label}0", URL, sim.now - 9999, sim.now - ago) for label in labels], [])


def test_a_good_answer_takes_one_send_and_leaves_evidence() -> None:
    sim = Sim()
    outcome = sim.run(call(ONE), [None])
    assert outcome.fault is None
    assert [type(change) for change in sim.changes] == [KeySucceeded]
    assert len(sim.sends) == len(outcome.attempts) == 1
    sim.steps.clear()
    sim.run(call(ONE), [None])
    assert [type(step).__name__ for step in sim.steps] == ["Send"]


def test_evidence_is_durable_at_first_and_then_once_a_minute() -> None:
    sim = Sim()
    durable = []
    for _ in range(3):
        sim.changes.clear()
        sim.run(call(ONE), [None])
        durable.append(sim.changes[0].durable)  # type: ignore[union-attr]
        sim.now += 40
    assert durable == [True, False, True]


def test_a_key_that_never_worked_is_asked_once_and_then_answered_from_memory() -> None:
    sim = Sim()
    first = sim.run(call(ONE), [BAD_KEY])
    assert (first.fault and first.fault.kind, len(sim.sends), first.from_memory) == (
        F.AUTH_REJECTED,
        1,
        False,
    )
    sim.now += 7 * 86400
    again = sim.run(call(ONE), [])
    assert again.from_memory
    assert again.attempts == ()
    assert again.fault is not None
    assert again.fault.kind is F.AUTH_REJECTED
    assert len(sim.sends) == 1


def test_a_plan_key_at_the_pay_as_you_go_host_stays_refused_and_its_refusal_names_the_plan_host() -> None:
    sim = Sim(plan_host="plan.example")
    outcome = sim.run(call(TWO), [BAD_KEY, BAD_KEY])
    assert sim.labels == ["a", "b"]
    assert outcome.fault is not None
    assert (outcome.fault.kind, outcome.fault.hint) == (FaultClass.AUTH_REJECTED, "plan.example")
    good = Sim(plan_host="plan.example")
    known_good(good, "a")
    refused = good.run(call(ONE), [BAD_KEY] * 4).fault
    assert refused is not None
    assert refused.hint is None, "a key that worked here stands at the right door"


def test_the_first_use_of_a_key_is_one_request_and_the_others_wait_for_its_verdict() -> None:
    sim = Sim()

    def found_bad(waiting: Sim) -> None:
        Sim(waiting.health, waiting.now).run(call(ONE), [BAD_KEY])

    sim.busy_probes = [found_bad]
    outcome = sim.run(call(ONE), [])
    assert outcome.from_memory
    assert sim.sends == []


def test_no_request_waits_twice_for_the_first_answer_of_a_key() -> None:
    sim = Sim(busy_probes=[lambda waiting: None])
    assert sim.run(call(ONE), [None]).fault is None
    assert [type(step).__name__ for step in sim.steps] == ["Probe", "Send"]
    assert [attempt.probe for attempt in sim.run(call(OPEN), [None]).attempts] == [False]


def test_a_replaced_key_starts_with_a_clean_slate() -> None:
    sim = Sim()
    sim.run(call(ONE), [BAD_KEY])
    sim.generation["a"] = 1
    assert sim.run(call(ONE), [None]).fault is None


def test_a_key_replaced_in_its_source_meanwhile_is_read_again_before_anything_is_concluded() -> None:
    sim = Sim(replaced={"a"})
    outcome = sim.run(call(ONE), [BAD_KEY, None])
    assert outcome.fault is None
    assert sim.cooled == []
    assert "replaced" in outcome.attempts[0].then


def test_a_known_good_key_gets_one_probe_sequence_and_survives_a_glitch() -> None:
    sim = Sim()
    known_good(sim, "a")
    outcome = sim.run(call(ONE), [BAD_KEY, BAD_KEY, BAD_KEY, None])
    assert outcome.fault is None
    assert [send.after for send in sim.sends] == [0.0, 0.5, 1.0, 2.0]
    assert [send.probe for send in sim.sends] == [False, True, True, True]
    assert sim.cooled == []


def test_a_revoked_known_good_key_costs_four_requests_and_then_none() -> None:
    sim = Sim()
    known_good(sim, "a")
    assert sim.run(call(ONE), [BAD_KEY] * 4).fault is not None
    assert len(sim.sends) == 4
    for _ in range(100):
        assert sim.run(call(ONE), []).from_memory
    assert len(sim.sends) == 4


def test_after_a_cool_down_one_request_tries_and_the_next_verdict_lasts_longer() -> None:
    sim = Sim()
    known_good(sim, "a")
    sim.run(call(ONE), [BAD_KEY] * 4)
    lasted = []
    for _ in range(3):
        until = sim.cooled[-1].cooldown.until
        lasted.append(round(until - sim.cooled[-1].cooldown.since))
        sim.now = until + 1
        assert sim.run(call(ONE), [BAD_KEY]).fault is not None
    assert lasted == [60, 300, 1800]
    assert len(sim.sends) == 7
    assert all(
        isinstance(step, Probe)
        for before, step in zip(sim.steps[1:], sim.steps, strict=False)
        if before in sim.sends[4:]
    )
    sim.now = sim.cooled[-1].cooldown.until + 1
    assert sim.run(call(ONE), [None]).fault is None
    assert sim.health.cooldown("a0", ONE.connection) is None


def test_the_others_wait_for_the_verdict_and_send_again_when_it_is_good() -> None:
    sim = Sim()
    known_good(sim, "a")

    def found_good(waiting: Sim) -> None:
        waiting.now += 3.5
        waiting.health.apply(KeySucceeded("a0", URL, "m1", "", waiting.now, True))

    sim.busy_probes = [found_good]
    outcome = sim.run(call(ONE), [BAD_KEY, None])
    assert outcome.fault is None
    assert len(sim.sends) == 2
    assert "meanwhile" in outcome.attempts[0].then


def test_the_others_do_not_ask_again_when_the_verdict_is_bad() -> None:
    sim = Sim()
    known_good(sim, "a")

    def found_bad(waiting: Sim) -> None:
        other = Sim(waiting.health, waiting.now)
        other.run(call(ONE), [BAD_KEY] * 4)

    sim.busy_probes = [found_bad]
    outcome = sim.run(call(TWO), [BAD_KEY, None])
    assert outcome.fault is None
    assert sim.labels == ["a", "b"]
    assert "another request" in outcome.attempts[0].then


def test_when_the_tester_of_a_key_dies_the_next_one_takes_over() -> None:
    sim = Sim(busy_probes=[lambda waiting: None])
    known_good(sim, "a")
    assert sim.run(call(ONE), [BAD_KEY, None]).fault is None
    assert [type(step).__name__ for step in sim.steps] == ["Send", "Refresh", "Probe", "Probe", "Send"]


def test_a_late_refusal_of_a_key_that_worked_since_is_sent_again_without_a_probe() -> None:
    sim = Sim()
    known_good(sim, "a")

    def answers(send: object, now: float) -> Reply | None:
        if len(sim.sends) == 1:
            sim.health.apply(KeySucceeded("a0", URL, "m1", "", now + 0.05, False))
            return BAD_KEY
        return None

    assert sim.run(call(ONE), answers).fault is None
    assert not any(isinstance(step, Probe) for step in sim.steps)


def test_while_a_key_is_suspect_a_new_request_waits_for_the_verdict_before_it_sends() -> None:
    sim = Sim()
    known_good(sim, "a")
    sim.health.apply(KeyFailed("a0", URL, F.AUTH_REJECTED, sim.now - 1))
    sim.busy_probes = [
        lambda waiting: waiting.health.apply(KeySucceeded("a0", URL, "m1", "", waiting.now, True))
    ]
    sim.run(call(ONE), [None])
    assert [type(step).__name__ for step in sim.steps] == ["Probe", "Send"]


class LateLease(Sim):
    """The lease is granted just after its holder found the key good: it is free again, and there is nothing
    left to find out."""

    def _answer(self, step: Step, script: Script) -> Answer:
        if isinstance(step, Probe):
            self.now += 1.0
            self.health.apply(KeySucceeded("a0", URL, "m1", "", self.now, True))
        return super()._answer(step, script)


@pytest.mark.parametrize("suspect", [True, False])
def test_a_lease_that_comes_after_the_verdict_is_not_used_for_another_probe(suspect: bool) -> None:
    sim = LateLease()
    known_good(sim, "a")
    if suspect:
        sim.health.apply(KeyFailed("a0", URL, F.AUTH_REJECTED, sim.now - 1))
    assert sim.run(call(ONE), [None] if suspect else [BAD_KEY, None]).fault is None
    assert sum(isinstance(step, Probe) for step in sim.steps) == 1
    assert not any(send.probe for send in sim.sends)


def test_a_refusal_is_dated_when_its_request_left() -> None:
    """A key that answered well meanwhile is not suspected because of an older request whose refusal took
    longer."""
    sim = Sim()
    known_good(sim, "a")
    sent = sim.now
    sim.run(call(ONE), [BAD_KEY] * 4)
    assert next(change.at for change in sim.changes if isinstance(change, KeyFailed)) == sent


def test_a_rotation_changes_the_key_and_nothing_else() -> None:
    sim = Sim()
    outcome = sim.run(call(TWO), [BROKE, None])
    first, second = (send.connection for send in sim.sends)
    assert (first.endpoint, first.model, first.dialect, first.provider) == (
        second.endpoint,
        second.model,
        second.dialect,
        second.provider,
    )
    assert sim.labels == ["a", "b"]
    assert outcome.attempts[0].then.startswith("went on with mimo/m1 key 'b'")
    assert KeyKept("s1", "b") in sim.changes


def test_a_hundred_simultaneous_failures_move_the_pool_once() -> None:
    sim = Sim()
    known_good(sim, "a", "b")
    start = sim.now
    for _ in range(100):
        sim.now = start
        sim.run(
            call(TWO, limits=Limits(probe_delays=())),
            lambda send, now: (
                BROKE if send.connection.key and send.connection.key.label == "a" and now <= start else None
            ),
        )
    assert len(sim.cooled) == 1
    assert sim.cooled[0].cooldown.level == 0


def test_keys_of_one_account_share_a_quota_verdict() -> None:
    shared = route(
        provider("mimo", keys=(key("mimo", "a", "team"), key("mimo", "b", "team"), key("mimo", "c", "mine")))
    )
    sim = Sim()
    assert sim.run(call(shared), [BROKE, None]).fault is None
    assert sim.labels == ["a", "c"]


def test_at_most_three_sends_and_two_rotations_a_request() -> None:
    four = route(provider("mimo", "a", "b", "c", "d"))
    sim = Sim()
    outcome = sim.run(call(four), [BROKE] * 9)
    assert sim.labels == ["a", "b", "c"]
    assert outcome.fault is not None
    assert outcome.fault.kind is F.QUOTA_EXHAUSTED


def test_all_keys_cooling_answers_with_the_true_last_fault_and_its_reset() -> None:
    sim = Sim()
    sim.run(call(TWO), [BROKE, BROKE])
    outcome = sim.run(call(TWO), [])
    assert outcome.from_memory
    assert outcome.fault is not None
    assert outcome.fault.kind is F.QUOTA_EXHAUSTED
    assert outcome.fault.reset_at == pytest.approx(sim.cooled[0].cooldown.until)


def test_a_throttle_is_waited_out_on_the_same_key_when_there_is_no_other() -> None:
    sim = Sim()
    slow = reply(429, "rate_limit_exceeded", headers={"retry-after": "12"})
    assert sim.run(call(ONE), [slow, None]).fault is None
    assert [send.after for send in sim.sends] == [0.0, 12.0]


def test_a_throttle_moves_to_a_healthy_spare_key_rather_than_wait_long() -> None:
    sim = Sim()
    slow = reply(429, "rate_limit_exceeded", headers={"retry-after": "12"})
    sim.run(call(TWO), [slow, None])
    assert sim.labels == ["a", "b"]


def test_a_short_throttle_stays_on_the_key_once_and_then_moves() -> None:
    sim = Sim()
    sim.run(call(TWO), [THROTTLED, THROTTLED, None])
    assert sim.labels == ["a", "a", "b"]


def test_a_request_that_meets_a_throttled_key_waits_its_turn_within_its_budget() -> None:
    sim = Sim()
    slow = reply(429, "rate_limit_exceeded", headers={"retry-after": "40"})
    sim.run(call(ONE, replayable=False), [slow])
    assert sim.run(call(ONE), [None]).fault is None
    assert sim.sends[-1].after == pytest.approx(40, abs=0.5)


def test_a_wait_beyond_the_budget_is_answered_at_once() -> None:
    sim = Sim()
    outcome = sim.run(
        call(ONE, limits=Limits(wait_budget=5)),
        [reply(429, "rate_limit_exceeded", headers={"retry-after": "40"})],
    )
    assert outcome.fault is not None
    assert len(sim.sends) == 1


def test_a_window_is_never_waited_for_and_ends_with_the_providers_reset() -> None:
    sim = Sim()
    outcome = sim.run(call(ONE), [reply(429, "rate_limit_exceeded", headers={"retry-after": "7200"})])
    assert outcome.fault is not None
    assert outcome.fault.kind is F.QUOTA_WINDOW
    assert sim.cooled[0].cooldown.until - sim.now == pytest.approx(7200, abs=40)


@pytest.mark.parametrize(
    ("answer", "sends", "cooled"),
    [
        (BROKEN, 3, 0),
        (OVERLOADED, 3, 3),
        (NO_PAGE, 1, 0),
        (WRONG, 1, 0),
        (TOO_LONG, 1, 0),
        (REFUSED_LINE, 3, 0),
        (reply(418), 1, 0),
        (DELETED, 1, 1),
    ],
)
def test_what_is_not_the_keys_fault_never_rotates(answer: Reply, sends: int, cooled: int) -> None:
    sim = Sim()
    spare = TWO if answer is not DELETED else ONE
    outcome = sim.run(call(spare), [answer] * 4)
    assert outcome.fault is not None
    assert set(sim.labels) == {"a"}
    assert (len(sim.sends), len(sim.cooled)) == (sends, cooled)


def test_a_fault_of_the_provider_cools_no_key() -> None:
    sim = Sim()
    sim.run(call(TWO), [OVERLOADED] * 3)
    assert {cooled.cooldown.subject for cooled in sim.cooled} == {f"model:m1@{URL}"}
    assert not sim.cooled[0].cooldown.hard
    assert sim.run(call(TWO), [None]).fault is None


def test_an_outage_spends_the_endpoints_retry_budget_and_then_nothing_is_amplified() -> None:
    sim = Sim()
    for _ in range(100):
        sim.run(call(ONE), [BROKEN] * 3)
    assert len(sim.sends) <= 100 + 10 + 100 * 0.3 * 0.1 + 5
    blocked = sim.run(call(ONE), [BROKEN])
    assert "budget" in blocked.attempts[-1].then


def test_a_request_that_cannot_be_replayed_is_sent_once() -> None:
    sim = Sim()
    known_good(sim, "a")
    for answer in (BROKEN, BAD_KEY, THROTTLED):
        sim.steps.clear()
        sim.run(call(TWO, replayable=False), [answer])
        assert len(sim.sends) == 1


def test_what_cannot_be_replayed_goes_to_no_fallback_either() -> None:
    sim = Sim()
    outcome = sim.run(call(ONE, FALLBACK, replayable=False), [BROKE])
    assert outcome.fault is not None
    assert sim.labels == ["a"]


def test_what_cannot_be_replayed_may_still_take_the_second_key_when_the_first_cannot_be_read() -> None:
    sim = Sim(missing={"a"})
    assert sim.run(call(TWO, replayable=False), [None]).fault is None
    assert sim.labels == ["b"]


def test_a_passthrough_that_leaves_something_behind_is_tried_once_and_changes_no_health() -> None:
    sim = Sim()
    known_good(sim, "a")
    for answer in (BAD_KEY, BROKE, THROTTLED, None):
        sim.run(call(TWO, FALLBACK, passthrough=True, replayable=False), [answer])
    assert sim.changes == []
    assert sim.labels == ["a"] * 4


def test_a_passthrough_that_may_be_sent_again_is_helped_as_any_other_and_changes_no_health() -> None:
    sim = Sim()
    known_good(sim, "a")
    for answers, last in (([BAD_KEY] * 4, "b"), ([THROTTLED] * 2, "b"), ([BROKE], "b"), ([], "a")):
        sim.steps.clear()
        assert sim.run(call(TWO, passthrough=True), [*answers, None]).fault is None
        assert sim.labels == ["a"] * max(1, len(answers)) + ["b"] * (last == "b")
    assert sim.changes == []


def test_another_key_of_the_choice_comes_before_any_fallback() -> None:
    sim = Sim()
    assert not sim.run(call(TWO, FALLBACK), [THROTTLED, THROTTLED, None]).active_fallback
    assert sim.labels == ["a", "a", "b"]


def test_a_send_is_kept_for_each_fallback_that_may_answer() -> None:
    far = route(provider("far", "f"))
    sim = Sim()
    outcome = sim.run(call(ONE, FALLBACK, far), [BROKEN] * 9)
    assert outcome.fault is not None
    assert sim.labels == ["a", "r", "f"]
    sim.steps.clear()
    sim.run(call(ONE, FALLBACK), [BROKEN] * 9)
    assert sim.labels == ["a", "a", "r"]


def test_a_client_that_retries_by_itself_shrinks_our_own_tries() -> None:
    sim = Sim()
    sim.run(call(ONE, client_retries=2), [BROKEN])
    assert len(sim.sends) == 1


def test_a_key_that_cannot_be_read_is_skipped_and_nothing_is_sent_for_it() -> None:
    sim = Sim(missing={"a"})
    outcome = sim.run(call(TWO), [None])
    assert sim.labels == ["b"]
    assert outcome.attempts[0].fault is not None
    assert not outcome.attempts[0].fault.sent


def test_without_any_key_that_can_be_read_nothing_is_sent() -> None:
    sim = Sim(missing={"a", "b"})
    outcome = sim.run(call(TWO), [])
    assert sim.sends == []
    assert outcome.fault is not None
    assert outcome.fault.kind is F.AUTH_REJECTED
    assert not outcome.fault.sent


def test_a_key_whose_value_runs_out_at_once_is_not_read_for_ever() -> None:
    sim = Sim()
    context = sim.context()._replace(fingerprint=lambda key: None)
    sim.context = lambda: context  # type: ignore[method-assign]
    outcome = sim.run(call(ONE), [])
    assert outcome.fault is not None
    assert {type(step) for step in sim.steps} == {Refresh}
    assert len(sim.steps) < 100


def test_a_key_is_read_once_before_its_first_use() -> None:
    sim = Sim(unread={"a"})
    assert sim.run(call(ONE), [None]).fault is None
    assert [type(step).__name__ for step in sim.steps] == ["Refresh", "Probe", "Send"]


def test_an_endpoint_without_a_key_is_used_without_one() -> None:
    sim = Sim()
    outcome = sim.run(call(OPEN), [BROKEN, None])
    assert outcome.fault is None
    assert sim.labels == ["", ""]


def test_a_wrong_endpoint_names_the_host_where_the_key_works_and_blames_no_key() -> None:
    sim = Sim()
    sim.health.load([Evidence("a0", "https://plan.example/v1", 1.0, sim.now - 60)], [])
    outcome = sim.run(call(TWO), [BAD_KEY])
    assert outcome.fault is not None
    assert outcome.fault.kind is F.ENDPOINT_MISMATCH
    assert "plan.example" in (outcome.fault.hint or "")
    assert sim.cooled == []
    assert sim.labels == ["a"]


def test_an_unknown_model_asks_for_the_list_once_and_names_its_neighbours() -> None:
    sim = Sim(models=("m12", "m1-pro", "other"))
    outcome = sim.run(call(ONE), [NO_MODEL])
    assert outcome.fault is not None
    assert outcome.fault.kind is F.MODEL_UNAVAILABLE
    assert "m12" in (outcome.fault.hint or "")
    assert sum(isinstance(step, Relist) for step in sim.steps) == 1


@pytest.mark.parametrize(
    ("listed", "declared", "cause"),
    [
        (("m1", "m12"), None, "listed"),
        (("m1",), ("m1",), "listed"),
        (("m1",), ("m2",), "listed"),
        (("m12",), ("m1",), "declared"),
        ((), ("m1",), "declared"),
        (("m12",), ("m2",), None),
        (("m12",), None, None),
    ],
)
def test_a_refused_model_is_never_named_as_its_own_neighbour(
    listed: tuple[str, ...], declared: tuple[str, ...] | None, cause: str | None
) -> None:
    owner = replace(ONE.connection.provider, models=declared)
    sim = Sim(models=listed)
    outcome = sim.run(call(route(owner)), [NO_MODEL])
    assert outcome.fault is not None
    assert outcome.fault.cause == cause
    near = None
    if "m12" in listed and cause != "listed":
        near = "did you mean m12?"
    assert outcome.fault.hint == near


def test_an_unknown_model_without_neighbours_stays_without_a_hint() -> None:
    sim = Sim(models=("zzz",))
    outcome = sim.run(call(ONE), [NO_MODEL])
    assert outcome.fault is not None
    assert not outcome.fault.hint


def test_a_final_verdict_needs_no_history_and_ends_the_key() -> None:
    sim = Sim()
    known_good(sim, "a", "b")
    assert sim.run(call(TWO), [DELETED, None]).fault is None
    assert sim.labels == ["a", "b"]
    assert sim.cooled[0].cooldown.until == float("inf")


def test_the_session_keeps_its_key_while_it_is_healthy() -> None:
    sim = Sim()
    sim.run(call(TWO, kept_key="b"), [None])
    assert sim.labels == ["b"]
    assert not any(isinstance(change, KeyKept) for change in sim.changes)


@pytest.mark.parametrize(
    ("strategy", "labels"),
    [(Strategy.ROUND_ROBIN, "abcabc"), (Strategy.LEAST_USED, "abcabc"), (Strategy.FILL_FIRST, "aaaaaa")],
)
def test_the_strategy_decides_which_key_is_next(strategy: Strategy, labels: str) -> None:
    pool = route(provider("mimo", "a", "b", "c", strategy=strategy))
    sim = Sim()
    for _ in labels:
        sim.run(call(pool), [None])
    assert "".join(sim.labels) == labels


def test_only_a_fallback_that_the_user_wrote_answers_and_its_lease_ends() -> None:
    sim = Sim()
    outcome = sim.run(call(ONE, FALLBACK, return_after=600), [OVERLOADED, OVERLOADED, None])
    assert outcome.active_fallback
    assert outcome.connection == FALLBACK.connection
    assert FallbackStarted("s1", "router/m1", "provider_unavailable", sim.now + 600) in sim.changes
    assert "fell back to" in outcome.attempts[1].then
    sim.now += 601
    back = sim.run(call(ONE, FALLBACK, returning=True), [None])
    assert not back.active_fallback
    assert FallbackEnded("s1") in sim.changes


def test_a_fallback_that_cannot_be_asked_is_named_where_it_would_have_answered() -> None:
    keyless = "fallback keyless/m was not asked: provider 'keyless' needs a key"
    sim = Sim()
    outcome = sim.run(call(ONE, FALLBACK, left_out=(keyless,)), [BROKE, None])
    assert outcome.attempts[0].then == f"{keyless}; fell back to {FALLBACK.connection}"
    assert sim.run(call(ONE, left_out=(keyless,)), []).attempts == ()
    alone = Sim()
    assert alone.run(call(ONE, left_out=(keyless,)), [BROKE]).attempts[0].then == keyless
    assert alone.run(call(ONE, left_out=(keyless,)), [TOO_LONG]).attempts == ()
    own_fault = Sim().run(call(ONE, left_out=(keyless,)), [TOO_LONG])
    assert own_fault.attempts[0].then == ""


def test_an_active_fallback_is_asked_first_and_the_choice_after_it() -> None:
    sim = Sim()
    sim.run(call(ONE, FALLBACK, on_fallback="router/m1"), [None])
    assert sim.labels == ["r"]
    assert not any(isinstance(change, FallbackStarted) for change in sim.changes)
    outcome = sim.run(call(ONE, FALLBACK, on_fallback="router/m1"), [BROKEN, BROKEN, None])
    assert sim.labels[1:] == ["r", "r", "a"]
    assert FallbackEnded("s1") in outcome.changes


def test_an_endpoint_that_is_cooling_lets_the_fallback_answer_without_being_asked() -> None:
    sim = Sim()
    sim.run(call(ONE), [OVERLOADED] * 3)
    sim.steps.clear()
    outcome = sim.run(call(ONE, FALLBACK), [None])
    assert sim.labels == ["r"]
    assert outcome.active_fallback
    assert FallbackStarted("s1", "router/m1", "provider_unavailable", sim.now + 600) in sim.changes


@pytest.mark.parametrize("answer", [BAD_KEY, NO_PAGE, WRONG, TOO_LONG])
def test_what_the_user_must_mend_does_not_fall_back(answer: Reply) -> None:
    sim = Sim()
    outcome = sim.run(call(ONE, FALLBACK), [answer])
    assert outcome.fault is not None
    assert sim.labels == ["a"]


def test_when_every_fallback_fails_the_last_fault_is_the_answer() -> None:
    sim = Sim()
    outcome = sim.run(call(ONE, FALLBACK), [BROKE, BROKE])
    assert outcome.fault is not None
    assert sim.labels == ["a", "r"]


def test_another_fault_during_the_probe_is_treated_as_what_it_is() -> None:
    sim = Sim()
    known_good(sim, "a")
    outcome = sim.run(call(ONE), [BAD_KEY, BROKEN, None])
    assert outcome.fault is None
    assert sim.cooled == []


def test_a_board_ignores_changes_that_are_not_about_keys() -> None:
    health = HealthRegistry()
    health.apply(KeyKept("s", "a"))
    assert health.evidence("a0", ONE.connection.endpoint) == Evidence("a0", URL)


def test_a_verdict_is_attributed_to_the_key_that_was_sent() -> None:
    sim = Sim()
    sim.run(call(TWO, kept_key="b"), [BROKE, None])
    assert isinstance(sim.cooled[0], CooldownStarted)
    assert sim.cooled[0].cooldown.subject == f"key:b0@{URL}"


def test_a_throttle_met_by_another_request_is_no_verdict_on_a_refused_key() -> None:
    """A gateway under load answers 429 to one and 401 to the other: the key was not refused twice."""
    sim = Sim(busy_probes=[lambda sim: throttle(sim, "a")])
    known_good(sim, "a")
    outcome = sim.run(call(ONE), [BAD_KEY, None])
    assert outcome.fault is None
    assert not any("refused too" in attempt.then for attempt in outcome.attempts)


@pytest.mark.parametrize("trouble", [OVERLOADED, THROTTLED])
def test_a_good_key_is_tested_also_after_its_endpoint_was_overloaded(trouble: Reply) -> None:
    sim = Sim()
    known_good(sim, "a")
    sim.run(call(ONE), [trouble] * 3)
    sim.now += 300
    assert sim.run(call(ONE), [BAD_KEY, BAD_KEY, None]).fault is None


def throttle(sim: Sim, label: str) -> None:
    """Another request met a throttle on a key of `mimo`."""
    Sim(health=sim.health, now=sim.now).run(call(ONE), [THROTTLED] * 3)


def test_verdicts_of_different_kinds_are_no_repetition_that_bars_a_key() -> None:
    """A new key without money, and then one bare 401: neither is a strong sign that the key is invalid."""
    sim = Sim()
    sim.run(call(ONE), [Reply(402, (), b"no credit left")])
    sim.now += 3601
    sim.run(call(ONE), [Reply(401, (), b"")])
    assert [change.cooldown.until < float("inf") for change in sim.cooled] == [True, True]
    sim.now += 301
    assert sim.run(call(ONE), [None]).fault is None


def test_a_key_that_worked_long_ago_is_refused_for_a_while_and_not_for_ever() -> None:
    sim = Sim()
    known_good(sim, "a", ago=8 * 86400)
    sim.run(call(ONE), [BAD_KEY])
    assert len(sim.sends) == 1
    sim.now += 61
    assert sim.run(call(ONE), [None]).fault is None


def test_waiting_for_the_tests_of_others_is_within_the_budget_of_a_request() -> None:
    """Each tester hangs and leaves without a verdict; a request behind a hundred of them does not wait for
    all."""
    sim = Sim(busy_probes=[lambda sim: setattr(sim, "now", sim.now + 10)] * 100)
    known_good(sim, "a")
    began = sim.now
    outcome = sim.run(call(ONE), [BAD_KEY, None, None])
    assert sim.now - began < 80
    assert outcome.attempts[0].fault is not None


def test_a_suspect_key_is_not_waited_for_longer_than_the_budget() -> None:
    sim = Sim(busy_probes=[lambda sim: setattr(sim, "now", sim.now + 10)] * 100)
    sim.health.load([Evidence("a0", URL, sim.now - 9999, sim.now - 240, F.AUTH_REJECTED, sim.now - 5)], [])
    began = sim.now
    assert sim.run(call(ONE), [None]).fault is None
    assert sim.now - began < 80


def test_what_cannot_be_sent_twice_is_not_repeated_because_the_provider_saw_no_key() -> None:
    sim = Sim()
    outcome = sim.run(call(TWO, replayable=False), [reply(401, message="You didn't provide an API key.")])
    assert outcome.fault is not None
    assert not outcome.fault.sent
    assert len(sim.sends) == 1


def test_a_pin_named_by_one_request_changes_nothing_of_its_session() -> None:
    sim = Sim()
    outcome = sim.run(call(TWO, FALLBACK, chosen=False), [OVERLOADED, OVERLOADED, None])
    assert (outcome.fault, outcome.active_fallback) == (None, True)
    sim.run(call(TWO, chosen=False), [None])
    assert not [
        change for change in sim.changes if isinstance(change, KeyKept | FallbackStarted | FallbackEnded)
    ]
