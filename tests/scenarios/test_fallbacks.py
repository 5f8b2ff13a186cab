"""Which fallback answers when the chosen provider cannot, and how that ends."""

from __future__ import annotations

import time

from holdfast.fake_provider import Behaviour, ok, only_keys
from scenarios.stage import TEXT, Stage, broke, entry, hermes, keys_seen, scenario, status, value_of

DOWN = status(500, {"error": {"message": "The server had an error", "type": "server_error"}})


def fallback_chain(*fallbacks: str, after: str = "300ms") -> str:
    """The table by which fallbacks answer for plan/m1, and the request that finds its time over asks the plan
    itself."""
    return (
        f'[fallback]\n"plan/m1" = {{ then = {list(fallbacks)!r}, return_after = "{after}", check = false }}\n'
    )


@scenario(
    "T13",
    *hermes(15743, 24092, 12239, 33163, 2705),
    elsewhere="The fallback goes to the primary's URL, to OpenRouter, or without its own key.",
    here=(
        "A fallback is a whole connection: its own URL, its own keys, its own model; the answer says who "
        "gave it."
    ),
)
def test_a_fallback_is_a_whole_connection(stage: Stage) -> None:
    stage.own("a", "c", "d")
    plan, proxy = stage.provider(broke()), stage.provider(only_keys([value_of("d")], otherwise=broke()))
    stage.write(
        entry("plan", plan, "a"),
        entry("proxy", proxy, "c", "d", models=("x/m9",)),
        fallback_chain("proxy/x/m9"),
    )
    stage.choose("work", "plan/m1")
    answer = stage.ask("work")
    assert (answer.text, answer.headers["holdfast-fallback"], answer.headers["holdfast-key"]) == (
        TEXT,
        "proxy/x/m9",
        "d",
    )
    assert keys_seen(plan) == ["a"]
    assert keys_seen(proxy) == ["c", "d"]
    assert {seen.model for seen in proxy.calls} == {"x/m9"}


@scenario(
    "T14",
    *hermes(54251),
    elsewhere="A fallback with the same model is skipped as a duplicate, although its URL is another one.",
    here="Another entry is another connection, whatever its model is called.",
)
def test_the_same_model_elsewhere_may_be_the_fallback(stage: Stage) -> None:
    stage.own("a", "b")
    plan, mirror = stage.provider(DOWN), stage.provider()
    stage.write(entry("plan", plan, "a"), entry("mirror", mirror, "b"), fallback_chain("mirror/m1"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT
    assert keys_seen(mirror) == ["b"]


@scenario(
    "T15 W24 M1",
    *hermes(57582, 75041, 25205, 56374),
    "openclaw/openclaw#64083",
    "openclaw/openclaw#140308",
    elsewhere=(
        "After one exhaustion nothing falls back any more; or the fallback stays for ever; or its end "
        "brings another key, or the default URL."
    ),
    here=(
        "A fallback is a lease: it ends by itself, also over a restart, with the whole connection back; "
        "and it can begin again, any number of times."
    ),
)
def test_a_fallback_ends_by_itself_and_can_begin_again(stage: Stage) -> None:
    stage.own("a", "c")
    plan, proxy = stage.provider(), stage.provider()
    stage.write(
        entry("plan", plan, "a"), entry("proxy", proxy, "c"), fallback_chain("proxy/m1", after="1200ms")
    )
    stage.choose("work", "plan/m1")
    for _ in range(2):
        plan.follow(DOWN)
        assert stage.ask("work").headers["holdfast-fallback"] == "proxy/m1"
        sent = len(plan.calls)
        stage.restart()
        assert stage.ask("work").headers["holdfast-fallback"] == "proxy/m1"
        assert len(plan.calls) == sent, "meanwhile the plan is left alone"
        plan.follow(ok())
        time.sleep(1.25)
        answer = stage.ask("work")
        assert (answer.text, answer.headers.get("holdfast-fallback"), answer.headers["holdfast-pin"]) == (
            TEXT,
            None,
            "plan/m1",
        )
    proxy.follow(DOWN)
    plan.follow(DOWN)
    assert stage.ask("work").refused
    proxy.follow(ok())
    assert stage.ask("work").text == TEXT, "one exhaustion does not end it"
    assert set(keys_seen(plan)) == {"a"}
    assert {seen.path for seen in plan.calls} == {"/v1/chat/completions"}


@scenario(
    "W4 W24",
    "decolua/9router#3692",
    "openclaw/openclaw#72697",
    elsewhere=(
        "The answer is stamped with the fallback's name, which becomes the session's choice and breaks "
        "its resume."
    ),
    here="Only the user changes the choice: it is what was typed, during a fallback and after it.",
)
def test_a_fallback_is_never_the_choice(stage: Stage) -> None:
    stage.own("a", "c")
    plan, proxy = stage.provider(DOWN), stage.provider()
    stage.write(
        entry("plan", plan, "a"),
        entry("proxy", proxy, "c", models=("x9",)),
        fallback_chain("proxy/x9", after="1h"),
    )
    stage.choose("work", "plan/m1")
    assert stage.ask("work").headers["holdfast-fallback"] == "proxy/x9"
    assert stage.pin("work") == "plan/m1"
    assert "fell back to proxy/x9 until" in stage.why("work")
    stage.choose("work", "plan/m1")
    plan.follow(ok())
    assert stage.ask("work").headers.get("holdfast-fallback") is None, "the user's word ends it"


@scenario(
    "W25",
    "can1357/oh-my-pi#11795",
    elsewhere="The machine's own network is away for a moment, and the fallback is used up.",
    here=(
        "While no provider can be reached no fallback begins and no key pays, and the next turn asks the "
        "chosen provider."
    ),
)
def test_while_no_provider_can_be_reached_no_fallback_begins(stage: Stage) -> None:
    stage.own("a", "c")
    plan, proxy = stage.provider(), stage.provider()
    stage.write(entry("plan", plan, "a"), entry("proxy", proxy, "c"), fallback_chain("proxy/m1", after="1h"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT
    gone = Behaviour(reset=True, silent=True)
    plan.follow(gone)
    proxy.follow(gone)
    assert stage.ask("work").refused
    plan.follow(ok())
    proxy.follow(ok())
    answer = stage.ask("work")
    assert (answer.text, answer.headers["holdfast-pin"]) == (TEXT, "plan/m1")


@scenario(
    "T25",
    *hermes(107366, 31443),
    elsewhere="A fallback takes over on an error that is the request's own, and is billed for it.",
    here="A request that every provider would reject is not sent to another one.",
)
def test_a_request_at_fault_goes_no_further(stage: Stage) -> None:
    stage.own("a", "c")
    wrong = status(
        400,
        {
            "error": {
                "message": "Invalid value for 'temperature'",
                "type": "invalid_request_error",
                "code": "invalid_value",
            }
        },
    )
    plan, proxy = stage.provider(wrong), stage.provider()
    stage.write(entry("plan", plan, "a"), entry("proxy", proxy, "c"), fallback_chain("proxy/m1"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work").status == 400
    assert proxy.requests == []
