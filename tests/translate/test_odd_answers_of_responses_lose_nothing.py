"""Answers of Responses as servers give them that follow the dialect loosely, collected from reports about
other translators: what they say arrives once, and what was cut short is told so."""

from __future__ import annotations

from typing import Any

from tables import rows
from translate.odd_answers import CHAT, RESPONSES, Wire, streamed


def _response(kind: str, status: str, **members: Any) -> list[Wire]:
    """Return a stream of Responses that says something and ends with an event and a status."""
    text = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "hi"}
    response = {"id": "r", "status": status, "output": [], **members}
    return [{"type": "response.created", "response": {"id": "r"}}, text, {"type": kind, "response": response}]


def _item(kind: str, **members: Any) -> Wire:
    return {"type": f"response.{kind}", **members}


def _message_item(text: Any, given: str) -> Wire:
    return {"type": "message", "id": given, "content": text}


def _text(text: str) -> list[Wire]:
    return [{"type": "output_text", "text": text}]


def _call_item(args: Any, given: str, name: str = "find") -> Wire:
    return {"type": "function_call", "id": given, "call_id": name, "name": name, "arguments": args}


def _thought(given: str) -> Wire:
    return {"type": "reasoning", "id": given, "summary": [{"type": "summary_text", "text": "so"}]}


def _whole(item: Wire, added: int, done: int, *deltas: Wire) -> list[Wire]:
    """Return the events of an item that begins at one index and ends at another, under one id."""
    begins = {"type": item["type"], "id": item["id"]}
    begins |= {name: item[name] for name in ("name", "call_id") if name in item}
    added_, done_ = ("output_item.added", "output_item.done")
    events = [_item(added_, output_index=added, item=begins), *deltas]
    return [*events, _item(done_, output_index=done, item=item)]


def _hi(index: int) -> Wire:
    return _item("output_text.delta", output_index=index, content_index=0, delta="hi")


def _so(index: int) -> Wire:
    return _item("reasoning_summary_text.delta", output_index=index, summary_index=0, delta="so")


def _list(*items: Wire) -> Wire:
    return _item("completed", response={"id": "r", "status": "completed", "output": list(items)})


def _lone(*items: Wire) -> list[Wire]:
    """Return the beginnings and the pieces of calls that have no index but the id of their item."""
    begun = [_item("output_item.added", item={**item, "arguments": ""}) for item in items]
    pieces = [("function_call_arguments.delta", item) for item in items]
    return [*begun, *(_item(kind, item_id=item["id"], delta=item["arguments"]) for kind, item in pieces)]


HI, CALL, NO_CALL = _text("hi"), '{"x":1}', list[tuple[str, str]]()
FIND = [("find", CALL)]
Heard = tuple[str, str, list[tuple[str, str]]]
LISTS: dict[str, tuple[list[Wire], Heard]] = {
    "other ids at other places": (
        [*_whole(_message_item(HI, "a"), 1, 1, _hi(1)), _list(_message_item(HI, "b"))],
        ("hi", "", NO_CALL),
    ),
    "no ids at other places, and no end": ([_hi(1), _list(_message_item(HI, ""))], ("hi", "", NO_CALL)),
    "one index for all, and other ids": (
        [
            *_whole(_thought("a"), 0, 0, _so(0)),
            *_whole(_message_item(HI, "b"), 0, 0, _hi(0)),
            *_whole(_call_item(CALL, "c"), 0, 0),
            _list(_thought("d"), _message_item(HI, "e"), _call_item(CALL, "f")),
        ],
        ("hi", "so", FIND),
    ),
    "the call at another place, and no end": (
        [*_whole(_call_item(CALL, "a"), 0, 0)[:1], _list(_message_item(HI, "b"), _call_item(CALL, "c"))],
        ("hi", "", FIND),
    ),
    "each item ends one place later": (
        [
            *_whole(_thought("a"), 0, 1, _so(0)),
            *_whole(_message_item(HI, "b"), 1, 2, _hi(1)),
            _list(_thought("a"), _message_item(HI, "b")),
        ],
        ("hi", "so", NO_CALL),
    ),
    "the same words twice": (
        [
            *_whole(_message_item(HI, "a"), 0, 0, _hi(0)),
            _list(_message_item(HI, "b"), _message_item(HI, "c")),
        ],
        ("hihi", "", NO_CALL),
    ),
    "the same words in two messages that no stream brought": (
        [_list(_message_item(HI, "a"), _message_item(_text("-"), "b"), _message_item(HI, "c"))],
        ("hi-hi", "", NO_CALL),
    ),
    "the same words in a message that was open and in another": (
        [_hi(0), _list(_message_item(HI, "a"), _message_item(HI, "b"))],
        ("hihi", "", NO_CALL),
    ),
    "another message at the place of one that is listed elsewhere": (
        [
            *_whole(_message_item(HI, "a"), 1, 1, _hi(1)),
            _list(_message_item(HI, "b"), _message_item(_text("ho"), "c")),
        ],
        ("hiho", "", NO_CALL),
    ),
    "the same thought twice, of which no stream brought one": (
        [_list(_thought("a"), _message_item(HI, "b"), _thought("c"))],
        ("hi", "soso", NO_CALL),
    ),
    "a message where a thought without words was": (
        [*_whole({"type": "reasoning", "id": "a"}, 0, 0), _list(_message_item(HI, "b"))],
        ("hi", "", NO_CALL),
    ),
    "calls without an index, in turns": (
        [*_lone(_call_item(CALL, "a"), _call_item("{}", "b", "get")), _list()],
        ("", "", [*FIND, ("get", "{}")]),
    ),
    "texts that are objects": (
        [_item("output_text.delta", output_index=0, delta={"text": "hi"}), _list()],
        ("hi", "", NO_CALL),
    ),
    "last texts that are objects": (
        [_list(_message_item([{"type": "output_text", "text": {"value": "hi"}}], "a"))],
        ("hi", "", NO_CALL),
    ),
    "thoughts by an old name": (
        [_item("reasoning.delta", output_index=0, delta="so"), _list()],
        ("", "so", NO_CALL),
    ),
    "pieces of arguments that are objects": (
        [
            _item("output_item.added", output_index=0, item=_call_item("", "a")),
            _item("function_call_arguments.delta", output_index=0, delta={"x": 1}),
            _list(),
        ],
        ("", "", [("find", '{"x": 1}')]),
    ),
    "arguments that are an object": ([_list(_call_item({"x": 1}, "a"))], ("", "", [("find", '{"x": 1}')])),
    "a message that is a text": ([_list(_message_item("hi", "a"))], ("hi", "", NO_CALL)),
}


@rows(("events", "heard"), LISTS.values(), ids=[*LISTS])
def test_the_list_at_the_end_of_a_response_repeats_nothing(events: list[Wire], heard: Heard) -> None:
    written = streamed(CHAT, RESPONSES, events)
    deltas = [choice["delta"] for piece in written for choice in piece.get("choices", ())]
    text = "".join(delta.get("content") or "" for delta in deltas)
    thought = "".join(delta.get("reasoning_content") or "" for delta in deltas)
    calls: dict[int, list[str]] = {}
    for piece in (piece for delta in deltas for piece in delta.get("tool_calls") or ()):
        call = calls.setdefault(piece["index"], ["", ""])
        for number, name in enumerate(("name", "arguments")):
            call[number] += piece["function"].get(name) or ""
    assert (text, thought, [(name, args) for name, args in calls.values()]) == heard


LONG = {"incomplete_details": {"reason": "max_output_tokens"}}
FINISHES: dict[str, tuple[list[Wire], str | None]] = {
    "completed": (_response("response.completed", "completed"), "stop"),
    "completed, but under way": (_response("response.completed", "in_progress"), "stop"),
    "completed, but incomplete": (_response("response.completed", "incomplete", **LONG), "length"),
    "completed, with a reason to be incomplete": (
        *(_response("response.completed", "completed", **LONG), "length"),
    ),
    "completed, but incomplete without a reason": (_response("response.completed", "incomplete"), None),
    "completed, but failed": (_response("response.completed", "failed"), None),
    "completed, but cancelled": (_response("response.completed", "cancelled"), None),
    "done": (_response("response.done", "completed"), "stop"),
    "done, but incomplete": (_response("response.done", "incomplete", **LONG), "length"),
    "done, but failed": (_response("response.done", "failed"), None),
}


@rows(("events", "finish"), FINISHES.values(), ids=[*FINISHES])
def test_the_status_of_a_response_tells_how_it_ended(events: list[Wire], finish: str | None) -> None:
    written = streamed(CHAT, RESPONSES, events)
    reasons = [piece["choices"][0]["finish_reason"] for piece in written if piece.get("choices")]
    assert (reasons[-1], "error" in written[-1]) == (finish, finish is None)


REPORTS: dict[str, Wire] = {
    "a code and a message": {"code": "1301", "msg": "boom"},
    "in the last event": {**_list(), "base_resp": {"status_code": 1008, "status_msg": "boom"}},
    "an error of another kind": {"type": "invalid_request_error", "message": "boom"},
}


@rows("report", REPORTS.values(), ids=[*REPORTS])
def test_a_report_in_a_stream_is_no_success(report: Wire) -> None:
    assert streamed(CHAT, RESPONSES, [_hi(0), report, _list()])[-1]["error"]["message"] == "boom"
