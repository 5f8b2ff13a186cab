"""The record of a provider that a program sets up: every state, every move, and what each may cost."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from holdfast.core.errors import IdentityError
from holdfast.core.faults import Fault, FaultClass, Scope
from holdfast.core.identity import ProviderName
from holdfast.core.model_roles import Listed, Listing, OfferedModel, Role
from holdfast.core.provisioning_state import (
    AFTER_UNKNOWN,
    MOVES,
    USABLE,
    WITH_KEY,
    Capability,
    Record,
    State,
    Step,
    answered,
    expects,
    failed,
    granted,
    intend,
    listed,
    next_step,
    refused,
    unknown,
)
from tables import rows

ROLES = (Role("answer", ("*sonnet*",)), Role("expand", ("*haiku*",)))
BOTH = Listing(Listed.OK, (OfferedModel("claude-sonnet-4-5"), OfferedModel("claude-haiku-4-5")))
NOW = 1000.0


def record(state: State = State.ABSENT, capability: Capability = Capability.ONE_SHOT, **more: Any) -> Record:
    """A record that can be in this state."""
    given: dict[str, Any] = (
        {"url": "https://proxy.example", "key": "store:amazee-1"} if state in WITH_KEY else {}
    )
    given |= {"models": ("claude-sonnet-4-5", "claude-haiku-4-5")} if state in USABLE else {}
    return Record(ProviderName("amazee"), "amazee", capability, state, **(given | more))


def intent(capability: Capability) -> Record:
    return intend(record(capability=capability), "i1", NOW)


def key_only(**more: Any) -> Record:
    return granted(
        replace(intent(Capability.ONE_SHOT), **more), NOW, url="https://proxy.example", key="store:amazee-1"
    )


@pytest.mark.parametrize("state", sorted(USABLE))
def test_without_a_model_no_record_is_usable(state: State) -> None:
    with pytest.raises(IdentityError, match="no model is known"):
        record(state, models=())


@pytest.mark.parametrize("state", sorted(WITH_KEY))
def test_without_a_key_no_record_says_it_has_one(state: State) -> None:
    with pytest.raises(IdentityError, match="has no key"):
        record(state, key="")


def test_a_role_is_bound_to_a_model_or_not_at_all() -> None:
    with pytest.raises(IdentityError, match="bound to no model"):
        record(State.RESOLVED, bound={"answer": ""})


def test_a_record_moves_only_where_the_table_leads() -> None:
    moved = set()
    for before, after in product(State, State):
        try:
            full = replace(record(before), url="https://u.example", key="store:k", models=("m",))
            full.to(after, NOW)
            moved.add((before, after))
        except ValueError:
            continue
    assert moved == {(before, after) for before, afters in MOVES.items() for after in afters}


@pytest.mark.parametrize("state", sorted(WITH_KEY | {State.RETIRED, State.AMBIGUOUS}))
def test_nothing_that_may_have_a_key_becomes_absent(state: State) -> None:
    assert State.ABSENT not in MOVES[state]


def test_a_move_raises_the_version_and_dates_the_state() -> None:
    first = record().to(State.INTENT, 5.0)
    again = first.to(State.INTENT, 9.0)
    assert (first.version, first.since, again.version, again.since) == (1, 5.0, 2, 5.0)
    assert again.to(State.INTENT, 11.0, "mint_unknown", "x" * 999).since == 11.0
    assert len(again.to(State.INTENT, 11.0, "mint_unknown", "x" * 999).detail) == 300


# -- what comes next
# -------------------------------------------------------------------------------------------------------


@rows("capability", Capability)
@rows("state", State)
def test_without_consent_no_path_leads_to_a_mint(state: State, capability: Capability) -> None:
    for reason in ("", "key_dead", "model_gone", "budget"):
        for minted_before in (0, 1):
            step = next_step(record(state, capability, reason=reason, minted=minted_before), NOW)
            renews = capability is Capability.DERIVED and state in WITH_KEY and reason == "key_dead"
            assert (step is Step.MINT) is renews, "only what costs nothing is renewed by itself"


@rows(
    ("held", "consent", "step"),
    [
        (record(), False, Step.ASK_CONSENT),
        (record(), True, Step.MINT),
        (record(next_at=NOW + 1), True, Step.WAIT),
        (record(minted=1), True, Step.ASK_OPERATOR),
        (record(State.RETIRED), False, Step.ASK_CONSENT),
        (record(State.RETIRED, minted=1), True, Step.ASK_OPERATOR),
        (record(State.RETIRED, Capability.REPLAYABLE, minted=1), True, Step.MINT),
        (record(State.AMBIGUOUS), True, Step.ASK_OPERATOR),
        (record(State.PROVISIONED), True, Step.LIST_MODELS),
        (record(State.UNRESOLVABLE), False, Step.LIST_MODELS),
        (record(State.PROVISIONED, next_at=NOW + 1), True, Step.WAIT),
        (record(State.RESOLVED), True, Step.NOTHING),
        (record(State.VERIFIED, roles=ROLES, bound={"answer": "m"}), False, Step.LIST_MODELS),
        (record(State.DEGRADED, reason="model_gone"), False, Step.LIST_MODELS),
        (record(State.DEGRADED, reason="budget"), True, Step.NOTHING),
        (record(State.DEGRADED, reason="key_suspect"), True, Step.NOTHING),
        (record(State.DEGRADED, reason="key_dead"), False, Step.ASK_CONSENT),
        (record(State.DEGRADED, reason="key_dead", minted=1), True, Step.ASK_OPERATOR),
        (record(State.DEGRADED, Capability.REPLAYABLE, reason="key_dead", minted=1), True, Step.MINT),
    ],
)
def test_the_next_step_follows_from_the_record(held: Record, consent: bool, step: Step) -> None:
    assert next_step(held, NOW, consent=consent) is step


DAY = 86_400.0


@pytest.mark.parametrize(
    ("held", "waits"),
    [
        (record(State.PROVISIONED, next_at=NOW + 900), True),
        (record(State.PROVISIONED, next_at=NOW + 901), False),
        (record(State.PROVISIONED, next_at=NOW + 365 * DAY), False),
        (record(State.PROVISIONED, next_at=NOW + 30, since=NOW + 59), True),
        (record(State.PROVISIONED, next_at=NOW + 30, since=NOW + 61), False),
        (record(next_at=NOW + DAY), True),
        (record(next_at=NOW + DAY + 1), False),
        (record(next_at=NOW + 60, since=NOW + 3600), False),
        (intent(Capability.REPLAYABLE).to(State.INTENT, NOW, "mint_unknown", next_at=NOW + 60), True),
        (intent(Capability.REPLAYABLE).to(State.INTENT, NOW, "mint_unknown", next_at=NOW + 2 * DAY), False),
    ],
)
def test_no_wait_is_longer_than_it_may_be_or_outlasts_its_clock(held: Record, waits: bool) -> None:
    assert (next_step(held, NOW, consent=True) is Step.WAIT) is waits


def test_a_state_that_began_by_a_wrong_clock_begins_anew() -> None:
    assert record(State.PROVISIONED, since=NOW + 9999).to(State.PROVISIONED, NOW).since == NOW


def test_a_wait_that_a_service_asks_for_is_kept_within_a_day() -> None:
    fault = Fault(FaultClass.QUOTA_WINDOW, retry_after=90 * DAY)
    assert refused(intent(Capability.ONE_SHOT), NOW, "no", fault, 3600.0).next_at == NOW + DAY


def test_the_thousandth_try_waits_no_longer_than_the_tenth() -> None:
    held = listed(record(State.PROVISIONED, tries=5000), Listing(Listed.UNREACHABLE), NOW)
    assert held.next_at == NOW + 900


@pytest.mark.parametrize("capability", Capability)
def test_what_is_done_about_an_abandoned_intent_depends_on_what_may_be_repeated(
    capability: Capability,
) -> None:
    assert next_step(intent(capability), NOW) is AFTER_UNKNOWN[capability]
    assert set(AFTER_UNKNOWN) == set(Capability)


# -- a key
# ------------------------------------------------------------------------------------------------------------


def test_a_key_counts_as_made_from_the_intent_until_it_is_definitely_refused() -> None:
    asked = intent(Capability.ONE_SHOT)
    assert (asked.minted, asked.epoch, asked.intent, asked.intent_at) == (1, 1, "i1", NOW)
    no = refused(asked, NOW, "HTTP 429", Fault(FaultClass.RATE_LIMITED), 3600.0)
    assert (no.state, no.minted, no.next_at, no.reason) == (State.ABSENT, 0, NOW + 3600, "mint_refused")


def test_refusals_are_further_and_further_apart() -> None:
    held, waits = record(), []
    for number in range(8):
        held = refused(intend(held, f"i{number}", NOW), NOW, "no")
        waits.append(held.next_at - NOW)
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (Fault(FaultClass.RATE_LIMITED, retry_after=5.0), 3600.0),
        (Fault(FaultClass.QUOTA_WINDOW, retry_after=7200.0), 7200.0),
        (Fault(FaultClass.BLOCKED), 60.0),
        (None, 60.0),
    ],
)
def test_a_limit_is_waited_out_for_as_long_as_the_provider_counts(fault: Fault | None, wait: float) -> None:
    assert refused(intent(Capability.ONE_SHOT), NOW, "no", fault, 3600.0).next_at - NOW == wait


@pytest.mark.parametrize(
    ("capability", "state", "count"),
    [
        (Capability.ONE_SHOT, State.AMBIGUOUS, 1),
        (Capability.REPLAYABLE, State.INTENT, 1),
        (Capability.RECONCILABLE, State.INTENT, 1),
        (Capability.DERIVED, State.INTENT, 1),
        (Capability.INTERACTIVE, State.ABSENT, 0),
    ],
)
def test_an_unknown_outcome_ends_where_nothing_is_paid_twice(
    capability: Capability, state: State, count: int
) -> None:
    after = unknown(intent(capability), NOW, "cut off")
    assert (after.state, after.minted) == (state, count)
    assert next_step(after, NOW, consent=False) is not Step.MINT


def test_a_late_reply_belongs_to_the_intent_and_not_to_whoever_holds_the_lease() -> None:
    lost = unknown(intent(Capability.ONE_SHOT), NOW, "cut off")
    assert expects(lost, "i1")
    assert not expects(lost, "i2")
    assert granted(lost, NOW, url="https://p.example", key="store:k").state is State.PROVISIONED
    assert not expects(key_only(), "i1")


def test_a_new_key_voids_what_belonged_to_the_one_before() -> None:
    old = record(
        State.VERIFIED,
        Capability.REPLAYABLE,
        reason="key_dead",
        bound={"answer": "claude-sonnet-4-5"},
        gone={"x": 1.0},
        verified_at=1.0,
    )
    new = granted(
        intend(old, "i2", NOW), NOW, url="https://other.example", key="store:litellm-2", expires_at=9.0
    )
    assert (new.bound, new.models, new.gone, new.verified_at, new.epoch) == ({}, (), {}, None, 1)
    assert (new.url, new.key, new.expires_at) == ("https://other.example", "store:litellm-2", 9.0)


# -- models
# ------------------------------------------------------------------------------------------------------------


def test_a_list_binds_the_roles_and_makes_the_record_usable() -> None:
    ready = listed(key_only(roles=ROLES), BOTH, NOW)
    assert (ready.state, ready.bound, ready.missing) == (
        State.RESOLVED,
        {"answer": "claude-sonnet-4-5", "expand": "claude-haiku-4-5"},
        (),
    )
    assert listed(key_only(), BOTH, NOW).models == ("claude-sonnet-4-5", "claude-haiku-4-5")


def test_one_role_of_two_is_usable_and_the_other_is_looked_for_later() -> None:
    ready = listed(key_only(roles=ROLES), Listing(Listed.OK, (OfferedModel("claude-sonnet-4-5"),)), NOW)
    assert (ready.state, ready.bound, ready.missing) == (
        State.RESOLVED,
        {"answer": "claude-sonnet-4-5"},
        ("expand",),
    )
    assert (next_step(ready, NOW), next_step(ready, ready.next_at)) == (Step.WAIT, Step.LIST_MODELS)


@pytest.mark.parametrize(
    ("listing", "state", "reason"),
    [
        (Listing(Listed.EMPTY, detail="the list is empty"), State.UNRESOLVABLE, "no_model_allowed"),
        (
            Listing(Listed.OK, (OfferedModel("gpt-5"), OfferedModel("titan-embed"))),
            State.UNRESOLVABLE,
            "no_model_fits",
        ),
        (Listing(Listed.FORBIDDEN, detail="HTTP 403"), State.PROVISIONED, "list_forbidden"),
        (Listing(Listed.UNREACHABLE, detail="HTTP 500"), State.PROVISIONED, "list_unreachable"),
        (Listing(Listed.MALFORMED, detail="no list"), State.PROVISIONED, "list_malformed"),
        (Listing(Listed.REFUSED, detail="HTTP 401"), State.PROVISIONED, "key_refused"),
    ],
)
def test_a_list_that_names_no_model_says_why_and_is_asked_again_later(
    listing: Listing, state: State, reason: str
) -> None:
    after = listed(key_only(roles=ROLES), listing, NOW)
    assert (after.state, after.reason, after.next_at - NOW, after.key) == (
        state,
        reason,
        30.0,
        "store:amazee-1",
    )
    assert after.detail == (listing.detail or "none of these does it: gpt-5")
    twice = listed(after, listing, NOW)
    assert twice.next_at - NOW == 60.0


@pytest.mark.parametrize("kind", [kind for kind in Listed if kind is not Listed.OK])
def test_a_list_that_fails_later_overwrites_no_model(kind: Listed) -> None:
    good = record(
        State.VERIFIED, roles=ROLES, bound={"answer": "claude-sonnet-4-5", "expand": "claude-haiku-4-5"}
    )
    after = listed(good, Listing(kind), NOW)
    assert (after.state, after.bound, after.models, after.reason) == (good.state, good.bound, good.models, "")


def test_a_newer_version_changes_nothing_that_works() -> None:
    good = record(State.VERIFIED, roles=ROLES[:1], bound={"answer": "claude-sonnet-4-5"})
    after = listed(
        good, Listing(Listed.OK, (OfferedModel("claude-sonnet-5"), OfferedModel("claude-sonnet-4-5"))), NOW
    )
    assert (after.state, after.bound) == (State.VERIFIED, good.bound)
    poor = listed(replace(good, state=State.DEGRADED, reason="budget"), BOTH, NOW)
    assert (poor.state, poor.reason) == (State.DEGRADED, "budget"), "a list says nothing of the budget"


# -- calls
# ------------------------------------------------------------------------------------------------------------


def test_an_answer_is_the_only_proof() -> None:
    assert answered(record(State.RESOLVED), NOW).verified_at == NOW
    assert answered(record(State.DEGRADED, reason="budget"), NOW).state is State.VERIFIED
    for same in (
        record(State.VERIFIED),
        record(State.DEGRADED, reason="model_gone"),
        record(State.PROVISIONED),
    ):
        assert answered(same, NOW) is same


WORKED = record(State.VERIFIED, roles=ROLES[:1], bound={"answer": "claude-sonnet-4-5"}, verified_at=1.0)
F = FaultClass


@pytest.mark.parametrize(
    ("held", "fault", "reason"),
    [
        (WORKED, Fault(F.AUTH_REJECTED), "key_suspect"),
        (WORKED, Fault(F.AUTH_REJECTED, terminal=True), "key_dead"),
        (WORKED, Fault(F.AUTH_EXPIRED), "key_dead"),
        (replace(WORKED, verified_at=None), Fault(F.AUTH_REJECTED), "key_dead"),
        (WORKED, Fault(F.AUTH_REJECTED, sent=False), ""),
        (WORKED, Fault(F.QUOTA_EXHAUSTED), "budget"),
        (WORKED, Fault(F.QUOTA_WINDOW), "budget"),
        (WORKED, Fault(F.QUOTA_WINDOW, Scope.KEY_MODEL), ""),
        (WORKED, Fault(F.MODEL_UNAVAILABLE), "model_gone"),
        (WORKED, Fault(F.NOT_ENTITLED, Scope.KEY_MODEL), "model_gone"),
        (WORKED, Fault(F.NOT_ENTITLED, Scope.REQUEST), ""),
        (WORKED, Fault(F.PROVIDER_UNAVAILABLE, cause="upstream_credential"), ""),
        (WORKED, Fault(F.RATE_LIMITED), ""),
        (WORKED, Fault(F.TRANSIENT), ""),
        (record(State.PROVISIONED), Fault(F.AUTH_REJECTED), ""),
    ],
)
def test_a_failed_call_tells_of_the_record_what_it_is_about_and_no_more(
    held: Record, fault: Fault, reason: str
) -> None:
    after = failed(held, "claude-sonnet-4-5", fault, NOW)
    assert after.reason == reason
    assert (after is held) is not reason
    assert (after.key, after.url) == (held.key, held.url), "no failed call costs a key or moves an endpoint"


def test_a_suspect_key_is_dead_only_when_it_stays_refused() -> None:
    suspect = failed(WORKED, "m", Fault(F.AUTH_REJECTED), NOW)
    assert failed(suspect, "m", Fault(F.AUTH_REJECTED), NOW + 599) is suspect
    dead = failed(suspect, "m", Fault(F.AUTH_REJECTED), NOW + 600)
    assert dead.reason == "key_dead"
    assert failed(dead, "m", Fault(F.AUTH_REJECTED), NOW + 601) is dead
    assert answered(suspect, NOW).state is State.VERIFIED


@pytest.mark.parametrize(
    ("names", "seconds", "gone"),
    [
        (("claude-sonnet-4-5",), 3599, True),
        (("claude-sonnet-4-5",), 3600, False),
        (("claude-sonnet-4-5",), -61, False),
        (("claude-haiku-4-5",), 1, False),
        ((), 1, False),
    ],
)
def test_a_withdrawn_model_returns_after_it_was_missing_from_a_list_or_an_hour(
    names: tuple[str, ...], seconds: float, gone: bool
) -> None:
    held = failed(WORKED, "claude-sonnet-4-5", Fault(F.MODEL_UNAVAILABLE), NOW)
    kind = Listed.OK if names else Listed.EMPTY
    after = listed(held, Listing(kind, tuple(map(OfferedModel, names))), NOW + seconds)
    assert ("claude-sonnet-4-5" in after.gone) is gone
    again = listed(after, BOTH, NOW + seconds)
    assert (again.bound == {"answer": "claude-sonnet-4-5"}) is not gone


def test_a_list_that_failed_says_nothing_of_withdrawn_models() -> None:
    held = failed(WORKED, "claude-sonnet-4-5", Fault(F.MODEL_UNAVAILABLE), NOW)
    assert listed(held, Listing(Listed.UNREACHABLE), NOW + 1).gone == held.gone


def test_a_good_answer_of_a_withdrawn_model_has_the_models_listed_at_once() -> None:
    held = failed(WORKED, "claude-sonnet-4-5", Fault(F.MODEL_UNAVAILABLE), NOW)
    after = answered(replace(held, next_at=NOW + 900), NOW + 1, "claude-sonnet-4-5")
    assert (after.gone, next_step(after, NOW + 1)) == ({}, Step.LIST_MODELS)


def test_a_withdrawn_model_leaves_its_role_free_and_is_not_chosen_again() -> None:
    gone = failed(WORKED, "claude-sonnet-4-5", Fault(F.MODEL_UNAVAILABLE), NOW)
    assert (gone.bound, gone.gone) == ({}, {"claude-sonnet-4-5": NOW})
    still_listed = Listing(
        Listed.OK, (OfferedModel("claude-sonnet-4-5"), OfferedModel("claude-sonnet-4-20250514"))
    )
    assert listed(gone, still_listed, NOW).bound == {"answer": "claude-sonnet-4-20250514"}
    assert failed(WORKED, "a-typo-of-the-user", Fault(F.MODEL_UNAVAILABLE), NOW) is WORKED
    none_left = listed(gone, Listing(Listed.OK, (OfferedModel("claude-sonnet-4-5"),)), NOW)
    assert (none_left.state, none_left.reason) == (State.DEGRADED, "model_gone")
