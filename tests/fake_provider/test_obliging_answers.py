"""An obliging provider calls what it is offered and thinks where it shall; its streams and whole answers say
the same, and the vendors' own types take them."""

from __future__ import annotations

import json
from typing import Any

import anthropic.types
import httpx2
import openai.types.chat
import openai.types.responses
from pydantic import TypeAdapter

from holdfast.core.identity import Dialect
from holdfast.fake_provider import ScriptedProvider, SeenRequest, obliging
from holdfast.fake_provider.answers import answer, events
from holdfast.fake_provider.obliging import example_of
from holdfast.translate.caps import Caps
from holdfast.translate.events import DONE, Answer, fold
from holdfast.translate.exchange import FORMS
from holdfast.translate.form import Call, Text, Thinking
from holdfast.translate.losses import Losses
from tables import rows

CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "unit": {"enum": ["C", "F"]}},
    "required": ["city", "days", "unit"],
}
GIVEN = {"city": "scripted", "days": 1, "unit": "C"}
USER = [{"role": "user", "content": "hi"}]
WEATHER = {"name": "weather", "parameters": SCHEMA}
ASKED: dict[Dialect, dict[str, Any]] = {
    CHAT: {
        "model": "m",
        "messages": USER,
        "tools": [{"type": "function", "function": WEATHER}],
        "reasoning_effort": "low",
        "stream_options": {"include_usage": True},
    },
    RESPONSES: {
        "model": "m",
        "input": USER,
        "tools": [{"type": "function", **WEATHER}],
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
    },
    MESSAGES: {
        "model": "m",
        "max_tokens": 9,
        "messages": USER,
        "tools": [{"name": "weather", "input_schema": SCHEMA}],
        "thinking": {"type": "adaptive"},
    },
}
TYPES: dict[Dialect, tuple[TypeAdapter[Any], TypeAdapter[Any]]] = {
    CHAT: (TypeAdapter(openai.types.chat.ChatCompletion), TypeAdapter(openai.types.chat.ChatCompletionChunk)),
    RESPONSES: (
        TypeAdapter(openai.types.responses.Response),
        TypeAdapter(openai.types.responses.ResponseStreamEvent),
    ),
    MESSAGES: (
        TypeAdapter(anthropic.types.Message),
        TypeAdapter(anthropic.types.RawMessageStreamEvent),
    ),
}


def seen(dialect: Dialect, **changes: Any) -> SeenRequest:
    body = json.dumps(ASKED[dialect] | changes).encode()
    return SeenRequest(1, 1.0, "POST", FORMS[dialect].path, None, "m", dialect, False, {}, body)


def streamed(request: SeenRequest, dialect: Dialect) -> list[dict[str, Any]]:
    """Return the data of the events, without the sign at the end."""
    first, others = events(request, dialect, obliging(request))
    lines = [line for event in first + others for line in event.decode().split("\n")]
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [json.loads(text) for text in data if text != "[DONE]"]


def folded(request: SeenRequest, dialect: Dialect) -> Answer:
    reader = FORMS[dialect].reader(Caps(), "mark", "seed", Losses())
    data: list[Any] = streamed(request, dialect)
    return fold([event for each in [*data, DONE] for event in reader.feed(each)] + reader.end())


@rows("dialect", ASKED)
def test_a_stream_says_what_the_whole_answer_says(dialect: Dialect) -> None:
    for request in (seen(dialect), seen(dialect, tools=[]), seen(dialect, tool_choice="none")):
        reader = FORMS[dialect].reader(Caps(), "mark", "seed", Losses())
        made = folded(request, dialect)
        assert made == fold(reader.whole(answer(request, obliging(request))))
        assert made.ended
        kinds = [type(part) for part in made.parts if not isinstance(part, Thinking) or part.text]
        called = bool(request.entries("tools")) and request.asked.get("tool_choice") != "none"
        assert kinds == [Thinking, Call if called else Text]
        assert made.usage.thinking == 4


@rows("dialect", ASKED)
def test_the_vendors_types_take_every_answer(dialect: Dialect) -> None:
    for request in (seen(dialect), seen(dialect, tools=[])):
        whole, event = TYPES[dialect]
        whole.validate_python(answer(request, obliging(request)))
        for each in streamed(request, dialect):
            if each.get("type") != "ping":  # Anthropic's types leave it out
                event.validate_python(each)


@rows("dialect", ASKED)
def test_what_it_calls_with_fits_the_schema_and_it_speaks_after_the_result(dialect: Dialect) -> None:
    assert obliging(seen(dialect)).calls == (("weather", GIVEN),)
    results = {
        CHAT: {"messages": [*USER, {"role": "tool", "tool_call_id": "a", "content": "12"}]},
        RESPONSES: {"input": [*USER, {"type": "function_call_output", "call_id": "a", "output": "12"}]},
        MESSAGES: {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]}]},
    }
    assert obliging(seen(dialect, **results[dialect])).calls == ()


def test_an_example_has_what_a_schema_requires() -> None:
    assert example_of({"properties": {"a": {"type": "array"}}, "required": ["a", "b"]}) == {"a": [], "b": {}}
    assert example_of({}) == {}


def test_a_request_without_a_needed_member_is_refused_in_its_dialect() -> None:
    with ScriptedProvider(obliging) as provider:
        answers = [
            httpx2.post(f"{provider.root}{FORMS[dialect].path}", json={"model": "m"}) for dialect in ASKED
        ]
        assert httpx2.post(f"{provider.url}/nowhere", json={}).status_code == 404
        compact = f"{provider.url}/responses/compact"
        assert httpx2.post(compact, json={"input": "hi"}).status_code == 400
        compacted = httpx2.post(compact, json={"model": "m", "input": "hi"}).json()
    assert [item["type"] for item in compacted["output"]] == ["compaction"]
    assert [answer.status_code for answer in answers] == [400] * 3
    params = [answer.json()["error"].get("param", "in Anthropic's form") for answer in answers]
    assert params == ["messages", "input", "in Anthropic's form"]
