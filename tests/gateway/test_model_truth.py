"""The model that a provider says it answered with is compared with the chosen one on every answer, and a
difference is reported."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.store.journal_events import ModelDiffered, of_type
from holdfast.store.stored_events import stored
from holdfast.testing import ScriptedProvider, ok

ROUTES = ["chat/completions", "responses", "messages"]
HEADER = "holdfast-answered-model"


def differences(plane: Any) -> list[dict[str, Any]]:
    """What the journal holds of other models."""
    plane.holdfast.engine.journal_writer.flush()
    return [
        stored(event.detail)
        for event in of_type(plane.holdfast.engine.store.journal(session="token-test"), ModelDiffered)
    ]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("route", ROUTES)
def test_another_model_is_named_in_a_header_and_written_down_once(
    gateway: Any, provider: ScriptedProvider, route: str, streams: bool
) -> None:
    provider.follow([ok(model="scripted-1-2026-01-01"), ok(model="scripted-lite")])
    plane = gateway(provider)
    asked = {"model": "mine/scripted-1", "messages": [], "max_tokens": 5, "stream": streams}
    same, another = plane.post(route, asked), plane.post(route, asked)
    assert (same[0], HEADER in same[1]) == (200, False)
    assert (another[0], another[1][HEADER], b"scripted-lite" in another[2]) == (200, "scripted-lite", True)
    assert differences(plane) == [{"chosen": "scripted-1", "answered": "scripted-lite"}]


def test_a_deployment_answers_as_what_its_user_wrote(gateway: Any, provider: ScriptedProvider) -> None:
    text = (
        f'[provider.azure]\nurl = "{provider.url}"\nkeys = ["env:KEY_A"]\nmodels = ["ours", "theirs"]\n'
        f'answers_as = {{ ours = "gpt-5" }}\n'
    )
    plane = gateway(config=text)
    provider.follow(ok(model="gpt-5-2025-08-07"))
    assert HEADER not in plane.post("chat/completions", {"model": "azure/ours", "messages": []})[1]
    assert (
        plane.post("chat/completions", {"model": "azure/theirs", "messages": []})[1][HEADER]
        == "gpt-5-2025-08-07"
    )
    assert differences(plane) == [{"chosen": "theirs", "answered": "gpt-5-2025-08-07"}]


def test_a_name_that_would_be_a_header_or_a_key_is_neither(gateway: Any, provider: ScriptedProvider) -> None:
    secret = "sk-aaaa-0123456789abcdef"
    provider.follow(
        ok(
            body=json.dumps(
                {"model": f"x\r\nholdfast-pin: forged {secret}", "choices": [{"message": {"content": "hi"}}]}
            ).encode()
        )
    )
    plane = gateway(provider)
    _, headers, _ = plane.post("chat/completions", {"model": "mine/scripted-1", "messages": []})
    assert headers["holdfast-pin"] == "mine/scripted-1"
    assert secret not in json.dumps([headers, differences(plane)])
    assert "forged" in headers[HEADER]
