"""What a real LiteLLM proxy said, replayed by a scripted provider through the gateway: the client gets the
status and shape that its SDK acts on rightly, and no key cools down for what was not its fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.conftest import QUICK, Running
from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest

RECORDED = [
    json.loads(line)
    for name in ("replies", "recorded")
    for line in (Path(__file__).parents[1] / f"replies/{name}.jsonl").read_text("utf-8").splitlines()
]
ROUTES = {"chat": "chat/completions", "messages": "messages", "responses": "responses"}
STATUS = {
    "auth_rejected": 401,
    "auth_expired": 401,
    "not_entitled": 403,
    "blocked": 403,
    "quota_exhausted": 429,
    "quota_window": 429,
    "rate_limited": 429,
    "provider_unavailable": 503,
    "transient": 502,
    "model_unavailable": 404,
    "endpoint_mismatch": 400,
    "context_overflow": 400,
    "content_blocked": 400,
    "bad_request": 400,
}
"""docs/reference/faults.md, for clients of OpenAI's dialects. Anthropic's have words of their own for two of
them."""
OF_ANTHROPIC = {"quota_exhausted": 400, "provider_unavailable": 529}
BLAMES = {"auth_rejected", "auth_expired", "not_entitled", "quota_exhausted", "quota_window", "rate_limited"}


def route_of(case: dict[str, Any]) -> str:
    """Which call was answered so; empty for what is none of ours."""
    return (
        ROUTES.get(case["case"].rpartition("_")[2].partition(".")[0], "")
        if case["case"].startswith("rec_")
        else ""
    )


CASES = [
    case
    for case in RECORDED
    if case["provider"] == "litellm" and case["status"] is not None and route_of(case)
]


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One gateway and one proxy; each case has a provider entry, a path and a key of its own."""
    home = tmp_path_factory.mktemp("home") / "holdfast"
    home.mkdir(mode=0o700)

    def answers(seen: SeenRequest) -> Behaviour:
        case = CASES[int((seen.key or "").rpartition("-")[2])]
        return Behaviour(
            case["status"],
            body=case["body"].encode(),
            headers=tuple((name.lower(), value) for name, value in case["headers"].items()),
        )

    with ScriptedProvider(answers, models=["m"]) as proxy, pytest.MonkeyPatch.context() as patch:
        tables = []
        for number, _ in enumerate(CASES):
            patch.setenv(f"KEY_{number}", f"sk-virtual-key-{number}")
            at = f"{proxy.root}/c{number}"
            endpoints = (
                f'{{ openai-chat = "{at}/v1", openai-responses = "{at}/v1", anthropic-messages = "{at}" }}'
            )
            tables.append(
                f'[provider.c{number}]\nprofile = "litellm"\nendpoints = {endpoints}\nmodels = ["m"]\n'
                f'keys = ["env:KEY_{number}"]\n'
            )
        (home / "holdfast.toml").write_text(
            "\n".join([*tables, "[settings]\nprobe_delays = []\nwait_budget = 0\n"])
        )
        running = Running(home, QUICK, None, "uvloop")
        yield running
        running.close()


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case["case"] for case in CASES])
def test_a_recorded_answer_of_a_proxy_reaches_the_client_as_what_it_means(
    relay: Running, number: int
) -> None:
    case, route = CASES[number], route_of(CASES[number])
    streams = case["status"] == 200 or ".stream" in case["case"]
    status, headers, body = relay.post(
        route, {"model": f"c{number}/m", "messages": [], "max_tokens": 5, "stream": streams}
    )
    fault, anthropic = case["expected_class"], route == "messages"
    if status == 200:  # output had begun: the error is in the stream
        assert case["status"] == 200
        assert b"[DONE]" not in body
        assert b"error" in body
    else:
        wanted = OF_ANTHROPIC.get(fault, STATUS[fault]) if anthropic else STATUS[fault]
        assert (headers["holdfast-fault"], status) == (
            fault,
            504 if fault == "transient" and case["status"] == 408 else wanted,
        )
        error = json.loads(body)
        assert (error.get("type") == "error") is anthropic
        assert error["error"]["holdfast"]["class"] == fault
        assert headers["x-should-retry"] == "false"
    if fault not in BLAMES:
        store, vault = relay.holdfast.engine.store, relay.holdfast.engine.vault
        (key,) = next(
            entry for name, entry in relay.holdfast.config.providers.items() if name == f"c{number}"
        ).keys
        mark = vault.fingerprint(key, vault.pepper())
        assert not [cooldown for cooldown in store.cooldowns() if mark in cooldown.subject], (
            "the key rests for what was not its fault"
        )


def test_the_recorded_answers_of_all_kinds_are_there() -> None:
    assert {route_of(case) for case in CASES} == set(ROUTES.values())
    assert len(CASES) > 60
