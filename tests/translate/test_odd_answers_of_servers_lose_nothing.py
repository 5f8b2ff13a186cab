"""Answers as servers give them that follow the dialects loosely, collected from reports about other
translators: what they say arrives, and what was cut short is told so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from holdfast.core.identity import Dialect
from holdfast.translate.caps import Caps
from holdfast.translate.envelope import Sealer
from holdfast.translate.exchange import CallerRequest, Destination, Translation
from tables import rows

Wire = dict[str, Any]
CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES


def _asked(caller: Dialect, endpoint: Dialect, **members: Any) -> Translation:
    """Return a request of a caller's, for an endpoint of another dialect."""
    says = {"input": "hi"} if caller is RESPONSES else {"messages": [{"role": "user", "content": "hi"}]}
    body = {"model": "m", "max_tokens": 99, "stream": True, **says, **members}
    if caller is CHAT:
        body["stream_options"] = {"include_usage": True}
    request = CallerRequest(caller, body, Sealer(b"k" * 32), seed="seed", now=1.7e9)
    return request.to(Destination(endpoint, "https://api.example", "m", Caps()))


def _streamed(caller: Dialect, endpoint: Dialect, events: Sequence[Wire]) -> list[Wire]:
    """Return what a caller gets for a stream."""
    stream = _asked(caller, endpoint).stream()
    return [piece for event in events for piece in stream.feed(event)] + stream.end()


def _chat(finish: str | None = None, **members: Any) -> Wire:
    return {"id": "c", "choices": [{"index": 0, "finish_reason": finish, **members}]}


def _called(*pieces: Wire) -> list[Wire]:
    """Return a stream of chat that is one call in pieces."""
    return [*(_chat(delta={"tool_calls": [piece]}) for piece in pieces), _chat("tool_calls", delta={})]


def _said(events: Sequence[Wire]) -> str:
    """Return the text of a stream of Messages."""
    return "".join(event.get("delta", {}).get("text", "") for event in events)


def _call(events: Sequence[Wire]) -> tuple[str, str]:
    """Return the name and the arguments of the calls in a stream of Messages."""
    name = "".join(event.get("content_block", {}).get("name", "") for event in events)
    return name, "".join(event.get("delta", {}).get("partial_json", "") for event in events)


def _counts(events: Sequence[Wire]) -> Wire:
    """Return the usage of a stream of chat."""
    usage: Wire = next(event["usage"] for event in events if event.get("usage"))
    return usage


WHOLE = _chat("stop", message={"role": "assistant", "content": "hi"})
MESSAGES_OF_CHAT = {
    "in place of a piece": [WHOLE],
    "after the pieces": [_chat(delta={"content": "hi"}), WHOLE],
    "beside the pieces": [_chat(delta={"content": "hi"}, message={"content": "hi"}), _chat("stop", delta={})],
}


@rows("events", MESSAGES_OF_CHAT.values(), ids=[*MESSAGES_OF_CHAT])
def test_a_whole_message_in_a_stream_is_said_once(events: list[Wire]) -> None:
    assert _said(_streamed(MESSAGES, CHAT, events)) == "hi"


def test_a_piece_in_a_whole_answer_is_said() -> None:
    answer = _asked(MESSAGES, CHAT, stream=False).whole(_chat("stop", delta={"content": "hi"}))
    assert answer["content"] == [{"type": "text", "text": "hi", "citations": None}]


def _piece(args: str, **members: Any) -> Wire:
    return {"index": 0, **members, "function": {"name": "find", "arguments": args}}


CALLS = {
    "the name in each piece": (_called(_piece("", id="a"), _piece('{"x"'), _piece(":1}")), '{"x":1}'),
    "the id and the name too": (_called(_piece("", id="a"), _piece('{"x":1}', id="a")), '{"x":1}'),
    "arguments that are null": (_called(_piece("null", id="a")), "{}"),
    "null before the arguments": (_called(_piece("null", id="a"), _piece('{"x":1}')), '{"x":1}'),
}


@rows(("events", "args"), CALLS.values(), ids=[*CALLS])
def test_a_call_has_its_name_once_and_its_arguments(events: list[Wire], args: str) -> None:
    assert _call(_streamed(MESSAGES, CHAT, events)) == ("find", args)


def test_a_call_of_the_history_whose_arguments_are_null_has_none() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "find", "arguments": "null"}}
    history = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "found"},
    ]
    written = _asked(CHAT, MESSAGES, messages=history).body["messages"][1]["content"]
    assert written == [{"type": "tool_use", "id": "a", "name": "find", "input": {}}]


def test_zeros_at_the_end_of_chat_replace_no_count() -> None:
    first = {**_chat("stop", delta={"content": "hi"}), "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
    last = {"id": "c", "choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}}
    ended = _streamed(MESSAGES, CHAT, [first, last])[-2]
    assert (ended["usage"]["input_tokens"], ended["usage"]["output_tokens"]) == (9, 2)


def _message(start: Wire, end: Wire) -> list[Wire]:
    """Return a stream of Messages with the counts of its start and its end."""
    return [
        {"type": "message_start", "message": {"id": "m", "usage": start}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "hi"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": end},
        {"type": "message_stop"},
    ]


START = {"input_tokens": 7, "cache_read_input_tokens": 2, "output_tokens": 1}
ENDS: dict[str, tuple[Wire, Wire]] = {
    "zeros": (START, {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 5}),
    "output only": (START, {"output_tokens": 5}),
    "the counts of the start were zeros": (
        {"input_tokens": 0, "output_tokens": 0},
        {"input_tokens": 7, "cache_read_input_tokens": 2, "output_tokens": 5},
    ),
    "all of it came from the cache": (
        {"input_tokens": 9, "output_tokens": 1},
        {"input_tokens": 0, "cache_read_input_tokens": 9, "output_tokens": 5},
    ),
}


@rows(("start", "end"), ENDS.values(), ids=[*ENDS])
def test_the_input_that_messages_told_is_counted_once(start: Wire, end: Wire) -> None:
    usage = _counts(_streamed(CHAT, MESSAGES, _message(start, end)))
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (9, 5)


def _response(kind: str, status: str, **members: Any) -> list[Wire]:
    """Return a stream of Responses that says something and ends with an event and a status."""
    text = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "hi"}
    response = {"id": "r", "status": status, "output": [], **members}
    return [{"type": "response.created", "response": {"id": "r"}}, text, {"type": kind, "response": response}]


LONG = {"incomplete_details": {"reason": "max_output_tokens"}}
FINISHES: dict[str, tuple[list[Wire], str | None]] = {
    "completed": (_response("response.completed", "completed"), "stop"),
    "completed, but under way": (_response("response.completed", "in_progress"), "stop"),
    "completed, but incomplete": (_response("response.completed", "incomplete", **LONG), "length"),
    "completed, but incomplete without a reason": (_response("response.completed", "incomplete"), None),
    "completed, but failed": (_response("response.completed", "failed"), None),
    "completed, but cancelled": (_response("response.completed", "cancelled"), None),
    "done": (_response("response.done", "completed"), "stop"),
    "done, but incomplete": (_response("response.done", "incomplete", **LONG), "length"),
    "done, but failed": (_response("response.done", "failed"), None),
}


@rows(("events", "finish"), FINISHES.values(), ids=[*FINISHES])
def test_the_status_of_a_response_tells_how_it_ended(events: list[Wire], finish: str | None) -> None:
    written = _streamed(CHAT, RESPONSES, events)
    reasons = [piece["choices"][0]["finish_reason"] for piece in written if piece.get("choices")]
    assert (reasons[-1], "error" in written[-1]) == (finish, finish is None)
