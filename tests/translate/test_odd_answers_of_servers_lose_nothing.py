"""Answers as servers give them that follow the dialects loosely, collected from reports about other
translators: what they say arrives, and what was cut short is told so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tables import rows
from translate.odd_answers import CHAT, MESSAGES, Wire, asked, streamed


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
    assert _said(streamed(MESSAGES, CHAT, events)) == "hi"


def test_a_piece_in_a_whole_answer_is_said() -> None:
    answer = asked(MESSAGES, CHAT, stream=False).whole(_chat("stop", delta={"content": "hi"}))
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
    assert _call(streamed(MESSAGES, CHAT, events)) == ("find", args)


def _of(name: str, args: Any, number: int = 0, **members: Any) -> Wire:
    return {"index": number, **members, "function": {"name": name, "arguments": args}}


def _more(args: str, **members: Any) -> Wire:
    return {**members, "function": {"arguments": args}}


TWO = {
    "one index, no ids, no arguments": [_of("a", "{}"), _of("b", "{}")],
    "one index, no ids, the name before the arguments": [
        *(_of("a", ""), _more('{"x":1}', index=0), _of("b", ""), _more("{}", index=0)),
    ],
    "one index, the ids in each piece": [
        *(_of("a", "", id="A"), _of("b", "", id="B")),
        *(_more('{"x"', index=0, id="A"), _more("{}", index=0, id="B"), _more(":1}", index=0, id="A")),
    ],
    "no index, the ids in each piece": [
        *(_of("a", "", None, id="A"), _of("b", "", None, id="B")),
        *(_more('{"x":1}', id="A"), _more("{}", id="B")),
    ],
}


@rows("pieces", TWO.values(), ids=[*TWO])
def test_two_calls_keep_their_arguments_apart(pieces: list[Wire]) -> None:
    calls: dict[str, str] = {}
    for event in streamed(MESSAGES, CHAT, _called(*pieces)):
        name = event.get("content_block", {}).get("name")
        if name:
            calls[name] = ""
        if calls:
            calls[[*calls][-1]] += event.get("delta", {}).get("partial_json", "")
    assert calls.keys() == {"a", "b"}
    assert calls["b"] == "{}"
    assert calls["a"] == ("{}" if pieces == TWO["one index, no ids, no arguments"] else '{"x":1}')


IN_TURN = {
    "whole objects one after another": [_of("a", ""), _more('{"x":1}', index=0), _more('{"x":2}', index=0)],
    "in one piece": [_of("a", '{"x":1}{"x":2}', id="A")],
    "across a piece": [_of("a", '{"x":', id="A"), _more('1}{"x"', index=0), _more(":2}", index=0)],
    "the name before each": [_of("a", ""), _of("a", '{"x":1}'), _of("a", ""), _of("a", '{"x":2}')],
    "the name in each": [_of("a", '{"x"'), _of("a", ":1}"), _of("a", '{"x"'), _of("a", ":2}")],
}


@rows("pieces", IN_TURN.values(), ids=[*IN_TURN])
def test_two_calls_of_one_tool_are_two(pieces: list[Wire]) -> None:
    events = streamed(MESSAGES, CHAT, _called(*pieces))
    assert _call(events) == ("aa", '{"x":1}{"x":2}')
    assert len({event["content_block"]["id"] for event in events if "content_block" in event}) == 2


ONCE = {
    "its arguments twice": [_of("find", '{"x":"}{"}{"x":"}{"}', id="A")],
    "all of it again": [_of("find", '{"x":', id="A"), _more('"}{"}', index=0), _more('{"x":"}{"}', index=0)],
    "all of it again, with its name": [_of("find", "", id="A"), *[_of("find", '{"x":"}{"}', id="A")] * 2],
    "an empty object before": [_of("find", '{}{"x":"}{"}', id="A")],
    "without a function": [{"index": 0, "id": "A", "name": "find", "arguments": '{"x":"}{"}'}],
    "by the name parameters": [{"id": "A", "function": {"name": "find", "parameters": '{"x":"}{"}'}}],
}


@rows("pieces", ONCE.values(), ids=[*ONCE])
def test_one_call_is_one_however_it_is_said(pieces: list[Wire]) -> None:
    assert _call(streamed(MESSAGES, CHAT, _called(*pieces))) == ("find", '{"x":"}{"}')


def test_a_call_in_the_new_and_in_the_old_member_is_one() -> None:
    call = {"name": "find", "arguments": '{"x":1}'}
    delta = {"tool_calls": [{"index": 0, "id": "A", "function": call}], "function_call": call}
    assert _call(streamed(MESSAGES, CHAT, [_chat("stop", delta=delta)])) == ("find", '{"x":1}')


REASONS: dict[str, tuple[str, str]] = {
    "eos_token": ("end_turn", "hi"),
    "tool_call": ("end_turn", "hi"),
    "max_new_tokens": ("max_tokens", "hi"),
    "content_filter: RECITATION": ("refusal", "hi"),
}


@rows(("reason", "ends"), REASONS.items())
def test_a_reason_of_one_server_is_understood(reason: str, ends: tuple[str, str]) -> None:
    events = streamed(MESSAGES, CHAT, [_chat("null", delta={"content": "hi"}), _chat(reason, delta={})])
    assert (events[-2]["delta"]["stop_reason"], _said(events)) == ends


def test_an_error_in_a_choice_is_no_success_whatever_follows() -> None:
    error = {"code": 502, "message": "boom"}
    events = streamed(MESSAGES, CHAT, [_chat(delta={}, error=error), _chat("stop", delta={"content": "hi"})])
    assert events[-1]["error"]["message"] == "boom"


REPORTS: dict[str, Wire] = {
    "an error that is a text": {"error": "boom"},
    "MiniMax": {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "boom"}},
    "MiniMax, beside the end": {
        **_chat("stop", delta={"content": "ho"}),
        "base_resp": {"status_code": 1027, "status_msg": "boom"},
    },
    "Groq": {**_chat(delta={}), "x_groq": {"error": "boom"}},
    "a code and a message": {"code": "1301", "msg": "boom", "data": None},
    "Dashscope": {"code": "Throttling", "message": "boom", "request_id": "r"},
    "a status": {"status": 503, "message": "boom"},
    "a number and words": {"error_code": 336003, "error_msg": "boom"},
    "a detail": {"detail": "boom"},
    "a list": {"errors": [{"code": 1, "message": "boom"}], "choices": []},
    "no success": {"success": False, "message": "boom"},
    "llama.cpp": {"code": 500, "message": "boom", "type": "server_error"},
}


@rows("report", REPORTS.values(), ids=[*REPORTS])
def test_a_report_in_a_stream_is_no_success_although_the_answer_had_an_end(report: Wire) -> None:
    written = streamed(MESSAGES, CHAT, [_chat("stop", delta={"content": "hi"}), report])
    assert written[-1]["error"]["message"] == "boom"


HARMLESS: dict[str, Wire] = {
    "MiniMax": {"choices": [], "base_resp": {"status_code": 0, "status_msg": ""}},
    "filters": {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
    "Groq": {**_chat(delta={}), "x_groq": {"id": "r", "usage": {}}},
    "a status": {"status": "processing", "message": "wait"},
    "a good code": {"code": 0, "message": "ok"},
    "vLLM": _chat(delta={}, stop_reason=None, token_ids=None),
}


@rows("event", HARMLESS.values(), ids=[*HARMLESS])
def test_what_servers_add_to_a_good_stream_does_no_harm(event: Wire) -> None:
    written = streamed(MESSAGES, CHAT, [event, _chat("stop", delta={"content": "hi"}), event])
    assert (_said(written), written[-1]["type"]) == ("hi", "message_stop")


SINGLE: dict[str, tuple[Wire, str]] = {
    "content": ({"content": {"type": "text", "text": "hi"}}, "hi"),
    "a list of texts": ({"content": ["h", {"text": "i"}]}, "hi"),
    "a wrapped text": ({"content": [{"type": "text", "text": {"value": "hi"}}]}, "hi"),
    "a part that refuses": ({"content": [{"type": "refusal", "refusal": "hi"}]}, "hi"),
    "a part that thinks": ({"content": [{"type": "thinking", "thinking": [{"text": "hi"}]}]}, "hi"),
    "a refusal in an object": ({"refusal": {"content": "hi"}}, "hi"),
    "reasoning_text": ({"reasoning_text": "hi"}, "hi"),
    "reasoning in an object": ({"reasoning": {"content": "hi"}}, "hi"),
    "reasoning in a list": ({"reasoning": [{"type": "summary_text", "text": "hi"}]}, "hi"),
    "one detail": ({"reasoning_details": {"type": "reasoning.text", "text": "hi"}}, "hi"),
    "blocks": ({"thinking_blocks": [{"type": "thinking", "thinking": "hi"}]}, "hi"),
    "blocks and the text": ({"reasoning_content": "hi", "thinking_blocks": [{"thinking": "hi"}]}, "hi"),
    "tool_calls": ({"tool_calls": _of("find", {"hi": 1}, id="a")}, '{"hi": 1}'),
}


@rows(("delta", "text"), SINGLE.values(), ids=[*SINGLE])
def test_what_comes_in_an_unusual_member_arrives(delta: Wire, text: str) -> None:
    deltas = [event.get("delta", {}) for event in streamed(MESSAGES, CHAT, [_chat("stop", delta=delta)])]
    names = ("text", "thinking", "partial_json")
    assert "".join(delta.get(name, "") for delta in deltas for name in names) == text


PLACES: dict[str, Wire] = {
    "the text of a completion": _chat("stop", text="hi"),
    "a piece that is a text": _chat("stop", delta="hi"),
    "a choice without a list": {"choices": {"delta": {"content": "hi"}, "finish_reason": "stop"}},
}


@rows("event", PLACES.values(), ids=[*PLACES])
def test_a_text_in_an_unusual_place_arrives(event: Wire) -> None:
    assert _said(streamed(MESSAGES, CHAT, [event])) == "hi"


LOST: dict[str, tuple[Wire, str]] = {
    "an unknown member": ({"video": {"url": "x"}}, "unknown_member"),
    "reasoning without words": ({"reasoning": {"effort": 3}}, "unknown_member"),
    "a signature": ({"thinking_blocks": [{"thinking": "so", "signature": "s"}]}, "reasoning_not_returned"),
    "a redacted thought": (
        {"content": [{"type": "redacted_thinking", "data": "x"}]},
        "reasoning_not_returned",
    ),
    "annotations": ({"annotations": [{"type": "url_citation"}]}, "citations"),
}


@rows(("delta", "name"), LOST.values(), ids=[*LOST])
def test_what_a_stream_says_and_nobody_carries_is_told_as_lost(delta: Wire, name: str) -> None:
    request = asked(MESSAGES, CHAT)
    stream = request.stream()
    for event in (_chat(delta=delta), _chat("stop", delta={"content": "hi"})):
        stream.feed(event)
    stream.end()
    assert (stream.whole, name in request.less) == (True, True)


def test_what_was_read_from_the_cache_has_the_name_of_messages_too() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "cache_read_input_tokens": 4}
    ended = streamed(MESSAGES, CHAT, [{**_chat("stop", delta={"content": "hi"}), "usage": usage}])[-2]
    assert (ended["usage"]["input_tokens"], ended["usage"]["cache_read_input_tokens"]) == (5, 4)


def test_a_call_of_the_history_whose_arguments_are_null_has_none() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "find", "arguments": "null"}}
    history = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "found"},
    ]
    written = asked(CHAT, MESSAGES, messages=history).body["messages"][1]["content"]
    assert written == [{"type": "tool_use", "id": "a", "name": "find", "input": {}}]


def test_zeros_at_the_end_of_chat_replace_no_count() -> None:
    first = {**_chat("stop", delta={"content": "hi"}), "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
    last = {"id": "c", "choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}}
    ended = streamed(MESSAGES, CHAT, [first, last])[-2]
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
    usage = _counts(streamed(CHAT, MESSAGES, _message(start, end)))
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (9, 5)


def test_a_piece_of_arguments_that_is_an_object_arrives() -> None:
    block = {"type": "tool_use", "id": "a", "name": "find", "input": {}}
    piece = {"type": "input_json_delta", "partial_json": {"x": 1}}
    events = [
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": piece},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]
    pieces = [choice["delta"] for event in streamed(CHAT, MESSAGES, events) for choice in event["choices"]]
    calls = [call for delta in pieces for call in delta.get("tool_calls") or ()]
    assert "".join(call["function"].get("arguments") or "" for call in calls) == '{"x": 1}'
