"""What a provider says about time is a hint, and clocks are changed: no hint makes anybody wait beyond the
budget, no clock prolongs a verdict, and keys of one account are one quota."""

from __future__ import annotations

import json
from math import inf, isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.changes import CLOCK_SLACK, Cooldown
from holdfast.core.classify import classify
from holdfast.core.config import Limits
from holdfast.core.faults import FaultClass, Reply, Scope
from holdfast.core.health import HealthRegistry
from holdfast.core.retry_hints import LONGEST_HINT
from holdfast.providers import profiles
from world import BAD_KEY, BROKE, THROTTLED, Sim, call, key, provider, reply, route

GENERIC = profiles.load(None)
NOW = 1_000_000.0
PAST, FUTURE = "Mon, 05 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 2399 23:59:59 GMT"
HOSTILE = (
    "-1",
    "-0.5",
    "nan",
    "inf",
    "-inf",
    "1e309",
    "99999999999999999999",
    "504641000",
    "",
    " ",
    "soon",
    "0x10",
    "1;2",
    "\x00",
    PAST,
    FUTURE,
    "2099-01-01",
)
HINTS = (
    "retry-after",
    "retry-after-ms",
    "x-ms-retry-after-ms",
    "x-ratelimit-reset",
    "x-ratelimit-reset-requests",
    "anthropic-ratelimit-unified-reset",
)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "-5", "x-ratelimit-reset-requests": "7s"}, 7.0),
        ({"retry-after": "nan", "x-ratelimit-reset-tokens": "1m"}, 60.0),
        ({"retry-after": PAST}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "2000", "retry-after": "900"}, 2.0),
        ({"retry-after": "3", "x-ratelimit-reset-requests": "9m"}, 3.0),
        ({"retry-after-ms": "-1", "retry-after": "4"}, 4.0),
        ({"retry-after": "99999999999999999999"}, LONGEST_HINT),
        ({"x-ratelimit-reset-requests": "-3s"}, None),
    ],
)
def test_of_contradictory_hints_the_most_exact_that_can_be_believed_speaks(
    headers: dict[str, str], seconds: float | None
) -> None:
    fault = classify(reply(429, "rate_limit_exceeded", "slow down", headers), GENERIC, now=NOW)
    assert fault.retry_after == (pytest.approx(seconds) if seconds is not None else None)


_values = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=30), st.floats().map(str), st.integers().map(str)
)
_headers = st.dictionaries(st.sampled_from(HINTS), _values, max_size=4)
_fields = st.dictionaries(
    st.sampled_from(["retry_after", "resets_in_seconds", "resets_at", "retryDelay"]),
    st.one_of(_values, st.floats(), st.integers(), st.none()),
)


def _answer(status: int, headers: dict[str, str], fields: dict[str, object]) -> Reply:
    body = {"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded", **fields}}
    return Reply(status, tuple(headers.items()), json.dumps(body).encode())


@given(st.sampled_from([429, 503, 529, 402]), _headers, _fields)
def test_a_hint_is_never_negative_endless_or_longer_than_the_longest_allowance(
    status: int, headers: dict[str, str], fields: dict[str, object]
) -> None:
    fault = classify(_answer(status, headers, fields), GENERIC, now=NOW)
    for seconds in (fault.retry_after, fault.reset_at - NOW if fault.reset_at is not None else None):
        assert seconds is None or (isfinite(seconds) and 0 <= seconds <= LONGEST_HINT + 1e-6)


@given(st.sampled_from([429, 503, 529]), _headers, _fields)
def test_no_hint_makes_a_request_wait_beyond_its_budget_or_cools_a_key_for_more_than_a_day(
    status: int, headers: dict[str, str], fields: dict[str, object]
) -> None:
    sim = Sim()
    outcome = sim.run(
        call(route(provider("p", "a")), limits=Limits(wait_budget=20.0)),
        lambda send, now: _answer(status, headers, fields),
    )
    assert outcome.fault is not None
    assert sum(send.after for send in sim.sends) <= 20.0
    assert len(sim.sends) <= 3
    assert all(change.cooldown.until - NOW <= 86_400 + 60 for change in sim.cooled)


ACCOUNTS = st.lists(st.sampled_from(["x", "y", None]), min_size=2, max_size=5)


@given(ACCOUNTS)
def test_a_request_never_asks_two_keys_of_an_account_that_has_no_quota_left(
    accounts: list[str | None],
) -> None:
    keys = tuple(key("p", f"k{number}", account) for number, account in enumerate(accounts))
    sim, chosen = Sim(), route(provider("p", keys=keys))
    for _ in range(4):
        sim.run(call(chosen), lambda send, now: BROKE)
    asked = [send.connection.account or send.connection.label for send in sim.sends]
    assert len(asked) == len(set(asked))


def test_what_one_key_of_an_account_may_not_use_no_other_key_of_it_is_asked_for() -> None:
    keys = (key("p", "a", "team"), key("p", "b", "team"), key("p", "c", "other"), key("p", "d"))
    sim = Sim()
    sim.run(
        call(route(provider("p", keys=keys))),
        [reply(403, "model_not_allowed", "Your plan has no access to this model"), None],
    )
    assert sim.labels == ["a", "c"]


def test_an_account_is_one_only_within_its_provider() -> None:
    sim = Sim()
    sim.run(call(route(provider("p", keys=(key("p", "a", "team"),)))), [BROKE])
    assert sim.run(call(route(provider("q", keys=(key("q", "a2", "team"),)))), [None]).fault is None


@pytest.mark.parametrize(
    "answer", [BROKE, THROTTLED, BAD_KEY], ids=["empty account", "throttle", "refused key"]
)
@pytest.mark.parametrize("back", [3_600.0, 86_400.0 * 365])
def test_a_clock_that_is_set_back_prolongs_no_verdict(answer: Reply, back: float) -> None:
    chosen = route(provider("p", "a"))
    sim = Sim()
    sim.run(call(chosen), [None])
    sim.run(call(chosen, limits=Limits(probe_delays=(), wait_budget=0.01)), lambda send, now: answer)
    assert sim.run(call(chosen, limits=Limits(wait_budget=0.0)), []).from_memory
    sim.now -= back
    assert sim.run(call(chosen), [None]).fault is None


def test_after_the_clock_was_set_back_a_new_verdict_has_the_new_time() -> None:
    chosen, sim = route(provider("p", "a")), Sim()
    sim.run(call(chosen), [BROKE])
    sim.now -= 86_400.0
    sim.run(call(chosen), [BROKE])
    outcome = sim.run(call(chosen), [])
    assert outcome.from_memory
    assert sim.cooled[-1].cooldown.since <= sim.now
    assert outcome.fault is not None
    assert outcome.fault.retry_after is not None
    assert outcome.fault.retry_after <= 3_600.0


@pytest.mark.parametrize(
    ("until", "since", "now", "over"),
    [
        (200.0, 100.0, 150.0, False),
        (200.0, 100.0, 200.0, True),
        (200.0, 100.0, 100.0 - CLOCK_SLACK, False),
        (200.0, 100.0, 99.0 - CLOCK_SLACK, True),
        (inf, 100.0, -1e6, False),
    ],
)
def test_a_verdict_is_over_after_its_time_and_before_it_began(
    until: float, since: float, now: float, over: bool
) -> None:
    fault = classify(BAD_KEY, GENERIC, now=0.0)
    assert Cooldown("key:x", until, since, 0, fault).over(now) is over
    assert fault.scope is Scope.KEY
    assert fault.kind is FaultClass.AUTH_REJECTED
    assert HealthRegistry().cooled("key:x") is None
