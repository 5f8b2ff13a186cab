"""Story 1: the first 401 or 429 swapped in another key of the pool, together with that key's registry-default
URL.

What was reported (NousResearch/hermes-agent#44070): a session on a plan's own host met one refused request;
the pool's next key brought the vendor's default URL with it, and from then on every request ended in "404
page not found", also after a model switch and after the end of a fall-back. What must be true: a rotation
changes the key and nothing else."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, ok, only_keys, status, wrong_door
from holdfast.sdk.api import Holdfast
from holdfast.store.journal_events import EventKind
from stories.faces import with_two_workers
from stories.story import (
    QUESTION,
    TEXT,
    WAYS,
    House,
    Way,
    ask,
    bad_key,
    entry,
    keys_seen,
    kinds,
    models_asked,
    openai_client,
    refusal,
    value_of,
)

WINDOW = 1.2
"""Seconds until the plan is tried again: longer than a turn takes on a busy machine."""

FIRST_REFUSALS = {
    "401": status(401, bad_key()),
    "402": status(
        402,
        {
            "error": {
                "message": "Insufficient balance",
                "type": "insufficient_quota",
                "code": "insufficient_quota",
            }
        },
    ),
    "429": status(
        429, {"error": {"message": "Rate limit reached", "type": "rate_limit_error"}}, {"retry-after": "30"}
    ),
}


@pytest.mark.parametrize("way", [way for way in WAYS if way.streams == way.is_async], ids=str)
@pytest.mark.parametrize("refusal_of_a", FIRST_REFUSALS)
def test_the_first_refusal_brings_the_next_key_and_changes_nothing_else(
    house: House, way: Way, refusal_of_a: str
) -> None:
    house.own("a", "b")
    plan = house.provider(only_keys([value_of("b")], otherwise=FIRST_REFUSALS[refusal_of_a]))
    house.write(entry("plan", plan, "a", "b"))
    with house.open() as held:
        assert way.say(held.session("work", "plan/m1")) == TEXT
    first, second = plan.calls
    assert keys_seen(plan) == ["a", "b"]
    assert (first.path, first.body) == (second.path, second.body)
    assert different(first, second) <= {"authorization"}


def different(first: SeenRequest, other: SeenRequest) -> set[str]:
    """The headers in which two requests differ."""
    return {
        name
        for name in first.headers.keys() | other.headers.keys()
        if first.headers.get(name) != other.headers.get(name)
    }


@with_two_workers
def test_the_session_stays_on_the_key_that_worked_and_on_the_host_of_its_plan(house: House) -> None:
    house.own("a", "b")
    plan = house.provider(only_keys([value_of("b")]))
    house.write(entry("plan", plan, "a", "b"))
    for _ in range(3):
        with house.open() as held:
            session = held.session("work", "plan/m1")
            assert [ask(session), ask(session)] == [TEXT, TEXT]
    assert keys_seen(plan) == ["a", *["b"] * 6], "the key that never worked is asked once"


OUT_OF_ORDER = status(500, {"error": {"message": "The server had an error", "type": "server_error"}})


class Down:
    """A provider that can be switched off; while it is on, it takes the keys of its list."""

    def __init__(self, *labels: str) -> None:
        self.on, self.labels = True, labels

    def __call__(self, seen: SeenRequest) -> Behaviour:
        if not self.on:
            return OUT_OF_ORDER
        return ok() if seen.key in map(value_of, self.labels) else FIRST_REFUSALS["429"]


def furnish(house: House, fallback_chain: str) -> Any:
    """Two known vendors, each behind a URL that its user wrote: the plan's own host, and a company's proxy.
    One is the fallback of the other."""
    house.own("a", "b", "c", "d")
    plan_state, proxy_state = Down("a"), Down("c")
    plan, proxy = house.provider(plan_state), house.provider(proxy_state)

    def vendor(name: str, preset: str, at: ScriptedProvider, first: str, other: str) -> str:
        keys = ", ".join(
            f'{{ from = "env:KEY_{label.upper()}", label = "{label}" }}' for label in (first, other)
        )
        return f'[provider.{name}]\npreset = "{preset}"\nurl = "{at.url}"\nmodels = ["m1"]\nkeys = [{keys}]\n'

    fallbacks = f'[fallback]\n"plan/m1" = {{ then = ["proxy/m1"], {fallback_chain} }}\n'
    house.write(
        vendor("plan", "deepseek", plan, "a", "b"), vendor("proxy", "openrouter", proxy, "c", "d"), fallbacks
    )
    return plan, proxy, plan_state, proxy_state


@pytest.fixture
def fallback_chain(house: House) -> Any:
    """A fallback that ends by the clock alone: the next request tries the plan."""
    return furnish(house, f'return_after = "{WINDOW * 1000:.0f}ms", check = false')


def test_a_url_that_the_user_wrote_over_a_presets_is_never_left(house: House, fallback_chain: Any) -> None:
    """Rotation, fallback, rotation on the fallback, its end, and a restart after each: any other host would
    fail this test by itself."""
    plan, proxy, plan_state, proxy_state = fallback_chain

    def turn() -> str:
        """One turn of a program that was started for it. Where it arrived, and with which key it was
        answered."""
        plan.requests.clear()
        proxy.requests.clear()
        with house.open() as held:
            session = held.session("work", "plan/m1")
            assert ask(session) == TEXT
            assert str(session.pin) == "plan/m1", "only the user changes the choice"
        where = proxy if proxy.calls else plan
        return f"{'proxy' if where is proxy else 'plan'} {keys_seen(where)[-1]}"

    assert turn() == "plan a"
    plan_state.labels = ("b",)
    assert turn() == "plan b", "rotated"
    plan_state.on = False
    assert turn() == "proxy c", "the fallback answers"
    proxy_state.labels = ("d",)
    assert turn() == "proxy d", "the fallback rotated"
    assert plan.requests == [], "during the fallback the plan is left alone"
    plan_state.on = True
    time.sleep(WINDOW + 0.05)
    assert turn() == "plan b", "the fallback has ended: the whole connection is back"
    assert proxy.requests == []
    assert turn() == "plan b"


@with_two_workers
def test_a_fallback_is_written_down_with_its_reason_and_its_end(house: House, fallback_chain: Any) -> None:
    _, _, plan_state, _ = fallback_chain
    with house.open() as held:
        session = held.session("work", "plan/m1")
        ask(session)
        plan_state.on = False
        ask(session)
        plan_state.on = True
        time.sleep(WINDOW + 0.05)
        ask(session)
        assert [kind for kind in kinds(session) if kind in (EventKind.FELL_BACK, EventKind.RETURNED)] == [
            EventKind.FELL_BACK,
            EventKind.RETURNED,
        ]
        why = session.why()
    assert "fell back to proxy/m1 until" in why
    assert "because of transient" in why
    assert "returned to plan/m1" in why


WITH_A_RESULT: list[Any] = [
    *QUESTION,
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "ls", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "t1", "content": "3 files"},
]


class Program:
    """A program that talks to its model in turns, and a plan that goes away and comes back."""

    def __init__(self, held: Holdfast, plan: ScriptedProvider, proxy: ScriptedProvider) -> None:
        self.held, self.plan, self.proxy = held, plan, proxy
        self.session = held.session("work", "plan/m1")

    def ask(self, messages: list[Any] = QUESTION) -> str:
        """One request, and whatever is asked beside it; who answered, and who saw what."""
        self.plan.requests.clear()
        self.proxy.requests.clear()
        with openai_client(self.session) as client:
            answer = client.chat.completions.with_raw_response.create(model="m1", messages=messages)
        assert answer.http_response.json()["choices"][0]["message"]["content"] == TEXT
        assert self.held.failback.jobs.settle()
        return str(answer.headers["holdfast-pin"])

    @property
    def beside(self) -> int:
        """How often the plan was asked by anything but the program's own requests."""
        return sum(json.loads(seen.body)["messages"] != QUESTION for seen in self.plan.calls)


def test_no_turn_waits_for_the_check_of_the_plan(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """openclaw/openclaw#72697: every end of a fall-back cost a turn its time-outs. #64083: without one it
    never ended."""
    monkeypatch.setattr("holdfast.engine.failback._AT_MOST_EVERY", 0.0)
    plan, proxy, plan_state, _ = furnish(house, f'return_after = "{WINDOW * 1000:.0f}ms"')
    with house.open() as held:
        program = Program(held, plan, proxy)
        assert program.ask() == "plan/m1"
        plan_state.on = False
        assert program.ask() == "proxy/m1"
        time.sleep(WINDOW + 0.05)
        assert program.ask() == "proxy/m1", "the lease is over, and the plan is asked beside the turn"
        assert (len(plan.calls), program.beside, len(proxy.calls)) == (1, 1, 1), (
            "which is dead: the turn never met it"
        )
        plan_state.on = True
        assert program.ask() == "proxy/m1"
        assert plan.calls == [], "another lease"
        time.sleep(WINDOW + 0.05)
        assert program.ask() == "proxy/m1"
        assert (len(plan.calls), program.beside) == (1, 1)
        assert keys_seen(plan) == ["a"]
        assert program.ask() == "plan/m1", "it answered, and the next turn is home"
        assert (len(plan.calls), program.beside, proxy.calls) == (1, 0, [])
        why = program.session.why()
    assert "plan/m1 answers again, tested in the background" in why
    assert why.rindex("returned to plan/m1") > why.rindex("answers again")


def test_a_turn_that_began_on_the_fallback_ends_on_it(house: House) -> None:
    """A prompt is cached where it was sent: to leave in the middle of a tool loop is to pay for all of it
    again."""
    plan, proxy, plan_state, _ = furnish(house, f'return_after = "{WINDOW * 1000:.0f}ms"')
    with house.open() as held:
        program = Program(held, plan, proxy)
        program.ask()
        plan_state.on = False
        assert program.ask() == "proxy/m1"
        plan_state.on = True
        time.sleep(WINDOW + 0.05)
        assert [program.ask(WITH_A_RESULT) for _ in range(3)] == ["proxy/m1"] * 3
    with house.open() as held:
        program = Program(held, plan, proxy)
        assert program.ask(WITH_A_RESULT) == "proxy/m1", "nor does a restart of the program tear it apart"
        assert plan.calls == []
        assert [program.ask(), program.ask(WITH_A_RESULT)] == ["plan/m1", "plan/m1"]


def test_after_a_switch_nothing_of_the_old_provider_is_used(house: House) -> None:
    house.own("a", "b", "c")
    old, new = house.provider(), house.provider(status(401, bad_key()))
    house.write(entry("old", old, "a", "b"), entry("new", new, "c", models=("m2",)))
    with house.open() as held:
        session = held.session("work", "old/m1")
        ask(session)
        old.requests.clear()
        session.switch("new/m2")
        for _ in range(3):
            assert refusal(session).status_code == 401
        assert held.session("work").model == "m2"
    assert keys_seen(new) == ["c"], "the pool of the old provider is not there to rotate into"
    assert old.requests == []


def test_a_key_of_its_own_endpoint_goes_there_and_nowhere_else(house: House) -> None:
    house.own("a", "eu")
    plan, europe = house.provider(status(401, bad_key())), house.provider()
    keys = (
        f'keys = [{{ from = "env:KEY_A", label = "a" }}, {{ from = "env:KEY_EU", label = "eu", url = '
        f'"{europe.url}" }}]'
    )
    house.write(f'[provider.plan]\nurl = "{plan.url}"\nmodels = ["m1"]\n{keys}\n')
    with house.open() as held:
        session = held.session("work", "plan/m1")
        assert [ask(session), ask(session)] == [TEXT, TEXT]
        own = held.session("only-europe", "plan/m1", key="eu")
        assert ask(own) == TEXT
        home = held.session("only-home", "plan/m1", key="a")
        assert refusal(home).status_code == 401, "a session on a chosen key has no spare"
    assert keys_seen(plan) == ["a"]
    assert keys_seen(europe) == ["eu"] * 3


def test_a_wrong_endpoint_is_reported_as_such_and_no_key_pays_for_it(house: House) -> None:
    house.own("a", "b")
    plan = house.provider(wrong_door())
    house.write(f'[provider.plan]\nurl = "{plan.url}"\nmodels = ["m1"]\nkeys = ["env:KEY_A", "env:KEY_B"]\n')
    with house.open() as held:
        session = held.session("work", "plan/m1")
        error = refusal(session)
        assert error.response.headers["holdfast-fault"] == "endpoint_mismatch"
        assert len(plan.calls) == 1, "no other key is tried at a wrong door"
        message = str(error)
        assert plan.url in message
        assert "holdfast.toml:5" in message, "and where that URL was written"
        assert "The key was not changed" in message
        plan.follow(ok())
        assert ask(session) == TEXT, "no key was set aside"
    assert len({seen.key for seen in plan.calls}) == 1


@pytest.mark.parametrize("rows", [1, 2])
def test_every_request_of_a_session_names_its_model_whichever_key_carries_it(house: House, rows: int) -> None:
    house.own("a", "b")
    plan = house.provider([status(429, headers={"retry-after": "0.1"})] * rows + [ok()])
    house.write(entry("plan", plan, "a", "b", models=("m1", "m2")))
    with house.open() as held:
        assert ask(held.session("work", "plan/m2"), model="m2") == TEXT
    assert models_asked(plan.calls) == {"m2"}


def test_a_key_that_works_on_another_host_of_its_user_is_not_called_bad(house: House) -> None:
    """The same key under two entries: where it never worked, its refusal says where it does (#47828: the
    error blamed the key)."""
    house.own("a")
    right, wrong = house.provider(), house.provider(status(401, bad_key()))
    house.write(entry("right", right, "a"), entry("wrong", wrong, "a"))
    with house.open() as held:
        ask(held.session("one", "right/m1"))
        session = held.session("two", "wrong/m1")
        for _ in range(2):
            assert refusal(session).response.headers["holdfast-fault"] == "endpoint_mismatch"
    assert len(wrong.calls) == 2, "nothing is remembered against the key"
