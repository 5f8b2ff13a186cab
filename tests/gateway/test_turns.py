"""The end of a fallback through the gateway: a turn that began on the fallback ends on it, in each dialect (a
prompt is cached where it was sent)."""

from __future__ import annotations

import time
from typing import Any

import pytest

from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, ok, status

from .conftest import Running, StartGateway

DOWN = status(500, {"error": {"message": "The server had an error", "type": "server_error"}})
USER: dict[str, Any] = {"role": "user", "content": "Where were we?"}
TURNS: dict[str, tuple[str, list[Any], list[Any]]] = {
    "chat/completions": (
        "messages",
        [USER],
        [
            USER,
            {"role": "assistant", "content": None},
            {"role": "tool", "tool_call_id": "t1", "content": "3 files"},
        ],
    ),
    "responses": (
        "input",
        [USER],
        [USER, {"type": "function_call_output", "call_id": "t1", "output": "3 files"}],
    ),
    "messages": (
        "messages",
        [USER],
        [
            USER,
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "3 files"}]},
        ],
    ),
}


class Mine:
    """A provider that can be switched off."""

    on = True

    def __call__(self, seen: SeenRequest) -> Behaviour:
        return ok() if self.on else DOWN


@pytest.mark.parametrize("route", TURNS)
def test_a_turn_that_began_on_the_fallback_ends_on_it(gateway: StartGateway, route: str) -> None:
    where, begins, goes_on = TURNS[route]
    state = Mine()
    with ScriptedProvider(state) as mine, ScriptedProvider() as other:
        endpoints = [
            (
                f'{{ openai-chat = "{server.url}", openai-responses = "{server.url}", anthropic-messages = '
                f'"{server.root}" }}'
            )
            for server in (mine, other)
        ]
        tables = [
            f'[provider.{name}]\nmodels = ["m"]\nkeys = ["env:KEY_A"]\nendpoints = {at}\n'
            for name, at in zip(("mine", "other"), endpoints, strict=True)
        ]
        fallback_chain = '[fallback]\n"mine/m" = { then = ["other/m"], return_after = "200ms" }\n'
        plane = gateway(config="\n".join([*tables, fallback_chain, "[settings]\nprobe_delays = [0, 0]\n"]))

        def answered_by(items: list[Any]) -> str:
            code, headers, body = ask(plane, route, {"model": "mine/m", "max_tokens": 16, where: items})
            assert code == 200, body
            assert plane.holdfast.failback.jobs.settle()
            return headers["holdfast-pin"]

        assert answered_by(begins) == "mine/m"
        state.on = False
        assert answered_by(begins) == "other/m"
        state.on = True
        time.sleep(0.25)
        assert [answered_by(goes_on) for _ in range(3)] == ["other/m"] * 3
        assert [answered_by(begins), answered_by(goes_on)] == ["mine/m", "mine/m"]


def ask(plane: Running, route: str, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    return plane.post(route, body, holdfast_session="work")
