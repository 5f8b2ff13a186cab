"""What only one account knows: what answers make of it, and what requests refer to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.core.identity import Dialect
from holdfast.wire import account_objects
from holdfast.wire.account_objects import objects_made, references
from holdfast.wire.sse import StreamWatch
from tables import rows

C, M, R = Dialect.OPENAI_CHAT, Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_RESPONSES
THOUGHT = "gAAAA" + "x" * 400
SCHEMA = {"type": "object", "properties": {"conversation": {"id": "no"}, "file_id": {"type": "string"}}}


def content(*parts: Any) -> list[Any]:
    return [{"role": "user", "content": list(parts)}]


@rows(
    ("dialect", "members", "names"),
    [
        (R, {"input": "x"}, []),
        (R, {"previous_response_id": "resp_1"}, ["resp_1"]),
        (R, {"previous_response_id": None}, []),
        (R, {"conversation": "conv_1"}, ["conv_1"]),
        (R, {"conversation": {"id": "conv_1"}}, ["conv_1"]),
        (R, {"prompt": {"id": "pmpt_1", "variables": {}}}, ["pmpt_1"]),
        (R, {"input": [{"type": "item_reference", "id": "msg_1"}]}, ["msg_1"]),
        (R, {"input": [{"type": "message", "id": "msg_1", "content": []}]}, []),
        (R, {"input": [{"type": "reasoning", "encrypted_content": "short"}]}, ["short"]),
        (R, {"input": [{"type": "reasoning", "encrypted_content": None}]}, []),
        (R, {"input": [{"type": "reasoning", "encrypted_content": "hf1~e30.0"}]}, []),
        (R, {"input": content({"type": "input_file", "file_id": "file-1"})}, ["file-1"]),
        (R, {"input": content({"type": "input_image", "file_id": "file-2"})}, ["file-2"]),
        (R, {"input": content({"type": "input_image", "image_url": "https://x.example"})}, []),
        (R, {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, ["cntr_1"]),
        (
            R,
            {
                "tools": [
                    {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-3"]}},
                    {"type": "file_search", "vector_store_ids": ["vs_1", "vs_2"]},
                ]
            },
            ["file-3", "vs_1", "vs_2"],
        ),
        (R, {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, []),
        (R, {"input": '"previous_response_id": "resp_1"'}, []),
        (R, {"metadata": {"conversation": "mine", "file_id": "x"}}, []),
        (R, {"tools": [{"type": "function", "name": "f", "parameters": SCHEMA}]}, []),
        (R, {"input": [{"type": "function_call", "arguments": '{"file_id": "x"}'}]}, []),
        (C, {"messages": content({"type": "file", "file": {"file_id": "file-1"}})}, ["file-1"]),
        (C, {"messages": content({"type": "file", "file": {"file_data": "data:"}})}, []),
        (C, {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]}, ["audio_1"]),
        (C, {"audio": {"voice": "alloy"}, "messages": content({"type": "text", "text": '"audio_'})}, []),
        (C, {"tools": [{"type": "function", "function": {"parameters": SCHEMA}}]}, []),
        (M, {"container": "container_1"}, ["container_1"]),
        (M, {"container": {"id": "container_1", "skills": []}}, ["container_1"]),
        (M, {"messages": content({"type": "document", "source": {"type": "file", "file_id": "f"}})}, ["f"]),
        (M, {"messages": content({"type": "container_upload", "file_id": "f"})}, ["f"]),
        (M, {"messages": content({"type": "thinking", "thinking": "", "signature": "s"})}, []),
        (M, {"messages": content({"type": "redacted_thinking", "data": "d"})}, []),
        (M, {"messages": content({"type": "tool_use", "input": {"container": "web", "file_id": "x"}})}, []),
        (M, {"messages": content({"type": "web_search_result", "encrypted_content": "e"})}, []),
        (M, {"tools": [{"name": "f", "input_schema": SCHEMA}]}, []),
    ],
)
def test_a_request_names_what_it_refers_to_and_free_text_names_nothing(
    dialect: Dialect, members: dict[str, Any], names: list[str]
) -> None:
    for separators in ((",", ":"), (", ", " : ")):
        body = json.dumps({"model": "m", **members}, separators=separators).encode()
        assert references(dialect, body) == names


@pytest.mark.parametrize("name", sorted(account_objects._REFERENCES - {"audio", "batch_id"}))
def test_every_member_that_refers_to_an_object_is_found_by_the_search_before_parsing(name: str) -> None:
    assert references(R, json.dumps({"model": "m", name: "id_1"}, indent=1).encode()) == ["id_1"]


@pytest.mark.parametrize(
    "body", [b'{"file_id"', b'{"file_id": nan{}}', b'{"a":"file_id"' + b"[" * 9000 + b"}"]
)
def test_a_body_that_cannot_be_read_refers_to_nothing(body: bytes) -> None:
    assert references(C, body) == []


def test_a_batch_refers_to_its_file_although_no_model_is_called() -> None:
    body = b'{"input_file_id":"file-1","endpoint":"/v1/chat/completions"}'
    assert references(C, body, to_model=False) == ["file-1"]
    assert references(R, b'{"batch_id":"batch_1"}', to_model=False) == ["batch_1"]


def test_of_a_long_history_the_newest_are_looked_up() -> None:
    items = [{"type": "reasoning", "encrypted_content": f"{n}"} for n in range(50)]
    assert references(R, json.dumps({"input": items}).encode()) == [str(n) for n in range(42, 50)]


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "conversation": {"id": "conv_1"},
    "output": [
        {"type": "reasoning", "id": "rs_1", "encrypted_content": THOUGHT},
        {"type": "code_interpreter_call", "id": "ci_1", "container_id": "cntr_1"},
        "odd",
    ],
}


def test_an_answer_names_what_it_made_and_encrypted_reasoning_is_known_again_by_its_hash() -> None:
    container, conversation, response = "cntr_1", "conv_1", "resp_1"
    hashed = references(R, json.dumps({"input": [{"encrypted_content": THOUGHT}]}).encode())
    assert objects_made(RESPONSE) == [conversation, response, *hashed, container]
    assert "gAAAA" not in hashed[0]
    unstored = {**RESPONSE, "store": False, "conversation": None, "output": []}
    assert objects_made(unstored) == []
    assert objects_made({"type": "message", "id": "msg_1", "container": {"id": "c"}}) == ["c"]
    assert objects_made({"id": "x", "choices": [], "conversation": "c"}) == []


def events(*documents: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in documents)


def test_a_stream_names_its_response_before_its_output_and_the_rest_at_its_end() -> None:
    watch = StreamWatch(R)
    created = {"type": "response.created", "response": {**RESPONSE, "conversation": None, "output": []}}
    watch.feed(events(created))
    assert watch.objects == ["resp_1"]
    watch.feed(events({"type": "response.output_text.delta", "delta": "hi"}))
    watch.feed(events({"type": "response.completed", "response": RESPONSE}))
    assert watch.ended
    assert set(watch.objects) == set(objects_made(RESPONSE))
    message = StreamWatch(M)
    message.feed(events({"type": "message_start", "message": {"id": "msg_1", "role": "assistant"}}))
    delta = {"stop_reason": "end_turn", "container": {"id": "container_1"}}
    message.feed(events({"type": "message_delta", "delta": delta}))
    assert message.objects == ["container_1"]
    chat = StreamWatch(C)
    chat.feed(events({"object": "response", "id": "resp_1", "choices": []}))
    assert chat.objects == []
