"""A provider's words with characters that steer a terminal, on their way to every face."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from click.testing import CliRunner

from holdfast.cli import app
from holdfast.testing import ScriptedProvider, status
from values.test_plain_text import is_clean

WORDS = "no \x1b[31mred\x1b[0m \x07bell \x9b2J \u202egnp\u202c \x7f \u200bzero \U000e0061\U000e0062 end"


@pytest.fixture
def plane(gateway: Any, provider: ScriptedProvider) -> Any:
    body = {"error": {"message": WORDS, "type": "invalid_request_error", "code": WORDS, "param": None}}
    provider.follow(status(400, body))
    made = gateway(provider)
    made.holdfast.session("work", "mine/scripted-1")
    return made


def test_an_sdk_shows_no_provider_words_that_steer_a_terminal(plane: Any) -> None:
    hello: Any = [{"role": "user", "content": "hi"}]
    with (
        openai.OpenAI(base_url=plane.url, api_key=plane.token, max_retries=0) as client,
        pytest.raises(openai.BadRequestError) as raised,
    ):
        client.chat.completions.create(model="mine/scripted-1", messages=hello)
    assert "red" in str(raised.value)
    assert is_clean(json.dumps(raised.value.body, ensure_ascii=False))
    assert is_clean(raised.value.message)


def test_both_faces_and_the_journal_show_the_same_clean_words(plane: Any) -> None:
    asked = {"model": "mine/scripted-1", "messages": [{"role": "user", "content": "hi"}]}
    _, _, theirs = plane.post("chat/completions", asked, holdfast_session="work")
    transport = plane.holdfast.session("work").transport()
    with httpx2.Client(transport=transport, base_url="http://holdfast.invalid/v1") as client:
        ours = client.post("/chat/completions", json=asked).content
    for body in (theirs, ours):
        assert is_clean(json.dumps(json.loads(body), ensure_ascii=False))
        assert "bell" in json.loads(body)["error"]["message"]
    plane.holdfast.engine.journal_writer.flush()
    for arguments in (["why", "work"], ["why", "work", "--json"], ["session", "show", "work", "--json"]):
        shown = CliRunner(env={"HOLDFAST_HOME": str(plane.home)}).invoke(app, arguments)
        assert is_clean(shown.output), arguments
