"""What we write, read by the clients of the vendors: their accumulators, and their types, strictly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

import httpx2
import openai
import pytest
from anthropic import Anthropic, APIStatusError
from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from holdfast.translate.caps import Caps
from holdfast.translate.events import fold
from holdfast.translate.to_chat import ChatWriter
from holdfast.translate.to_messages import MessagesWriter
from holdfast.translate.to_responses import ResponsesWriter
from tables import rows
from translate.stream_scripts import Script, script
from translate.streams import called, caller_of, chunk, read, usage, write

Wire = dict[str, Any]
SCRIPTS = [script(Random(seed)) for seed in range(5)]
MESSAGES_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
RESPONSES_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
REFUSED = [chunk({"content": "No"}), chunk(finish="content_filter")]
CUT = [chunk({"content": "Hi"}), chunk(finish="length"), usage(5, 1)]
BROKEN = [chunk({"content": "Hi"}), {"error": {"message": "gone", "code": "rate_limit_exceeded"}}]


def _client(events: Sequence[Wire]) -> httpx2.Client:
    text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    headers = {"content-type": "text/event-stream"}
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, headers=headers, text=text))
    return httpx2.Client(transport=transport)


def _by_anthropic(events: Sequence[Wire]) -> Message:
    client = Anthropic(api_key="k", base_url="http://x", http_client=_client(events), max_retries=0)
    asked: Any = [{"role": "user", "content": "x"}]
    with client.messages.stream(model="m", max_tokens=5, messages=asked) as stream:
        return stream.get_final_message()


def _by_openai(events: Sequence[Wire]) -> Response:
    client = openai.OpenAI(api_key="k", base_url="http://x", http_client=_client(events), max_retries=0)
    with client.responses.stream(model="m", input="x") as stream:
        for _event in stream:
            pass
        return stream.get_final_response()


def _parts(message: Message) -> list[tuple[Any, ...]]:
    parts: list[tuple[Any, ...]] = []
    for block in message.content:
        if block.type == "tool_use":
            parts.append(("call", block.id, block.name, block.input))
        elif block.type == "thinking":
            parts.append(("thinking", block.thinking))
        else:
            parts.append(("text", block.text))  # type: ignore[union-attr]
    return parts


def _wanted(made: Script, dialect: str) -> list[tuple[Any, ...]]:
    """Return the fold of an answer, with arguments as objects."""
    return [
        (*part[:3], json.loads(part[3])) if part[0] == "call" and dialect == "messages" else part
        for part in made.fold(dialect)
    ]


def test_anthropics_client_puts_our_streams_together() -> None:
    for made in SCRIPTS:
        message = _by_anthropic(write(read(made.chunks), "messages"))
        assert _parts(message) == _wanted(made, "messages")
        assert (message.usage.input_tokens, message.usage.output_tokens) == (7, 3)


def test_openais_client_puts_our_streams_together() -> None:
    for made in SCRIPTS:
        response = _by_openai(write(read(made.chunks), "responses"))
        parts: list[tuple[Any, ...]] = []
        for item in response.output:
            if item.type == "message":
                parts.append(("text", item.content[0].text))  # type: ignore[union-attr]
            elif item.type == "reasoning":
                parts.append(("thinking", (item.content or item.summary)[0].text))
            else:
                args = getattr(item, "arguments", None) or item.input  # type: ignore[union-attr]
                parts.append(("call", item.call_id, item.name, args))  # type: ignore[union-attr]
        assert parts == _wanted(made, "responses")
        assert response.usage is not None
        assert response.usage.total_tokens == 10


@rows("summed_up", [False, True])
def test_every_event_is_one_of_the_vendors(*, summed_up: bool) -> None:
    for chunks in [*(made.chunks for made in SCRIPTS), REFUSED, CUT]:
        events = read(chunks, caps=Caps(reasoning_back=True))
        for event in write(events, "messages", caller_of(summed_up=summed_up)):
            MESSAGES_EVENT.validate_python(event)
        for event in write(events, "responses", caller_of(summed_up=summed_up)):
            RESPONSES_EVENT.validate_python(event)
        for event in write(events, "chat", caller_of()):
            # OpenAI's type of a piece has no call of a custom tool.
            if '"custom"' not in json.dumps(event):
                ChatCompletionChunk.model_validate(event, strict=True)


def test_every_whole_answer_is_one_of_the_vendors() -> None:
    for chunks in [*(made.chunks for made in SCRIPTS), REFUSED, CUT]:
        answer = fold(read(chunks))
        Message.model_validate(MessagesWriter(caller_of()).whole(answer), strict=True)
        Response.model_validate(ResponsesWriter(caller_of()).whole(answer))
        ChatCompletion.model_validate(ChatWriter(caller_of()).whole(answer), strict=True)


def test_a_broken_stream_is_an_error_in_the_vendors_clients() -> None:
    with pytest.raises(APIStatusError) as caught:
        _by_anthropic(write(read(BROKEN), "messages"))
    assert caught.value.type == "rate_limit_error"
    with pytest.raises(RuntimeError, match=r"response\.completed"):
        _by_openai(write(read(BROKEN), "responses"))


def test_a_call_that_is_cut_is_no_call_for_openais_client() -> None:
    events = write(read([called('{"x":', id="a", name="get_w"), chunk(finish="length")]), "responses")
    with pytest.raises(RuntimeError, match=r"response\.completed"):
        _by_openai(events)
    RESPONSES_EVENT.validate_python(events[-1])
    assert events[-1]["response"]["output"] == []
