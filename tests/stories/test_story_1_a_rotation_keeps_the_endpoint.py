"""Story 1: the first 401 or 429 swapped in another key of the pool, together with that key's registry-default URL.

What was reported (NousResearch/hermes-agent#44070): a session on a plan's own host met one refused request; the pool's next key brought
the vendor's default URL with it, and from then on every request ended in "404 page not found", also after a model switch and after the
end of a fall-back. What must be true: a rotation changes the key and nothing else.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from holdfast.scripted import Behaviour, ScriptedProvider, Seen, ok, only_keys, status, wrong_door
from holdfast.store.events import EventKind
from stories.told import TEXT, WAYS, House, Way, ask, bad_key, entry, keys_seen, kinds, models_asked, refusal, value_of

FIRST_REFUSALS = {
    "401": status(401, bad_key()),
    "402": status(402, {"error": {"message": "Insufficient balance", "type": "insufficient_quota", "code": "insufficient_quota"}}),
    "429": status(429, {"error": {"message": "Rate limit reached", "type": "rate_limit_error"}}, {"retry-after": "30"}),
}


@pytest.mark.parametrize("way", [way for way in WAYS if way.streams == way.is_async], ids=str)
@pytest.mark.parametrize("refusal_of_a", FIRST_REFUSALS)
def test_the_first_refusal_brings_the_next_key_and_changes_nothing_else(house: House, way: Way, refusal_of_a: str) -> None:
    house.own("a", "b")
    plan = house.provider(only_keys([value_of("b")], otherwise=FIRST_REFUSALS[refusal_of_a]))
    house.write(entry("plan", plan, "a", "b"))
    with house.open() as held:
        assert way.say(held.session("work", "plan/m1")) == TEXT
    first, second = plan.calls
    assert keys_seen(plan) == ["a", "b"]
    assert (first.path, first.body) == (second.path, second.body)
    assert different(first, second) <= {"authorization"}


def different(one: Seen, other: Seen) -> set[str]:
    """The headers in which two requests differ."""
    return {name for name in one.headers.keys() | other.headers.keys() if one.headers.get(name) != other.headers.get(name)}


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
    """A provider that can be switched off; while it is on, it takes the keys it is told."""

    def __init__(self, *labels: str) -> None:
        self.on, self.labels = True, labels

    def __call__(self, seen: Seen) -> Behaviour:
        if not self.on:
            return OUT_OF_ORDER
        return ok() if seen.key in map(value_of, self.labels) else FIRST_REFUSALS["429"]


@pytest.fixture
def ladder(house: House) -> Any:
    """Two known vendors, each behind a URL that its user wrote: the plan's own host, and a company's proxy. One stands in for the other."""
    house.own("a", "b", "c", "d")
    plan_state, proxy_state = Down("a"), Down("c")
    plan, proxy = house.provider(plan_state), house.provider(proxy_state)

    def vendor(name: str, preset: str, at: ScriptedProvider, one: str, other: str) -> str:
        keys = ", ".join(f'{{ from = "env:KEY_{label.upper()}", label = "{label}" }}' for label in (one, other))
        return f'[provider.{name}]\npreset = "{preset}"\nurl = "{at.url}"\nmodels = ["m1"]\nkeys = [{keys}]\n'

    rungs = '[ladder]\n"plan/m1" = { then = ["proxy/m1"], return_after = "300ms", check = false }\n'
    house.write(vendor("plan", "deepseek", plan, "a", "b"), vendor("proxy", "openrouter", proxy, "c", "d"), rungs)
    return plan, proxy, plan_state, proxy_state


def test_a_url_that_the_user_wrote_over_a_presets_is_never_left(house: House, ladder: Any) -> None:
    """Rotation, fall-back, rotation of the stand-in, its end, and a restart after each: any other host would fail this test by itself."""
    plan, proxy, plan_state, proxy_state = ladder

    def turn() -> str:
        """One turn of a program that was started for it. Where it arrived, and with which key it was answered."""
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
    assert turn() == "proxy c", "the rung stands in"
    proxy_state.labels = ("d",)
    assert turn() == "proxy d", "the stand-in rotated"
    assert plan.requests == [], "while it stands in, the plan is left alone"
    plan_state.on = True
    time.sleep(0.35)
    assert turn() == "plan b", "the stand-in has ended: the whole connection is back"
    assert proxy.requests == []
    assert turn() == "plan b"


def test_a_stand_in_is_written_down_with_its_reason_and_its_end(house: House, ladder: Any) -> None:
    _, _, plan_state, _ = ladder
    with house.open() as held:
        session = held.session("work", "plan/m1")
        ask(session)
        plan_state.on = False
        ask(session)
        plan_state.on = True
        time.sleep(0.35)
        ask(session)
        assert [kind for kind in kinds(session) if kind in (EventKind.STOOD_IN, EventKind.RETURNED)] == [EventKind.STOOD_IN, EventKind.RETURNED]
        told = session.why()
    assert "proxy/m1 stands in until" in told
    assert "because of transient" in told
    assert "back on plan/m1" in told


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
    keys = f'keys = [{{ from = "env:KEY_A", label = "a" }}, {{ from = "env:KEY_EU", label = "eu", url = "{europe.url}" }}]'
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


def test_a_wrong_door_is_told_as_such_and_no_key_pays_for_it(house: House) -> None:
    house.own("a", "b")
    plan = house.provider(wrong_door())
    house.write(f'[provider.plan]\nurl = "{plan.url}"\nmodels = ["m1"]\nkeys = ["env:KEY_A", "env:KEY_B"]\n')
    with house.open() as held:
        session = held.session("work", "plan/m1")
        error = refusal(session)
        assert error.response.headers["holdfast-fault"] == "endpoint_mismatch"
        assert len(plan.calls) == 1, "no other key is tried at a wrong door"
        said = str(error)
        assert plan.url in said
        assert "holdfast.toml:5" in said, "and where that URL was written"
        assert "The key was not changed" in said
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
    """The same key under two entries: where it never worked, its refusal says where it does (#47828: the error blamed the key)."""
    house.own("a")
    right, wrong = house.provider(), house.provider(status(401, bad_key()))
    house.write(entry("right", right, "a"), entry("wrong", wrong, "a"))
    with house.open() as held:
        ask(held.session("one", "right/m1"))
        session = held.session("two", "wrong/m1")
        for _ in range(2):
            assert refusal(session).response.headers["holdfast-fault"] == "endpoint_mismatch"
    assert len(wrong.calls) == 2, "nothing is remembered against the key"
