"""Which key of a provider's is used: rotation, cooldown, and what a key is held responsible for."""

from __future__ import annotations

import time

import pytest

from holdfast.core.identity import Strategy
from holdfast.fake_provider import Behaviour, SeenRequest, ok, only_keys, status
from scenarios.stage import (
    TEXT,
    Face,
    Stage,
    broke,
    entry,
    hermes,
    keys_seen,
    refused,
    scenario,
    throttled,
    value_of,
)


def good_only(label: str, otherwise: Behaviour) -> object:
    """A provider that accepts one key."""
    return only_keys([value_of(label)], otherwise=otherwise)


@scenario(
    "T9 W6",
    *hermes(45715, 24092),
    elsewhere="The pool is named `custom:x`, the agent `custom`: rotation is silently skipped.",
    here="The keys of an entry are its pool, whatever it is called.",
)
@pytest.mark.parametrize("name", ["x", "openrouter", "deepseek", "my-gate_way-2"])
def test_an_entry_of_any_name_has_its_pool(stage: Stage, name: str) -> None:
    stage.own("a", "b")
    plan = stage.provider(good_only("b", refused()))  # type: ignore[arg-type]
    stage.write(entry(name, plan, "a", "b"))
    stage.choose("work", f"{name}/m1")
    assert stage.ask("work").text == TEXT
    assert keys_seen(plan) == ["a", "b"]


@scenario(
    "T10 W15",
    *hermes(44070, 44099, 46700),
    "router-for-me/CLIProxyAPI#3317",
    elsewhere=(
        "The first 429 brings another key and that key's registry-default URL: `404 page not found` for "
        "ever, also after a model switch."
    ),
    here=(
        "A rotation changes the key; the URL is the entry's, before and after, for every model, and over "
        "a restart."
    ),
)
@pytest.mark.parametrize("first", [throttled(), refused(), broke()], ids=["429", "401", "402"])
def test_a_rotation_stays_at_the_url(stage: Stage, first: Behaviour) -> None:
    stage.own("a", "b")
    plan = stage.provider(good_only("b", first))  # type: ignore[arg-type]
    keys = '[{ from = "env:KEY_A", label = "a" }, { from = "env:KEY_B", label = "b" }]'
    stage.write(
        f'[provider.plan]\npreset = "deepseek"\nurl = "{plan.url}"\nmodels = ["m1", "m2"]\nkeys = {keys}\n'
    )
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT
    stage.choose("work", "plan/m2")
    assert stage.ask("work", "m2").text == TEXT
    stage.restart()
    assert stage.ask("work", "m2").text == TEXT
    assert {seen.path for seen in plan.calls} == {"/v1/chat/completions"}
    assert keys_seen(plan)[-1] == "b"


@scenario(
    "T11",
    *hermes(61746, 5908, 54011),
    elsewhere=(
        "A credential's own endpoint is stale, or forgotten: an enterprise key at the public host, a "
        "plan key at the pay-as-you-go one."
    ),
    here=(
        "A key's own URL is written beside it in the configuration: it goes there and nowhere else, and "
        "an edit takes effect at once."
    ),
)
def test_a_key_with_its_own_url_goes_only_there(stage: Stage) -> None:
    stage.own("a", "eu")
    plan, europe, moved = stage.provider(refused()), stage.provider(), stage.provider()

    def tables(url: str) -> str:
        keys = (
            f'[{{ from = "env:KEY_A", label = "a" }}, {{ from = "env:KEY_EU", label = "eu", url = "{url}" }}]'
        )
        return f'[provider.plan]\nurl = "{plan.url}"\nmodels = ["m1"]\nkeys = {keys}\n'

    stage.write(tables(europe.url))
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT
    stage.edit(tables(moved.url))
    assert stage.ask("work").text == TEXT
    assert (keys_seen(plan), keys_seen(europe), keys_seen(moved)) == (["a"], ["eu"], ["eu"])


@scenario(
    "T16",
    *hermes(53041, 33049, 119163, 13619),
    elsewhere="One passing 429 or 403 sets the only key aside: for an hour, a day, once for fifteen days.",
    here=(
        "The turn waits the moment that the provider names and goes on; a refusal of a key that worked "
        "is tested, not believed."
    ),
)
@pytest.mark.parametrize(
    "passing",
    [
        throttled("0.1"),
        status(
            403,
            {
                "error": {
                    "message": "Invalid API key",
                    "type": "authentication_error",
                    "code": "invalid_api_key",
                }
            },
        ),
    ],
    ids=["429", "403"],
)
def test_one_passing_refusal_costs_nothing(stage: Stage, passing: Behaviour) -> None:
    stage.own("a")
    plan = stage.provider([ok(), passing, ok()])
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    assert [stage.ask("work").text for _ in range(3)] == [TEXT] * 3
    assert len(plan.calls) == 4


@scenario(
    "T19 W22",
    *hermes(40960),
    "BerriAI/litellm#5764",
    elsewhere="While all keys rest, an empty key is sent, or the program's own 429 hides the cause.",
    here="The true last answer with the time of its end, from memory; nothing is sent.",
)
def test_while_all_keys_cool_down_the_true_reason_is_given(stage: Stage) -> None:
    stage.own("a", "b")
    plan = stage.provider(broke())
    stage.write(entry("plan", plan, "a", "b"))
    stage.choose("work", "plan/m1")
    stage.ask("work")
    assert keys_seen(plan) == ["a", "b"]
    answer = stage.ask("work")
    assert (answer.status, answer.fault, answer.headers["x-should-retry"]) == (
        429,
        "quota_exhausted",
        "false",
    )
    assert "Estimated retry time:" in answer.message
    assert "Insufficient balance" in answer.message
    assert "nothing was sent" in answer.message
    assert keys_seen(plan) == ["a", "b"]


@scenario(
    "T20",
    *hermes(119162, 18254, 20591, 21950),
    elsewhere="A new key in the environment or the configuration is ignored, or inherits the old one's rest.",
    here=(
        "A verdict is about a key's value: another value starts clean, and a refused key's reference is "
        "read again before anything else."
    ),
)
def test_a_new_value_starts_clean(stage: Stage) -> None:
    stage.own("a", "b")
    held = stage.path / "key.txt"
    held.write_text(value_of("a"))
    held.chmod(0o600)
    plan = stage.provider(good_only("b", refused()))  # type: ignore[arg-type]
    stage.write(f'[provider.plan]\nurl = "{plan.url}"\nmodels = ["m1"]\nkeys = ["file:{held}"]\n')
    stage.choose("work", "plan/m1")
    assert stage.ask("work").fault == "auth_rejected"
    assert stage.ask("work").fault == "auth_rejected"
    assert keys_seen(plan) == ["a"], "the same value is not asked again"
    held.write_text(value_of("b"))
    stage.restart()
    assert stage.ask("work").text == TEXT
    assert keys_seen(plan) == ["a", "b"]


@scenario(
    "T20 W16",
    *hermes(20591),
    "router-for-me/CLIProxyAPI#2556",
    elsewhere=(
        "A token that was renewed on disk is not seen by the program that runs: `auth_unavailable` until "
        "a restart."
    ),
    here="A refused key's reference is read again at once; the turn goes on with the new value.",
)
def test_a_value_replaced_under_a_running_program_is_used(stage: Stage) -> None:
    stage.own("a", "b")
    held = stage.path / "key.txt"
    held.write_text(value_of("a"))
    held.chmod(0o600)
    plan = stage.provider()
    stage.write(f'[provider.plan]\nurl = "{plan.url}"\nmodels = ["m1"]\nkeys = ["file:{held}"]\n')
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT
    held.write_text(value_of("b"))
    plan.follow(good_only("b", refused()))  # type: ignore[arg-type]
    assert stage.ask("work").text == TEXT
    assert keys_seen(plan)[-1] == "b"


@scenario(
    "T21",
    *hermes(79156, 72007),
    elsewhere=(
        "A failure is booked on the key that is current when it comes back, not on the one that was "
        "sent: a healthy key is set aside."
    ),
    here=(
        "Every answer is booked on the key that the request left with; of twenty refusals at once the "
        "pool moves once."
    ),
)
def test_a_failure_is_booked_on_the_key_that_was_sent(stage: Stage) -> None:
    stage.own("a", "b")

    def script(seen: SeenRequest) -> Behaviour:
        return (
            Behaviour(429, body=b"{}", headers=(("retry-after", "30"),), delay=0.05)
            if seen.key == value_of("a")
            else ok()
        )

    plan = stage.provider(script)
    stage.write(entry("plan", plan, "a", "b"))
    stage.choose("work", "plan/m1")
    assert {answer.text for answer in stage.ask_many("work", 20)} == {TEXT}
    before = len(plan.calls)
    assert [stage.ask("work").text for _ in range(3)] == [TEXT] * 3
    assert keys_seen(plan)[before:] == ["b"] * 3, "the healthy key was not set aside, the throttled one was"


@scenario(
    "T22",
    *hermes(16830),
    elsewhere=(
        "A pool of ten gives up after two or three keys, and asks the same dead ones again the next time."
    ),
    here=(
        "A request asks at most three keys, and each dead key is asked once in all: the pool is worked "
        "through, turn by turn, and stays so."
    ),
)
def test_a_large_pool_is_worked_through_and_no_dead_key_is_asked_twice(stage: Stage) -> None:
    labels = [f"k{n}" for n in range(10)]
    stage.own(*labels)
    plan = stage.provider(good_only("k7", broke()))  # type: ignore[arg-type]
    stage.write(entry("plan", plan, *labels))
    stage.choose("work", "plan/m1")
    answers = [stage.ask("work") for _ in range(4)]
    assert [answer.text for answer in answers] == ["", "", TEXT, TEXT]
    assert keys_seen(plan) == [*labels[:8], "k7"]


@scenario(
    "W14",
    "BerriAI/litellm#38078",
    elsewhere="Each turn takes another key: the provider's prompt cache is cold every other turn.",
    here="A session keeps its key while it is healthy, over restarts; other sessions get the others.",
)
@pytest.mark.parametrize("strategy", [Strategy.ROUND_ROBIN, Strategy.LEAST_USED])
def test_a_session_keeps_its_key_while_others_get_the_others(stage: Stage, strategy: Strategy) -> None:
    stage.own("a", "b")
    plan = stage.provider()
    stage.write(entry("plan", plan, "a", "b", more=f'strategy = "{strategy}"'))
    for name in ("one", "two"):
        stage.choose(name, "plan/m1")
        assert stage.ask(name).text == TEXT
    first, second = keys_seen(plan)
    assert {first, second} == {"a", "b"}
    stage.restart()
    for name in ("one", "two", "one"):
        assert stage.ask(name).text == TEXT
    assert keys_seen(plan)[2:] == [first, second, first]


@scenario(
    "M5",
    elsewhere="`least_used` counts in memory: after every restart the first key is the least used one again.",
    here="What a key last did is kept: a new session in a new process gets the key that rested longest.",
)
@pytest.mark.parametrize("strategy", [Strategy.ROUND_ROBIN, Strategy.LEAST_USED])
def test_the_order_of_keys_survives_a_restart(stage: Stage, strategy: Strategy) -> None:
    stage.own("a", "b", "c")
    plan = stage.provider()
    stage.write(entry("plan", plan, "a", "b", "c", more=f'strategy = "{strategy}"'))
    for name in ("one", "two", "three"):
        stage.choose(name, "plan/m1")
        assert stage.ask(name).text == TEXT
        stage.restart()
    assert keys_seen(plan) == ["a", "b", "c"]


@scenario(
    "M2",
    elsewhere="Of two entries with one URL the second never gets a pool.",
    here="Each entry rotates within its own keys.",
)
def test_two_entries_on_one_url_each_have_their_pool(stage: Stage) -> None:
    stage.own("a", "b", "c", "d")
    plan = stage.provider(only_keys([value_of("b"), value_of("d")], otherwise=refused()))
    stage.write(entry("first", plan, "a", "b"), entry("second", plan, "c", "d"))
    stage.choose("two", "second/m1")
    stage.choose("one", "first/m1")
    assert [stage.ask("two").text, stage.ask("one").text] == [TEXT, TEXT]
    assert keys_seen(plan) == ["c", "d", "a", "b"]


@scenario(
    "M7",
    elsewhere="Two processes with one credential file: whoever writes last undoes the other's verdict.",
    here="Verdicts are rows: what two processes learn at the same time both holds, in either of them.",
)
def test_what_two_programs_learn_both_holds(stage: Stage) -> None:
    stage.own("a", "b", "c")
    plan = stage.provider(good_only("c", broke()))  # type: ignore[arg-type]
    stage.write(entry("plan", plan, "a", "b", "c"))
    stage.choose("one", "plan/m1", key="a")
    stage.choose("two", "plan/m1", key="b")
    stage.choose("three", "plan/m1")
    with stage.open() as other:
        client_of_another = other.session("one")
        assert stage.ask("two").fault == "quota_exhausted"
        import openai

        with openai.OpenAI(**client_of_another.for_openai()) as client, pytest.raises(openai.APIStatusError):
            client.chat.completions.create(model="m1", messages=[])
    assert stage.ask("three").text == TEXT
    assert sorted(filter(None, keys_seen(plan))) == ["a", "b", "c"]


@scenario(
    "W19",
    "BerriAI/litellm#40130",
    "BerriAI/litellm#3646",
    elsewhere="A second refusal with a shorter hint shortens the rest that the first imposed.",
    here="The longer rest holds: a request that left before the verdict adds nothing to it.",
)
def test_a_late_refusal_does_not_shorten_the_rest(stage: Stage) -> None:
    stage.own("a")

    def script(seen: SeenRequest) -> Behaviour:
        after, delay = ("9000", 0.05) if seen.number == 2 else ("600", 0.3)
        headers = (("retry-after", after), ("content-type", "application/json"))
        return (
            Behaviour(429, body=b'{"error":{"type":"rate_limit_error"}}', headers=headers, delay=delay)
            if seen.number > 1
            else ok()
        )

    plan = stage.provider(script)
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT
    assert {answer.fault for answer in stage.ask_many("work", 2)} == {"quota_window"}
    answer = stage.ask("work")
    assert len(plan.calls) == 3
    assert float(answer.headers["holdfast-reset-at"]) - time.time() > 8000


@scenario(
    "T27 W17",
    *hermes(22903, 6653, 95431, 100339, 114012),
    "anomalyco/opencode#49439",
    "earendil-works/pi#9563",
    elsewhere="Refresh tokens that work once are used by two at the same time, and the login is gone.",
    here=(
        "Twenty requests meet the end of a token: one runs the program that renews it, all go on. "
        "(Sign-ins over four processes: tests/signins.)"
    ),
)
def test_a_token_is_renewed_once_for_all(stage: Stage) -> None:
    stage.own("a", "b")
    log, script = stage.path / "runs", stage.path / "token.sh"
    script.write_text(
        f"#!/bin/sh\nsleep 0.05\necho run >> {log}\n"
        f"[ -e {stage.path}/renewed ] && printf {value_of('b')} || printf {value_of('a')}\n"
    )
    script.chmod(0o700)
    plan = stage.provider()
    stage.write(f'[provider.plan]\nurl = "{plan.url}"\nmodels = ["m1"]\nkeys = ["cmd:{script}"]\n')
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT
    (stage.path / "renewed").touch()
    plan.follow(good_only("b", refused()))  # type: ignore[arg-type]
    before = len(log.read_text().splitlines())
    assert {answer.text for answer in stage.ask_many("work", 20)} == {TEXT}
    assert len(log.read_text().splitlines()) == before + 1


@scenario(
    "W23",
    "coder/xum#544",
    elsewhere="A key that never worked is tried again and again.",
    here="One request; then the answer comes from memory until the key, the URL or the user changes it.",
)
def test_a_key_that_never_worked_is_asked_once(stage: Stage) -> None:
    stage.own("a")
    plan = stage.provider(refused())
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    answers = [stage.ask("work") for _ in range(3)]
    stage.restart()
    answers.append(stage.ask("work"))
    assert {(answer.status, answer.fault) for answer in answers} == {(401, "auth_rejected")}
    assert all("It has never worked there" in answer.message for answer in answers)
    assert len(plan.calls) == 1


@scenario(
    "M9 W9",
    "askalf/dario#944",
    elsewhere="A value in the environment, or in a file of the project, overrides what the user chose.",
    here=(
        "A session's key is its provider's; another value under the same host's usual variable changes "
        "nothing."
    ),
    only=Face.LIBRARY,
)
def test_a_usual_variable_does_not_replace_the_key(stage: Stage) -> None:
    stage.own("a")
    stage.set("OPENROUTER_API_KEY", "sk-or-of-somebody-else")
    plan = stage.provider()
    stage.write(
        f'[provider.router]\npreset = "openrouter"\nurl = "{plan.url}"\nmodels = ["m1"]\n'
        'keys = ["env:KEY_A"]\n'
    )
    stage.choose("work", "router/m1")
    assert stage.ask("work").text == TEXT
    assert keys_seen(plan) == ["a"]
