"""What a model behind chat thought, on its way to the caller: readable, sealed, to come back unchanged."""

from __future__ import annotations

import json
from typing import Any

import pytest

from holdfast.core.identity import Dialect
from holdfast.translate import read_responses
from holdfast.translate.caps import Caps
from holdfast.translate.envelope import PREFIX, Sealer
from holdfast.translate.events import Close, Delta, End, Open, Sealed, Start, Stop, Stopped, Why, fold
from holdfast.translate.exchange import BrokenAnswer, CallerRequest, Destination, Translation
from holdfast.translate.form import Call, Opaque, Role, Seal, Thinking
from holdfast.translate.losses import Losses
from holdfast.translate.thoughts import Tags
from holdfast.translate.to_messages import MessagesWriter
from tables import rows
from translate.stream_lint import LINTS
from translate.streams import MARK, called, caller_of, chunk, read, write

Wire = dict[str, Any]
STOP = chunk(finish="stop")
BACK = Caps(reasoning_back=True)
PLAIN = Seal(Opaque.PLAIN, mark=MARK)
DETAILS = [{"type": "reasoning.text", "text": "T", "signature": "sig"}]
SIGNATURE = {"google": {"thought_signature": "s1g"}}


def _opened(sealed: str) -> Seal | None:
    return Sealer(b"key").open(sealed)


def _signed_call(**members: Any) -> Wire:
    data = called("{}", id="a", name="get_w")
    data["choices"][0]["delta"]["tool_calls"][0].update(members)
    return data


def test_a_plain_thought_leaves_its_text_readable_and_names_only_its_mark() -> None:
    out = write(read([chunk({"reasoning_content": "T"}), STOP], caps=BACK), "messages")
    deltas = [event["delta"] for event in out if event["type"] == "content_block_delta"]
    assert deltas[0] == {"type": "thinking_delta", "thinking": "T"}
    assert _opened(deltas[1]["signature"]) == PLAIN


def test_a_thought_is_always_signed_in_messages() -> None:
    out = write(read([chunk({"reasoning_content": "T"}), STOP]), "messages")
    assert _opened(out[3]["delta"]["signature"]) == PLAIN


def test_codex_is_given_a_seal_only_where_it_is_needed() -> None:
    """Without a seal a session can go on at OpenAI itself, which refuses values that it has not written."""
    chunks = [chunk({"reasoning_content": "T"}), STOP]
    (item,) = write(read(chunks), "responses")[-1]["response"]["output"]
    assert item["content"] == [{"type": "reasoning_text", "text": "T"}]
    assert "encrypted_content" not in item
    (item,) = write(read(chunks, caps=BACK), "responses")[-1]["response"]["output"]
    assert _opened(item["encrypted_content"]) == PLAIN


def test_a_summary_that_was_asked_for_is_one() -> None:
    out = write(read([chunk({"reasoning_content": "T"}), STOP]), "responses", caller_of(summed_up=True))
    kinds = [event["type"] for event in out if "reasoning" in event["type"]]
    assert kinds == [
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
    ]
    (item,) = out[-1]["response"]["output"]
    assert item["summary"] == [{"type": "summary_text", "text": "T"}]
    assert "content" not in item


def _details(chunks: list[list[Wire]]) -> tuple[str, Any]:
    """Return the text of a thought that is told in details, and the details that are to come back."""
    data = [chunk({"reasoning_details": details}) for details in chunks]
    (thought,) = fold(read([*data, STOP])).parts
    assert isinstance(thought, Thinking)
    assert thought.seal is not None
    assert (thought.seal.kind, thought.seal.mark) == (Opaque.DETAILS, MARK)
    return thought.text, thought.seal.value


def test_all_details_of_a_thought_come_back() -> None:
    text, value = _details(
        [
            [{"type": "reasoning.text", "text": "T1", "index": 0, "format": "f"}],
            [{"type": "reasoning.text", "text": "T2", "index": 0, "format": None}],
            [{"type": "reasoning.text", "signature": "sig", "index": 0}],
            [{"type": "reasoning.encrypted", "data": "E", "index": 1}],
        ]
    )
    assert text == "T1T2"
    assert value == [
        {"type": "reasoning.text", "text": "T1T2", "index": 0, "format": "f", "signature": "sig"},
        {"type": "reasoning.encrypted", "data": "E", "index": 1},
    ]


def test_a_thought_that_is_told_twice_is_read_once() -> None:
    details = [{"type": "reasoning.text", "text": "T"}]
    (thought,) = fold(read([chunk({"reasoning_details": details, "reasoning": "T"}), STOP])).parts
    assert thought == Thinking("T", Seal(Opaque.DETAILS, details, MARK))


def test_a_summary_among_the_details_is_readable() -> None:
    text, value = _details([[{"type": "reasoning.summary", "summary": "S", "index": 0}, "no object"]])
    assert (text, value) == ("S", [{"type": "reasoning.summary", "summary": "S", "index": 0}])


@rows("dialect", ["messages", "responses"])
def test_details_without_a_text_are_an_opaque_thought(dialect: str) -> None:
    details = [{"type": "reasoning.encrypted", "data": "E"}]
    out = write(read([chunk({"reasoning_details": details}), chunk({"content": "X"}), STOP]), dialect)
    assert LINTS[dialect](out) == ([], "whole")
    if dialect == "messages":
        sealed = out[1]["content_block"]["data"]
    else:
        sealed = out[2]["item"]["encrypted_content"]
    assert _opened(sealed) == Seal(Opaque.DETAILS, details, MARK)


def test_details_that_nothing_can_write_are_left_out() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    events = read([chunk({"reasoning_details": [{"type": "x", "data": deep}], "reasoning": "T"}), STOP])
    assert fold(events).parts == (Thinking("T"),)


@rows("dialect", ["messages", "responses"])
def test_the_signature_of_a_call_stands_before_it(dialect: str) -> None:
    out = write(read([_signed_call(extra_content=SIGNATURE), STOP]), dialect)
    assert LINTS[dialect](out) == ([], "whole")
    if dialect == "messages":
        assert [event["content_block"]["type"] for event in out if "content_block" in event] == [
            "redacted_thinking",
            "tool_use",
        ]
        sealed = out[1]["content_block"]["data"]
    else:
        assert [item["type"] for item in out[-1]["response"]["output"]] == ["reasoning", "function_call"]
        sealed = out[-1]["response"]["output"][0]["encrypted_content"]
    assert _opened(sealed) == Seal(Opaque.THOUGHT, SIGNATURE, MARK, "a")


@rows("dialect", ["messages", "responses"])
def test_a_signature_that_comes_late_stands_behind_its_call(dialect: str) -> None:
    late = called(index=0)
    late["choices"][0]["delta"]["tool_calls"][0]["extra_content"] = SIGNATURE
    late["choices"][0]["delta"]["tool_calls"][0]["id"] = "a"
    out = write(read([called('{"x":1}', id="a", name="get_w"), late, STOP]), dialect)
    assert LINTS[dialect](out) == ([], "whole")
    text = str(out)
    assert text.index("tool_use" if dialect == "messages" else "function_call") < text.index(PREFIX)


def _asked(dialect: Dialect, answer: Wire | None = None) -> Translation:
    """Return the request of a caller of a dialect, behind an answer if there is one, as a chat endpoint gets
    it."""
    body: Wire = {
        "model": "m",
        "tools": [{"type": "function", "name": "get_w", "parameters": {}}],
        "store": False,
    }
    body["input"] = [{"role": "user", "content": "hi"}]
    result: Wire = {"type": "function_call_output", "call_id": "a", "output": "ok"}
    member, spoken = "input", (answer or {}).get("output", [])
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        tool = {"name": "get_w", "input_schema": {"type": "object"}}
        body = {"model": "m", "max_tokens": 5, "tools": [tool], "messages": body["input"]}
        block = {"type": "tool_result", "tool_use_id": "a", "content": "ok"}
        result = {"role": "user", "content": [block]}
        member, spoken = "messages", [{"role": "assistant", "content": (answer or {}).get("content")}]
    if answer is not None:
        body[member] = [*body[member], *spoken, result]
    request = CallerRequest(dialect, body, Sealer(b"key"), seed="seed", now=1.0)
    return request.to(Destination(Dialect.OPENAI_CHAT, "https://gemini.example", "m", BACK))


@rows("dialect", [Dialect.ANTHROPIC_MESSAGES, Dialect.OPENAI_RESPONSES])
@rows("thought", [{"reasoning_content": "T"}, {"reasoning_details": DETAILS}])
def test_all_that_a_model_wants_back_comes_back(dialect: Dialect, thought: Wire) -> None:
    function = {"name": "get_w", "arguments": '{"x": 1.0}'}
    call = {"id": "a", "type": "function", "function": function, "extra_content": SIGNATURE}
    message = {"role": "assistant", "content": "X", "tool_calls": [call], **thought}
    body = {"choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}]}
    asked = _asked(dialect, _asked(dialect).whole(body))
    (returned,) = [turn for turn in asked.body["messages"] if turn["role"] == "assistant"]
    assert json.loads(returned["tool_calls"][0]["function"].pop("arguments")) == {"x": 1.0}
    del function["arguments"]
    assert returned == message


def test_the_signature_of_a_call_that_is_gone_is_told_as_lost() -> None:
    sealed = Sealer(b"key").seal(Seal(Opaque.THOUGHT, SIGNATURE, MARK, "gone"))
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": sealed}
    body = {"model": "m", "store": False, "input": [{"role": "user", "content": "hi"}, thought]}
    losses = Losses()
    request = read_responses.read(body, Sealer(b"key"), losses)
    assert [turn.role for turn in request.turns] == [Role.USER]
    assert losses.names == ("reasoning_not_returned",)


def test_arguments_that_messages_cannot_hold_break_the_answer() -> None:
    call = {"id": "a", "function": {"name": "get_w", "arguments": "{x"}}
    with pytest.raises(BrokenAnswer, match="'get_w'"):
        _asked(Dialect.ANTHROPIC_MESSAGES).whole({"choices": [{"message": {"tool_calls": [call]}}]})


def test_an_empty_signature_is_none() -> None:
    for extra in ({}, {"google": {}}, {"google": "x"}, {"other": {"thought_signature": "s"}}, "x", None):
        (call,) = fold(read([_signed_call(extra_content=extra), STOP])).parts
        assert isinstance(call, Call)
        assert call.seal is None


def test_an_opaque_thought_of_a_whole_answer_has_no_text() -> None:
    seal = Seal(Opaque.ENCRYPTED, "E", MARK)
    events = [Start("", ""), Open(0, Thinking()), Sealed(0, seal), Close(0), Stopped(Stop(Why.DONE)), End()]
    (block,) = MessagesWriter(caller_of()).whole(fold(events))["content"]
    assert block["type"] == "redacted_thinking"
    assert _opened(block["data"]) == seal


def test_a_thought_without_anything_is_none() -> None:
    events = [Start("", ""), Open(0, Thinking()), Sealed(0, PLAIN), Close(0), Stopped(Stop(Why.DONE)), End()]
    assert [event["type"] for event in write(events, "messages")] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]
    assert write(events, "responses")[-1]["response"]["output"] == []
    assert MessagesWriter(caller_of()).whole(fold(events))["content"] == []


def test_a_seal_of_a_thought_may_come_before_its_text() -> None:
    seal = Seal(Opaque.ENCRYPTED, "E", MARK)
    events = [Open(0, Thinking()), Sealed(0, seal), Delta(0, "T"), Close(0), Stopped(Stop(Why.DONE)), End()]
    out = write([Start("", ""), *events], "responses")
    assert _opened(out[-1]["response"]["output"][0]["encrypted_content"]) == seal


TAGGED = {
    "<think>T</think>X": [("Thinking", "T"), ("Text", "X")],
    "\n <think>T</think>\n\nX</think>": [("Thinking", "T"), ("Text", "\n\nX</think>")],
    "<think></think>X": [("Text", "X")],
    "<think>T": [("Thinking", "T")],
    "<think>a</thi<b</think>": [("Thinking", "a</thi<b")],
    "<thin": [("Text", "<thin")],
    " <b>X <think>": [("Text", " <b>X <think>")],
    "": [],
}


@rows("text", TAGGED)
@rows("length", [1, 2, 3, 7, 100])
def test_tags_part_a_text_however_it_comes(text: str, length: int) -> None:
    tags = Tags()
    parts: dict[str, str] = {}
    pieces = [text[at : at + length] for at in range(0, len(text), length)]
    for kind, piece in [pair for more in pieces for pair in tags.feed(more)] + tags.end():
        assert piece
        parts[kind.__name__] = parts.get(kind.__name__, "") + piece
    assert list(parts.items()) == TAGGED[text]
