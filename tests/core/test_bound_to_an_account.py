"""A request that refers to what only one account knows: a previous response, encrypted reasoning, a file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.core.changes import FallbackStarted, KeyKept, Owner
from holdfast.core.faults import FaultClass, Reply
from holdfast.core.steps import Send
from world import BROKE, OVERLOADED, Sim, call, provider, reply, route

MIMO = provider("mimo", "a", "b", "c")
KEYS = route(MIMO)
FALLBACK = route(provider("router", "r"))
OF_A, OF_B, OF_R = Owner("mimo", "a", "a0"), Owner("mimo", "b", "b0"), Owner("router", "r", "r0")
SECONDS_7 = reply(429, "rate_limit_exceeded", "Rate limit reached", {"retry-after": "7"})
MINUTES_5 = reply(429, "rate_limit_exceeded", "Rate limit reached", {"retry-after": "300"})
NOT_FOUND = reply(400, "previous_response_not_found", "Previous response with id 'resp_1' not found.")
UNVERIFIED = reply(400, "invalid_encrypted_content", "The encrypted content could not be verified.")


def by_key(**answers: Reply) -> object:
    """Answer by the key that was sent."""

    def script(send: Send, _now: float) -> Reply | None:
        return answers.get(send.connection.label)

    return script


@pytest.mark.parametrize(
    ("owner", "kept", "first", "sent"),
    [
        pytest.param(OF_B, "a", OF_A, ["b"], id="a known owner before the kept key"),
        pytest.param(None, "b", None, ["b"], id="the kept key where no owner is known"),
        pytest.param(None, None, OF_B, ["b"], id="the owner of the first object"),
        pytest.param(None, "b", OF_A, ["b"], id="the kept key before the first owner"),
        pytest.param(None, None, None, ["a"], id="nothing is known"),
        pytest.param(Owner("mimo", "b", "old"), "a", None, ["b"], id="a new value"),
        pytest.param(Owner("mimo", "was", "b0"), "a", None, ["b"], id="a new label"),
        pytest.param(Owner("gone", "b", "b0"), "c", None, ["c"], id="another provider"),
    ],
)
def test_a_bound_request_goes_to_the_account_that_made_what_it_refers_to(
    owner: Owner | None, kept: str | None, first: Owner | None, sent: list[str]
) -> None:
    sim = Sim(first_owner=first)
    outcome = sim.run(call(KEYS, bound=True, owner=owner, kept_key=kept), [None])
    assert (sim.labels, outcome.fault) == (sent, None)


def test_a_short_throttle_of_its_account_is_waited_for() -> None:
    sim = Sim()
    outcome = sim.run(call(KEYS, FALLBACK, bound=True, kept_key="a"), [SECONDS_7, None])
    assert outcome.fault is None
    assert (sim.labels, [send.after for send in sim.sends]) == (["a", "a"], [0.0, 7.0])


@pytest.mark.parametrize("answer", [MINUTES_5, BROKE, OVERLOADED, reply(401, "invalid_api_key", "no")])
def test_no_other_account_and_no_other_provider_gets_a_bound_request(answer: Reply) -> None:
    sim, namesake = Sim(), route(provider("router", "b"))
    outcome = sim.run(call(KEYS, namesake, FALLBACK, bound=True, kept_key="b"), [answer] * 9)
    assert outcome.fault is not None
    assert set(sim.labels) == {"b"}
    again = sim.run(call(KEYS, namesake, FALLBACK, bound=True, kept_key="b"), [answer] * 9)
    assert {str(send.connection.pin) for send in sim.sends} == {str(KEYS.connection.pin)}
    assert set(sim.labels) == {"b"}
    assert again.fault is not None
    assert again.fault.kind is outcome.fault.kind


def test_the_true_reset_of_its_account_is_told_from_memory() -> None:
    sim = Sim()
    sim.run(call(KEYS, bound=True, kept_key="a"), [MINUTES_5])
    sim.now += 100
    outcome = sim.run(call(KEYS, bound=True, kept_key="a"), [])
    assert outcome.fault is not None
    assert (outcome.from_memory, outcome.fault.kind) == (True, FaultClass.QUOTA_WINDOW)
    assert outcome.fault.retry_after == pytest.approx(200, abs=40)


def test_keys_of_one_configured_account_are_one() -> None:
    keys = (MIMO.keys[0], *(replace(key, account="team") for key in MIMO.keys[1:]))
    sim = Sim()
    team = route(replace(MIMO, keys=keys))
    outcome = sim.run(call(team, bound=True, kept_key="b"), [SECONDS_7, None])
    assert (sim.labels, outcome.fault) == (["b", "c"], None)


def test_an_owner_that_cannot_be_read_is_what_is_told() -> None:
    sim = Sim(missing={"b"})
    outcome = sim.run(call(KEYS, FALLBACK, bound=True, kept_key="b"), [])
    assert (sim.labels, outcome.connection.label) == ([], "b")


def test_an_unread_first_key_does_not_bind_a_request_of_which_nothing_is_known() -> None:
    sim = Sim(missing={"a"})
    outcome = sim.run(call(KEYS, bound=True), [MINUTES_5, None])
    assert (sim.labels, outcome.connection.label) == (["b"], "b")


def test_what_a_fallback_made_is_asked_of_the_fallback_which_does_not_become_active_by_it() -> None:
    sim = Sim()
    outcome = sim.run(call(KEYS, FALLBACK, bound=True, owner=OF_R), [None])
    assert (sim.labels, outcome.active_fallback) == (["r"], True)
    assert not [change for change in sim.changes if isinstance(change, FallbackStarted)]
    sim.steps.clear()
    sim.run(call(KEYS, FALLBACK, bound=True, on_fallback=str(FALLBACK.connection.pin)), [MINUTES_5])
    assert sim.labels == ["r"]


def test_a_fallback_at_the_same_account_may_answer() -> None:
    other = route(MIMO, "n")
    sim = Sim()
    outcome = sim.run(call(KEYS, other, FALLBACK, bound=True, kept_key="b"), by_key(r=BROKE))
    assert outcome.fault is None
    sim.steps.clear()
    sim.run(call(KEYS, other, FALLBACK, bound=True, kept_key="b"), [OVERLOADED] * 2 + [None])
    assert {send.connection.label for send in sim.sends} == {"b"}
    assert sim.sends[-1].connection.model == "n"


@pytest.mark.parametrize(
    ("first", "kept", "keeps"),
    [
        pytest.param(OF_A, "a", [], id="the account holds objects of the session"),
        pytest.param(None, "a", ["b"], id="nothing is held"),
        pytest.param(OF_R, "a", ["b"], id="another provider holds them"),
        pytest.param(OF_A, "gone", [], id="it holds them, and the kept key was removed"),
        pytest.param(OF_A, None, [], id="it holds them, and no key is kept yet"),
    ],
)
def test_a_side_request_that_refers_to_nothing_does_not_move_the_sessions_key(
    first: Owner | None, kept: str | None, keeps: list[str]
) -> None:
    sim = Sim(first_owner=first)
    outcome = sim.run(call(KEYS, kept_key=kept), by_key(a=MINUTES_5))
    assert (outcome.fault, outcome.connection.label) == (None, "b")
    assert [change.label for change in sim.changes if isinstance(change, KeyKept)] == keeps
    sim.changes.clear()
    sim.run(call(KEYS, bound=True, owner=OF_B, kept_key=kept), [None])
    assert [change.label for change in sim.changes if isinstance(change, KeyKept)] == ["b"]


@pytest.mark.parametrize("refusal", [NOT_FOUND, UNVERIFIED])
def test_a_refusal_after_a_change_of_account_is_put_down_to_the_change(refusal: Reply) -> None:
    """Nobody knew that this request was bound: the spare key's refusal shows it."""
    sim = Sim()
    outcome = sim.run(call(KEYS, FALLBACK, kept_key="a"), by_key(a=MINUTES_5, b=refusal, r=refusal))
    assert sim.labels == ["a", "b"]
    assert outcome.fault is not None
    assert (outcome.fault.kind, outcome.connection.label) == (FaultClass.QUOTA_WINDOW, "a")
    assert outcome.fault.retry_after == pytest.approx(300, abs=40)
    assert "change of account" in outcome.attempts[-1].then
    sim.now += 340
    assert sim.run(call(KEYS, FALLBACK, kept_key="a"), by_key(b=refusal)).fault is None


def test_the_account_that_answered_before_is_asked_where_it_may_be() -> None:
    sim = Sim()
    outcome = sim.run(call(KEYS, kept_key="a"), [SECONDS_7, UNVERIFIED, None])
    assert outcome.fault is None
    assert sim.labels == ["a", "b", "a"]
    refused = Sim()
    again = refused.run(call(KEYS, FALLBACK, kept_key="a"), [SECONDS_7, UNVERIFIED, SECONDS_7])
    assert (refused.labels, again.fault and again.fault.kind) == (["a", "b", "a"], FaultClass.RATE_LIMITED)


@pytest.mark.parametrize("more", [{"bound": True}, {"bound": True, "owner": OF_A}, {}])
def test_a_refusal_by_the_account_that_answered_before_is_passed_on(more: dict[str, object]) -> None:
    sim = Sim()
    outcome = sim.run(call(KEYS, **more, kept_key="a"), [NOT_FOUND])
    assert sim.labels == ["a"]
    assert outcome.fault is not None
    assert outcome.fault.kind is FaultClass.BAD_REQUEST


def test_without_a_kept_key_the_first_account_that_was_asked_counts_as_the_one_before() -> None:
    sim = Sim()
    on_fallback = str(FALLBACK.connection.pin)
    outcome = sim.run(
        call(KEYS, FALLBACK, on_fallback=on_fallback), by_key(r=BROKE, a=MINUTES_5, b=UNVERIFIED)
    )
    assert sim.labels == ["r", "a", "b"]
    assert outcome.fault is not None
    assert (outcome.fault.kind, outcome.connection.label) == (FaultClass.QUOTA_WINDOW, "a")
