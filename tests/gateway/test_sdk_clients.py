"""The official SDKs through a running gateway: plain, streamed, refused."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from holdfast.testing import ScriptedProvider, status

ASK: list[Any] = [{"role": "user", "content": "hi"}]


def test_the_openai_sdk_gets_plain_and_streamed_answers(gateway: Any, provider: ScriptedProvider) -> None:
    plane = gateway(provider)
    with openai.OpenAI(base_url=plane.url, api_key=plane.token, max_retries=0) as client:
        plain = client.chat.completions.create(model="mine/scripted-1", messages=ASK)
        assert plain.choices[0].message.content == "All quiet on the scripted side."
        streamed = client.chat.completions.create(model="mine/scripted-1", messages=ASK, stream=True)
        assert (
            "".join(chunk.choices[0].delta.content or "" for chunk in streamed if chunk.choices)
            == "All quiet on the scripted side."
        )
        assert (
            client.responses.create(model="mine/scripted-1", input="hi").output_text
            == "All quiet on the scripted side."
        )
        events = list(client.responses.create(model="mine/scripted-1", input="hi", stream=True))
        assert events[-1].type == "response.completed"
        assert client.embeddings.create(model="mine/scripted-1", input="hi", encoding_format="float").data[
            0
        ].embedding == [0.25, 0.5]
    assert {seen.model for seen in provider.calls} == {"scripted-1"}
    assert {seen.key for seen in provider.calls} == {"sk-aaaa-0123456789abcdef"}
    assert [(request.route, request.status, request.streamed) for request in plane.done] == [
        ("chat/completions", 200, False),
        ("chat/completions", 200, True),
        ("responses", 200, False),
        ("responses", 200, True),
        ("embeddings", 200, False),
    ]


def test_the_anthropic_sdk_gets_plain_and_streamed_answers(gateway: Any, provider: ScriptedProvider) -> None:
    plane = gateway(provider)
    with anthropic.Anthropic(base_url=plane.root, api_key=plane.token, max_retries=0) as client:
        message = client.messages.create(model="mine/scripted-1", max_tokens=9, messages=ASK)
        assert message.content[0].text == "All quiet on the scripted side."  # type: ignore[union-attr]
        with client.messages.stream(model="mine/scripted-1", max_tokens=9, messages=ASK) as stream:
            assert "".join(stream.text_stream) == "All quiet on the scripted side."
    cached = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    assert plane.done[-1].usage == {"input_tokens": 3, "output_tokens": 7, **cached}


def test_a_refusal_is_the_sdks_own_error_in_four_lines(gateway: Any, provider: ScriptedProvider) -> None:
    provider.follow(
        status(
            400,
            {
                "error": {
                    "message": "bad temperature",
                    "type": "invalid_request_error",
                    "code": "invalid_value",
                    "param": "temperature",
                }
            },
        )
    )
    plane = gateway(provider)
    with (
        openai.OpenAI(base_url=plane.url, api_key=plane.token) as client,
        pytest.raises(openai.BadRequestError) as refused,
    ):
        client.chat.completions.create(model="mine/scripted-1", messages=ASK)
    assert refused.value.body["holdfast"]["class"] == "bad_request"  # type: ignore[index]
    assert "bad temperature" in str(refused.value)
    assert refused.value.response.headers["holdfast-fault"] == "bad_request"
    with (
        anthropic.Anthropic(base_url=plane.root, api_key=plane.token) as speaker,
        pytest.raises(anthropic.BadRequestError) as denied,
    ):
        speaker.messages.create(model="mine/scripted-1", max_tokens=9, messages=ASK)
    assert denied.value.body["error"]["type"] == "invalid_request_error"  # type: ignore[index]
