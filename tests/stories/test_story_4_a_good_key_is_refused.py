"""Story 4: a gateway under load answers 401 to a key that is good, and the client tells its user that the key
is invalid.

What must be true: a key that worked here is asked again by one request for all that wait, a few times within
seconds. A key that never worked is asked once. What is known of a key outlives the program, is shared by all
programs of the user, and the message says which of the two it is."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast.fake_provider import ScriptedProvider, fails_for, ok, only_keys, status
from holdfast.sdk.api import Session
from holdfast.store.journal_events import Attempted, of_type
from stories.faces import at_leisure_with_two_workers, library_only, with_two_workers
from stories.story import (
    TEXT,
    House,
    ask,
    ask_many,
    attempts,
    bad_key,
    entry,
    keys_seen,
    refusal,
    together,
    value_of,
    workers,
)

REFUSED = status(401, bad_key())
DEFAULT_PROBES = (0.5, 1.0, 2.0)


@pytest.fixture
def gateway(house: House) -> ScriptedProvider:
    """A gateway, and a user with one key for it."""
    house.own("a")
    provider = house.provider()
    house.write(entry("gateway", provider, "a"))
    return provider


def work_once(house: House, gateway: ScriptedProvider) -> None:
    """The key works, once, and the program ends. All that is known of the key afterwards is on disk."""
    gateway.follow(ok())
    with house.open() as held:
        assert ask(held.session("work", "gateway/m1")) == TEXT
    gateway.requests.clear()


ONE_SEQUENCE = 4
"""A turn that begins while the key is under suspicion is a test itself; after it, or after any other turn,
three more follow."""


def probes(session: Session) -> int:
    """How many requests were sent to test the key."""
    return sum(event.detail.probe for event in of_type(session.attempts(limit=1000), Attempted))


@with_two_workers
def test_a_hundred_turns_survive_two_and_a_half_seconds_of_401(
    house: House, gateway: ScriptedProvider
) -> None:
    house.write(entry("gateway", gateway, "a"), probe=DEFAULT_PROBES)
    work_once(house, gateway)
    gateway.follow(fails_for(2.5, REFUSED))
    with house.open() as held:
        session = held.session("work")
        assert ask_many(session, 100) == [TEXT] * 100
        assert 1 <= probes(session) <= ONE_SEQUENCE, "one request asks again for all"
    first = gateway.calls[0].at
    assert sum(seen.at - first < 2.5 for seen in gateway.calls) <= 100 + ONE_SEQUENCE, (
        "each turn was refused at most once"
    )
    assert len(gateway.calls) <= 100 + ONE_SEQUENCE + 99


def test_threads_share_one_probe_as_well(house: House, gateway: ScriptedProvider) -> None:
    house.write(entry("gateway", gateway, "a"), probe=(0.1, 0.2, 0.4))
    work_once(house, gateway)
    gateway.follow(fails_for(0.25, REFUSED))
    with house.open() as held, ThreadPoolExecutor(20) as pool:
        session = held.session("work")
        assert list(pool.map(lambda _: ask(session), range(20))) == [TEXT] * 20
        assert probes(session) <= ONE_SEQUENCE
    assert len(gateway.calls) <= 20 + ONE_SEQUENCE + 19


@library_only
def test_four_programs_share_one_probe_over_one_file(house: House, gateway: ScriptedProvider) -> None:
    house.write(entry("gateway", gateway, "a"), probe=DEFAULT_PROBES)
    work_once(house, gateway)
    with workers("work", "together", 25, processes=4) as started:
        gateway.follow(fails_for(2.5, REFUSED))
        assert together(started) == {"200": 100}
    with house.open() as held:
        assert 1 <= probes(held.session("work")) <= ONE_SEQUENCE
    assert len(gateway.calls) <= 100 + ONE_SEQUENCE + 99


def test_a_revoked_key_costs_four_requests_and_then_none(house: House, gateway: ScriptedProvider) -> None:
    work_once(house, gateway)
    gateway.follow(REFUSED)
    with house.open() as held:
        session = held.session("work")
        assert refusal(session).status_code == 401
        assert len(gateway.calls) == 4, "the turn itself and three probes"
        for _ in range(100):
            assert refusal(session).status_code == 401
    assert len(gateway.calls) == 4


@at_leisure_with_two_workers
def test_a_hundred_turns_at_once_on_a_revoked_key_probe_it_once(
    house: House, gateway: ScriptedProvider
) -> None:
    work_once(house, gateway)
    gateway.follow(REFUSED)
    with house.open() as held:
        session = held.session("work")
        ended = ask_many(session, 100)
        assert {getattr(answer, "status_code", answer) for answer in ended} == {401}
        assert probes(session) <= ONE_SEQUENCE
        assert len(gateway.calls) <= 100 + ONE_SEQUENCE
        gateway.requests.clear()
        assert {getattr(answer, "status_code", answer) for answer in ask_many(session, 100)} == {401}
    assert gateway.calls == []


@library_only
def test_four_programs_probe_a_revoked_key_once_and_then_ask_no_more(
    house: House, gateway: ScriptedProvider
) -> None:
    work_once(house, gateway)
    gateway.follow(REFUSED)
    with workers("work", "turns", 26, processes=4) as started:
        assert together(started) == {"401": 104}
    assert len(gateway.calls) <= 4 + ONE_SEQUENCE, (
        "each program was refused at most once; one of them probed for all"
    )


@library_only
def test_a_key_that_never_worked_is_asked_once(house: House, gateway: ScriptedProvider) -> None:
    gateway.follow(REFUSED)
    with house.open() as held:
        session = held.session("work", "gateway/m1")
        for _ in range(101):
            message = str(refusal(session))
    assert len(gateway.calls) == 1
    assert "It has never worked there" in message


@with_two_workers
def test_a_hundred_turns_at_once_on_a_key_that_never_worked_ask_once(
    house: House, gateway: ScriptedProvider
) -> None:
    gateway.follow(REFUSED)
    with house.open() as held:
        answers = ask_many(held.session("work", "gateway/m1"), 100)
    assert [type(answer).__name__ for answer in answers] == ["AuthenticationError"] * 100
    assert len(gateway.calls) == 1


@library_only
def test_four_programs_ask_once_whether_a_key_that_never_worked_is_good(
    house: House, gateway: ScriptedProvider
) -> None:
    gateway.follow(REFUSED)
    with house.open() as held:
        held.session("work", "gateway/m1")
    with workers("work", "turns", 25, processes=4) as started:
        assert together(started) == {"401": 100}
    assert len(gateway.calls) == 1


@at_leisure_with_two_workers
def test_a_restart_forgets_neither_that_a_key_worked_nor_that_it_was_refused(
    house: House, gateway: ScriptedProvider
) -> None:
    work_once(house, gateway)
    gateway.follow([REFUSED, ok()])
    with house.open() as held:
        assert ask(held.session("work")) == TEXT, "the key worked before the restart: it is asked again"
    gateway.requests.clear()
    gateway.follow(REFUSED)
    for expected in (4, 4, 4):
        with house.open() as held:
            refusal(held.session("work"))
        assert len(gateway.calls) == expected, "the verdict is known after each restart"


def test_the_message_says_whether_the_key_ever_worked_and_claims_only_what_was_tried(
    house: House, gateway: ScriptedProvider
) -> None:
    """The turn that was refused gets the provider's own answer; those that follow get what is known. The
    journal shows it all."""
    gateway.follow(REFUSED)
    house.own("b")
    house.write(entry("gateway", gateway, "a"), entry("other", gateway, "b"))
    with house.open() as held:
        session = held.session("one", "other/m1")
        assert "Incorrect API key provided" in str(refusal(session))
        never = str(refusal(session))
    work_once(house, gateway)
    gateway.follow(REFUSED)
    with house.open() as held:
        session = held.session("two", "gateway/m1")
        assert "Incorrect API key provided" in str(refusal(session))
        once = str(refusal(session))
        why = session.why()
    assert "does not accept this key. It has never worked there." in never
    assert "rejected a key that it accepted" in once
    assert "last worked here" in once
    assert "asked again" not in once, "this turn asked nobody"
    for message in (never, once):
        assert "Tried: nothing was sent" in message
        assert "holdfast key reset" in message
    assert why.count("test of key 'a'") == 3
    assert "asked again after 0.05 s: this key worked here before" in why


def test_one_bad_moment_does_not_bench_the_only_key(house: House, gateway: ScriptedProvider) -> None:
    """NousResearch/hermes-agent#8283 and #53041: the session died, or its key was set aside for an hour, for
    one refused request."""
    work_once(house, gateway)
    gateway.follow([REFUSED, ok()])
    with house.open() as held:
        session = held.session("work")
        begun = time.monotonic()
        assert [ask(session) for _ in range(5)] == [TEXT] * 5
        assert time.monotonic() - begun < 5
        assert len(attempts(session)) == 7
    assert len(gateway.calls) == 6


def test_a_new_value_of_a_refused_key_is_used_at_once(
    house: House, gateway: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NousResearch/hermes-agent#119162: a replaced key inherited the verdict on the old one."""
    gateway.follow(lambda seen: ok() if seen.key == "sk-story-new-value-of-a" else REFUSED)
    with house.open() as held:
        session = held.session("work", "gateway/m1")
        refusal(session)
        monkeypatch.setenv("KEY_A", "sk-story-new-value-of-a")
        house.keys.add("sk-story-new-value-of-a")
        assert ask(session) == TEXT


@at_leisure_with_two_workers
def test_a_refused_key_that_is_replaced_in_its_file_is_read_again(
    house: House, gateway: ScriptedProvider
) -> None:
    file = house.path / "key"
    file.write_text(value_of("old"))
    house.keys |= {value_of("old"), value_of("new")}
    house.write(f'[provider.gateway]\nurl = "{gateway.url}"\nmodels = ["m1"]\nkeys = ["file:{file}"]\n')
    gateway.follow(only_keys([value_of("new")]))
    with house.open() as held:
        session = held.session("work", "gateway/m1")
        assert [refusal(session).status_code for _ in range(3)] == [401] * 3
        assert keys_seen(gateway) == ["old"]
        file.write_text(value_of("new"))
        assert [ask(session) for _ in range(4)] == [TEXT] * 4
    assert keys_seen(gateway) == ["old", *["new"] * 4]


@at_leisure_with_two_workers
def test_when_all_keys_cool_down_the_answer_is_the_last_true_refusal_and_nothing_is_sent(
    house: House, gateway: ScriptedProvider
) -> None:
    house.own("b")
    house.write(entry("gateway", gateway, "a", "b"))
    weekly = {"error": {"message": "Weekly limit reached", "type": "rate_limit_error"}}
    gateway.follow(status(429, weekly, {"retry-after": "504641"}))
    with house.open() as held:
        session = held.session("work", "gateway/m1")
        ended = [refusal(session) for _ in range(6)]
    assert keys_seen(gateway) == ["a", "b"]
    assert {
        (
            error.status_code,
            error.response.headers["holdfast-fault"],
            error.response.headers["x-should-retry"],
        )
        for error in ended
    } == {(429, "quota_window", "false")}
    assert "Weekly limit reached" in str(ended[-1])
    assert 504_000 < float(ended[-1].response.headers["holdfast-reset-at"]) - time.time() < 504_642
