"""Whole answers of chat endpoints, in the dialects of the callers; and answers of any shape."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.translate.caps import Caps
from holdfast.translate.envelope import is_sealed
from holdfast.translate.events import Answer, BrokenOff, Event, Stop, Usage, Why, fold, replay
from holdfast.translate.form import Call, File, Refusal, Role, Text, Thinking, Turn
from holdfast.translate.from_chat import ChatReader
from holdfast.translate.losses import Losses, Untranslatable
from holdfast.translate.to_messages import MessagesWriter
from holdfast.translate.to_responses import ResponsesWriter
from tables import rows
from translate.stream_folds import FOLDS
from translate.stream_lint import LINTS
from translate.stream_scripts import script
from translate.streams import MARK, WRITERS, called, caller_of, chunk, read, write

Wire = dict[str, Any]
FUNCTION = {"name": "get_w", "arguments": '{"x": 1.0}'}
BODY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_690_000_000,
    "model": "gpt-x",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {
                "role": "assistant",
                "reasoning_content": "T",
                "content": "X",
                "refusal": None,
                "tool_calls": [
                    {"id": "a", "type": "function", "function": FUNCTION},
                    {"id": "b", "type": "function", "function": {**FUNCTION, "arguments": "{}"}},
                ],
            },
        }
    ],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5},
}


def _read(body: Wire, caps: Caps | None = None) -> list[Event]:
    return ChatReader(caps or Caps(), MARK, "seed", Losses()).whole(body)


DIRECT = {"type": "direct"}


def test_a_whole_answer_reaches_a_caller_of_messages() -> None:
    message = MessagesWriter(caller_of()).whole(fold(_read(BODY)))
    signature = message["content"][0].pop("signature")
    assert is_sealed(signature)
    assert message == {
        "id": "msg_chatcmpl-1_seed",
        "type": "message",
        "role": "assistant",
        "model": "gpt-x",
        "content": [
            {"type": "thinking", "thinking": "T"},
            {"type": "text", "text": "X", "citations": None},
            {"type": "tool_use", "id": "a", "name": "get_w", "input": {"x": 1.0}, "caller": DIRECT},
            {"type": "tool_use", "id": "b", "name": "get_w", "input": {}, "caller": DIRECT},
        ],
        "container": None,
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": None,
            "output_tokens": 5,
            "output_tokens_details": None,
            "server_tool_use": None,
            "inference_geo": None,
            "service_tier": None,
        },
    }


def test_a_whole_answer_reaches_a_caller_of_responses() -> None:
    response = ResponsesWriter(caller_of()).whole(fold(_read(BODY)))
    assert (response["status"], response["completed_at"]) == ("completed", 1_700_000_000)
    kinds = [item["type"] for item in response["output"]]
    assert kinds == ["reasoning", "message", "function_call", "function_call"]
    assert [item.get("arguments") for item in response["output"][2:]] == ['{"x": 1.0}', "{}"]


def test_a_whole_answer_is_what_its_stream_comes_to() -> None:
    for seed in range(40):
        events = read(script(Random(seed)).chunks, caps=Caps(reasoning_back=True))
        answer = fold(events)
        assert fold(replay(answer)) == answer
        assert ResponsesWriter(caller_of()).whole(answer) == write(events, "responses")[-1]["response"]
        message = MessagesWriter(caller_of()).whole(answer)
        blocks = [("text", block["text"]) for block in message["content"] if block["type"] == "text"]
        assert blocks == [part for part in FOLDS["messages"](write(events, "messages")) if part[0] == "text"]


def test_the_text_and_the_calls_may_be_in_two_choices() -> None:
    choices = [
        {"finish_reason": "stop", "message": {"content": "X"}},
        {"finish_reason": "tool_calls", "message": {"tool_calls": [{"id": "a", "function": FUNCTION}]}},
    ]
    answer = fold(_read({"choices": choices}))
    assert [type(part) for part in answer.parts] == [Text, Call]
    assert answer.stop == Stop(Why.TOOLS)


def test_a_whole_answer_needs_no_reason() -> None:
    answer = fold(_read({"choices": [{"message": {"content": "X"}}]}))
    assert (answer.stop, answer.ended) == (Stop(Why.DONE), True)


def test_a_whole_answer_may_think_in_tags() -> None:
    body = {"choices": [{"message": {"content": "<think>T</think>X"}}]}
    assert fold(_read(body, Caps(think_tags=True))).parts == (Thinking("T"), Text("X"))
    assert fold(_read({"choices": [{"message": {"content": "<thi"}}]}, Caps(think_tags=True))).parts == (
        Text("<thi"),
    )


@rows("body", [{}, {"choices": []}, {"choices": 3}, {"error": {"message": "gone"}}])
def test_what_is_no_answer_is_an_error(body: Wire) -> None:
    answer = fold(_read(body))
    assert answer.broken is not None
    assert MessagesWriter(caller_of()).whole(answer)["type"] == "error"
    assert ResponsesWriter(caller_of()).whole(answer)["status"] == "failed"


def test_an_answer_without_an_end_is_an_error() -> None:
    for stop in (None, Stop(Why.FAILED, "melted")):
        answer = Answer(parts=(Text("X"),), stop=stop, ended=stop is not None)
        assert MessagesWriter(caller_of()).whole(answer)["type"] == "error"
        assert ResponsesWriter(caller_of()).whole(answer)["status"] == "failed"
        for dialect in ("messages", "responses"):
            ending = [] if answer.ended else [BrokenOff("gone")]
            assert LINTS[dialect](write([*replay(answer), *ending], dialect)) == ([], "error")


def test_arguments_that_are_no_object_are_refused_in_a_whole_message() -> None:
    call = Call("a", "get_w", "{x")
    with pytest.raises(Untranslatable, match="'get_w'"):
        MessagesWriter(caller_of()).whole(Answer(parts=(call,), stop=Stop(Why.TOOLS), ended=True))
    cut = MessagesWriter(caller_of()).whole(Answer(parts=(call,), stop=Stop(Why.LENGTH), ended=True))
    assert (cut["content"], cut["stop_reason"]) == ([], "max_tokens")


def test_arguments_that_are_no_object_stream_as_they_came() -> None:
    chunks = [called("{x", id="a", name="get_w"), chunk(finish="tool_calls")]
    assert FOLDS["messages"](write(read(chunks), "messages")) == [("call", "a", "get_w", "{x")]
    assert FOLDS["responses"](write(read(chunks), "responses")) == [("call", "a", "get_w", "{x")]
    search = [called("{x", id="a", name="find_tools"), chunk(finish="tool_calls")]
    assert write(read(search), "responses")[-1]["response"]["output"][0]["arguments"] == "{x"


def test_a_stop_sequence_is_named_in_messages() -> None:
    answer = Answer(
        parts=(Refusal("X"),), stop=Stop(Why.STOP_SEQUENCE, "END"), ended=True, usage=Usage(1, 0, 0, 1)
    )
    message = MessagesWriter(caller_of()).whole(answer)
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")
    assert ResponsesWriter(caller_of()).whole(answer)["status"] == "completed"


def test_a_part_of_another_kind_is_replayed_as_it_is() -> None:
    answer = Answer(parts=(File(name="f"),), broken=BrokenOff("gone"))
    assert fold(replay(answer)) == answer


KEYS = st.sampled_from(
    "id model created object error message code type choices index delta content refusal reasoning "
    "reasoning_content reasoning_details tool_calls function name arguments text thinking finish_reason "
    "usage prompt_tokens prompt_tokens_details cached_tokens extra_content google thought_signature".split()
)
WORDS = st.sampled_from(
    ["", "stop", "error", "text", "thinking", "reasoning.text", "{}", '{"a":1}', "a", "length"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
DELTAS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("content", "refusal", "reasoning", "reasoning_details", "tool_calls"), JSON)
)
PIECES = st.fixed_dictionaries(
    {}, optional={"index": JSON, "id": JSON, "function": JSON, "extra_content": JSON}
)
CALLS = st.fixed_dictionaries({"tool_calls": st.lists(PIECES, max_size=3)})
CHOICES = st.fixed_dictionaries({"delta": DELTAS | CALLS}, optional={"finish_reason": JSON, "index": JSON})
CHUNKS = (
    st.fixed_dictionaries({"choices": st.lists(CHOICES | JSON, max_size=2)}, optional={"usage": JSON}) | JSON
)


@given(chunks=st.lists(CHUNKS, max_size=5), tags=st.booleans())
def test_any_stream_of_json_is_read_and_written(chunks: list[Any], *, tags: bool) -> None:
    events = read([chunk({"content": "X"}), *chunks, chunk(finish="stop")], caps=Caps(think_tags=tags))
    for dialect in WRITERS:
        wrong, end = LINTS[dialect](write(events, dialect))
        assert wrong == []
        assert end in ("whole", "cut", "error")


@given(body=JSON | st.fixed_dictionaries({"choices": st.lists(JSON)}))
def test_any_whole_json_is_read(body: Any) -> None:
    if not isinstance(body, dict):
        body = {"choices": [{"message": body}]}
    answer = fold(_read(body))
    assert answer.ended or answer.broken is not None
    json.dumps(ResponsesWriter(caller_of()).whole(answer))


def test_a_call_to_a_caller_of_messages_has_an_id_that_the_history_has_not() -> None:
    caller = caller_of()
    turn = Turn(Role.ASSISTANT, (Call("a", "get_w", "{}"),))
    again = replace(caller, request=replace(caller.request, turns=(turn,)))
    first, second = (
        [
            block["id"]
            for block in MessagesWriter(each).whole(fold(_read(BODY)))["content"]
            if "input" in block
        ]
        for each in (caller, again)
    )
    assert first == ["a", "b"]
    assert second[0] not in ("a", "b")
    assert second[1] == "b"
