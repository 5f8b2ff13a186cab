"""The streams of these tests are of the vendors' published types, and become what the vendors' own SDKs make
of them."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, get_args

from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types import responses
from pydantic import BaseModel, TypeAdapter

from holdfast.translate.events import Answer, fold
from holdfast.translate.form import Call
from tables import rows
from translate.wires import Wire, answer, message_stream, reader, response_stream

MESSAGES: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
PARTS: dict[str, list[tuple[str, ...]]] = {
    "text": [("text", "hello")],
    "a thought, text and a call": [
        ("thinking", "hm", "c2ln"),
        ("text", "so"),
        ("call", "c1", "get_w", '{"x": [1, "é"]}'),
        ("text", "then"),
    ],
    "parallel calls": [("call", "c1", "get_w", '{"x": 1}'), ("call", "c2", "get_w", "{}")],
    "nothing": [],
}


@cache
def _types() -> dict[str, type[BaseModel]]:
    """Return the published type of each event of Responses."""
    kinds = get_args(get_args(responses.ResponseStreamEvent)[0])
    return {get_args(kind.model_fields["type"].annotation)[0]: kind for kind in kinds}


def _of_anthropic(events: list[Wire]) -> Wire:
    snapshot, buffers = None, {}  # type: ignore[var-annotated]
    for event in events:
        if event["type"] == "ping":
            continue
        typed = MESSAGES.validate_python(event, strict=True)
        snapshot = accumulate_event(event=typed, current_snapshot=snapshot, json_bufs=buffers)
    assert snapshot is not None
    made: Wire = json.loads(snapshot.to_json())
    return made


def _of_openai(events: list[Wire]) -> Wire:
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    made: Wire = {}
    for event in events:
        typed = _types()[event["type"]].model_validate(event, strict=True)
        for each in state.handle_event(typed):  # type: ignore[arg-type]
            if each.type == "response.completed":
                made = each.response.to_dict()  # type: ignore[assignment]
    return made


def _comparable(made: Answer) -> list[Any]:
    """Return what an answer says, with arguments by their value."""
    parts = [
        (part.id, part.name, json.loads(part.args)) if isinstance(part, Call) else part for part in made.parts
    ]
    return [made.id, made.model, parts, made.stop, made.usage, made.ended]


@rows("name", PARTS)
def test_a_stream_of_messages_becomes_what_anthropic_s_sdk_makes_of_it(name: str) -> None:
    usage = {"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 3}}
    events = message_stream(PARTS[name], list, usage=usage)
    made = fold(reader("messages").whole(_of_anthropic(events)))
    assert _comparable(answer("messages", events)) == _comparable(made)


@rows("name", PARTS)
def test_a_stream_of_responses_becomes_what_openai_s_sdk_makes_of_it(name: str) -> None:
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 16,
    }
    events = response_stream(PARTS[name], list, usage=usage)
    made = fold(reader("responses").whole(_of_openai(events)))
    assert _comparable(answer("responses", events)) == _comparable(made)
