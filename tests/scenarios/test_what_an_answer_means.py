"""What an answer means, and what is done with it: no key is blamed for what it did not do, and no user pays
twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.fake_provider import Behaviour, empty, error_event, fails_for, ok, truncated
from scenarios.stage import (
    CHAT,
    MESSAGES,
    TEXT,
    Stage,
    broke,
    entry,
    hermes,
    keys_seen,
    refused,
    scenario,
    status,
    value_of,
)


def error(code: int, message: str, kind: str = "", name: str = "") -> Behaviour:
    """An error in OpenAI's form."""
    return status(
        code, {"error": {"message": message, "type": kind or None, "param": None, "code": name or None}}
    )


@scenario(
    "T17",
    *hermes(117869, 42167, 118286),
    elsewhere=(
        "A 403 that speaks of a server error, or of a window that opens again, is taken for a dead key; "
        "the session is aborted."
    ),
    here="The body counts before the status: the key is not blamed, and the next turn asks it again.",
)
@pytest.mark.parametrize(
    "answer",
    [
        error(403, "The server had an error while processing your request", "server_error", "server_error"),
        error(403, "Quota exceeded, reset after 2s"),
    ],
    ids=["server_error", "reset after"],
)
def test_a_403_that_does_not_speak_of_the_key_does_not_cost_it(stage: Stage, answer: Behaviour) -> None:
    stage.own("a")
    plan = stage.provider([ok(), answer, answer, answer, ok()])
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT
    turn = stage.ask("work")
    assert turn.text == TEXT or turn.fault not in ("auth_rejected", "not_entitled"), turn
    assert "does not accept this key" not in turn.message


@scenario(
    "T18 W20",
    *hermes(8283),
    "esengine/DeepSeek-Reasonix#4106",
    elsewhere="A good key is answered 401 under load; the session dies, and the key is called invalid.",
    here=(
        "A key that worked gets one shared test over 3.5 s: five turns at once pass a glitch with four "
        "requests more."
    ),
)
def test_a_401_on_a_good_key_passes(stage: Stage) -> None:
    stage.own("a")
    plan = stage.provider()
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT
    plan.follow(fails_for(0.1, refused()))
    assert {answer.text for answer in stage.ask_many("work", 5)} == {TEXT}
    assert len(plan.calls) <= 1 + 5 + 3 + 5


@scenario(
    "T18 W20",
    *hermes(8283),
    "KarpelesLab/teamclaude#136",
    elsewhere="A key that was withdrawn is retried by every request.",
    here=(
        "The test is made once for all; then the refusal comes from memory, and says that the key had "
        "worked and how it was tested."
    ),
)
def test_a_key_that_was_withdrawn_is_reported_as_such(stage: Stage) -> None:
    stage.own("a")
    plan = stage.provider([ok(), refused()])
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    stage.ask("work")
    answer = stage.ask("work")
    assert answer.status == 401
    assert "rejected a key that it accepted" in answer.message
    assert "to test a key that had worked" in answer.message
    sent = len(plan.calls)
    assert sent == 5
    again = stage.ask("work")
    assert "nothing was sent" in again.message
    assert "asked again" not in again.message
    assert len(plan.calls) == sent


@scenario(
    "T26",
    *hermes(31273, 31443, 49769, 36276),
    elsewhere=(
        "A 402 is retried, forty dollars in two days; a billing cycle's 429 as well; a 402 that only "
        "wants a shorter answer is a dead key."
    ),
    here="What costs money is asked once. A message of a period's end is a window, and says when it opens.",
)
@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (broke(), {"quota_exhausted"}),
        (
            error(
                429,
                "You exceeded your current quota, please check your plan and billing details.",
                "insufficient_quota",
                "insufficient_quota",
            ),
            {"quota_exhausted"},
        ),
        (
            error(
                429,
                "You have reached your monthly usage limit. It resets at 2031-01-01T00:00:00Z",
                "usage_limit_reached",
            ),
            {"quota_window"},
        ),
    ],
    ids=["402", "429 quota", "429 window"],
)
def test_what_costs_money_is_asked_once(stage: Stage, answer: Behaviour, fault: set[str]) -> None:
    stage.own("a")
    plan = stage.provider(answer)
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    assert {stage.ask("work").fault for _ in range(3)} == fault
    assert len(plan.calls) == 1


@scenario(
    "T26",
    *hermes(49769),
    elsewhere=(
        "`402: you requested up to 65536 tokens, but can only afford 8000` is a dead account for an hour."
    ),
    here="The message quotes the provider, and the account can still be used for smaller requests.",
)
def test_a_402_that_asks_for_less_is_no_verdict_on_the_account(stage: Stage) -> None:
    stage.own("a")
    message = (
        "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but "
        "can only afford 8000."
    )
    plan = stage.provider([error(402, message), ok()])
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    answer = stage.ask("work")
    assert "can only afford 8000" in answer.message
    assert stage.ask("work").text == TEXT, "a shorter request is let through"


OVERFLOW = (
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
)


@scenario(
    "T28",
    *hermes(52261, 16351, 100536),
    elsewhere="A 400 that has nothing to do with length makes the agent compress, and destroy, its history.",
    here=(
        "Only a true overflow carries the code by which harnesses compact; any other 400 passes "
        "unchanged, and no key pays for it."
    ),
)
@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (error(400, OVERFLOW, "invalid_request_error", "context_length_exceeded"), "context_overflow"),
        (
            error(
                400, "Unsupported parameter: 'max_tokens'", "invalid_request_error", "unsupported_parameter"
            ),
            "bad_request",
        ),
        (error(400, "Invalid value: tool_calls", "invalid_request_error", "invalid_value"), "bad_request"),
    ],
    ids=["overflow", "parameter", "value"],
)
def test_only_a_true_overflow_is_called_one(stage: Stage, answer: Behaviour, fault: str) -> None:
    stage.own("a", "b")
    plan = stage.provider([answer, ok()])
    stage.write(entry("plan", plan, "a", "b"))
    stage.choose("work", "plan/m1")
    turn = stage.ask("work")
    assert (turn.status, turn.fault) == (400, fault)
    assert (turn.code == "context_length_exceeded") == (fault == "context_overflow")
    assert answer.body is not None
    assert json.loads(answer.body)["error"]["message"] in turn.message
    assert stage.ask("work").text == TEXT
    assert keys_seen(plan) == ["a", "a"]


@scenario(
    "T29",
    *hermes(33693),
    elsewhere="The provider is down for two or three minutes, and the session is lost.",
    here="The turns fail, aloud and cheaply; the session is what it was, and goes on when the provider does.",
)
@pytest.mark.parametrize(
    "down", [error(500, "Internal server error", "server_error"), Behaviour(reset=True, silent=True)]
)
def test_a_session_outlives_an_outage(stage: Stage, down: Behaviour) -> None:
    stage.own("a", "b")
    plan = stage.provider()
    stage.write(entry("plan", plan, "a", "b"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT
    plan.follow(down)
    assert [stage.ask("work").refused for _ in range(2)] == [True] * 2
    stage.restart()
    plan.follow(ok())
    assert stage.ask("work").text == TEXT
    assert stage.pin("work") == "plan/m1"
    assert set(keys_seen(plan)) == {"a"}, "no key pays for an outage"


def _invalid(message: str) -> dict[str, Any]:
    return {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}


NO_BALANCE = {"error": {"message": "Insufficient balance", "type": "insufficient_balance"}}
LIES: list[tuple[str, int, Any, str]] = [
    ("401 no balance", 401, NO_BALANCE, "quota_exhausted"),
    ("400 expired key", 400, _invalid("API key expired. Please renew the API key."), "auth_rejected"),
    ("400 bad key", 400, _invalid("API key not valid. Please pass a valid API key."), "auth_rejected"),
    ("404 page", 404, "404 page not found", "endpoint_mismatch"),
]


@scenario(
    "W21",
    "can1357/oh-my-pi#3169",
    "macanderson/stella#2",
    "QuantumNous/new-api#2266",
    elsewhere=(
        "The status decides: a 401 without balance is a bad key, a 400 with an expired one a bad request."
    ),
    here="The body is read before the status.",
)
@pytest.mark.parametrize(("code", "body", "fault"), [row[1:] for row in LIES], ids=[row[0] for row in LIES])
def test_a_status_that_lies_is_not_believed(stage: Stage, code: int, body: Any, fault: str) -> None:
    stage.own("a")
    plan = stage.provider(status(code, body))
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    kind = stage.ask("work").fault
    assert kind == fault or {kind, fault} == {"auth_expired", "auth_rejected"}


@scenario(
    "W21",
    "openclaw/openclaw#148275",
    elsewhere="HTTP 200 with nothing in it is a good answer: the SDK gives `None`.",
    here="An answer is looked at before it is passed on; an empty one is asked for again.",
)
def test_an_empty_200_is_no_answer(stage: Stage) -> None:
    stage.own("a")
    plan = stage.provider([empty(), ok()])
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work").text == TEXT
    assert len(plan.calls) == 2


@scenario(
    "W27",
    "router-for-me/CLIProxyAPI#2712",
    "Wei-Shaw/sub2api#1007",
    "BerriAI/litellm#38610",
    elsewhere="A stream begins with 200 and an error, or is begun twice after a fail-over.",
    here=(
        "Nothing is passed on before the first output: an error until then is recovered from, and the "
        "client sees one beginning."
    ),
)
@pytest.mark.parametrize("dialect", [CHAT, MESSAGES])
def test_an_error_before_the_first_word_is_recovered_from(stage: Stage, dialect: Any) -> None:
    stage.own("a")
    plan = stage.provider([error_event("Overloaded", "overloaded_error"), ok()])
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work", dialect=dialect, stream=True).text == TEXT
    assert len(plan.calls) == 2


@scenario(
    "W27",
    "BerriAI/litellm#29808",
    "KarpelesLab/teamclaude#391",
    elsewhere=(
        "A stream that breaks off is ended with an invented `[DONE]`; half an answer passes for a whole one."
    ),
    here="The client gets an error; nothing is sent again, no end is invented, and the journal shows it.",
)
@pytest.mark.parametrize("dialect", [CHAT, MESSAGES])
def test_a_stream_that_breaks_off_is_reported_as_broken(stage: Stage, dialect: Any) -> None:
    stage.own("a")
    plan = stage.provider(truncated(2))
    stage.write(entry("plan", plan, "a"))
    stage.choose("work", "plan/m1")
    assert stage.ask("work", dialect=dialect, stream=True).refused
    assert len(plan.calls) == 1
    assert "broke" in stage.why("work")


@scenario(
    "T12",
    *hermes(47828),
    elsewhere="A key at the wrong door is called invalid.",
    here=(
        "A key that works elsewhere is not blamed: the message names both places, and where the wrong "
        "one is written."
    ),
)
def test_a_wrong_endpoint_is_reported_as_such(stage: Stage) -> None:
    stage.own("a", "b")
    right, wrong = stage.provider(), stage.provider(refused())
    stage.write(entry("right", right, "a"), entry("wrong", wrong, "a", "b"))
    stage.choose("one", "right/m1")
    stage.choose("two", "wrong/m1", key="a")
    assert stage.ask("one").text == TEXT
    answer = stage.ask("two")
    assert answer.fault == "endpoint_mismatch"
    for words in (
        f"This key works at {right.url}",
        f"the call went to {wrong.url}",
        "holdfast.toml:",
        "The key was not changed",
    ):
        assert words in answer.message, answer.message
    assert value_of("a") not in answer.message
