"""What an answer of the Responses dialect becomes: parts, stop, usage; and what breaks it off."""

from __future__ import annotations

from typing import Any

from holdfast.core.faults import FaultClass
from holdfast.translate.caps import Caps
from holdfast.translate.events import BrokenOff, Close, Delta, End, Open, Stop, Usage, Why, fold
from holdfast.translate.form import Call, Opaque, Refusal, Seal, Text, Thinking, ToolKind
from tables import rows
from translate.wires import (
    MARK,
    Wire,
    answer,
    framed,
    item_of,
    item_stream,
    part_of,
    read,
    reader,
    response,
    response_stream,
)

CALL = ("call", "call_1", "get_w", '{"x": 1}')
OTHER = ("call", "call_2", "get_w", '{"x": 2}')
PARTS: dict[str, list[tuple[str, ...]]] = {
    "text": [("text", "hello")],
    "thought, text, call": [("thinking", "hm", "gAAA"), ("text", "so"), CALL],
    "parallel calls": [CALL, OTHER],
    "a refusal": [("refusal", "no")],
    "nothing": [],
}


@rows("name", PARTS)
def test_a_stream_becomes_what_the_whole_answer_becomes(name: str) -> None:
    parts = PARTS[name]
    body = response([item_of(index, part) for index, part in enumerate(parts)])
    wholly, streamed = fold(reader("responses").whole(body)), answer("responses", response_stream(parts))
    assert wholly == streamed
    assert wholly.parts == tuple(part_of("responses", index, part) for index, part in enumerate(parts))
    whys = {"text": Why.DONE, "nothing": Why.DONE, "a refusal": Why.REFUSED}
    assert wholly.stop == Stop(whys.get(name, Why.TOOLS))
    assert wholly.ended
    assert (wholly.id, wholly.model, wholly.created) == ("resp_1", "gpt", 55)


@rows("name", PARTS)
def test_it_does_not_matter_which_event_tells_the_content(name: str) -> None:
    parts = PARTS[name]
    expected = answer("responses", response_stream(parts)).parts
    streams = [list(item_stream(index, part)) for index, part in enumerate(parts)]
    without_pieces = [event for stream in streams for event in stream if not event["type"].endswith("delta")]
    only_done = [stream[-1] for stream in streams]
    assert answer("responses", framed(without_pieces, parts)).parts == expected
    assert answer("responses", framed(only_done, parts)).parts == expected
    assert answer("responses", framed([], parts)).parts == expected
    assert answer("responses", response_stream(parts, output=False)).parts == expected
    without_done = [event for stream in streams for event in stream[:-1]]
    assert answer("responses", framed(without_done, parts)).parts == expected


def test_interleaved_items_stay_apart() -> None:
    streams = [list(item_stream(index, part, list)) for index, part in enumerate([CALL, OTHER])]
    mixed = [event for both in zip(*streams, strict=True) for event in both]
    assert answer("responses", framed(mixed, [CALL, OTHER])).parts == (Call(*CALL[1:]), Call(*OTHER[1:]))


STOPS: list[tuple[Wire, Stop]] = [
    ({"status": "completed"}, Stop(Why.TOOLS)),
    ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, Stop(Why.LENGTH)),
    ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, Stop(Why.REFUSED)),
]


def test_why_an_answer_stopped_is_told() -> None:
    for members, stop in STOPS:
        body = response([item_of(0, CALL)], **members)
        assert answer("responses", response_stream([CALL], **members)).stop == stop, members
        assert fold(reader("responses").whole(body)).stop == stop, members
    without = {name: value for name, value in response([]).items() if name != "status"}
    assert fold(reader("responses").whole(without)).stop == Stop(Why.DONE)


def test_counts_are_read_and_what_is_no_count_is_not_told() -> None:
    usage = {
        "input_tokens": 125,
        "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 20},
        "output_tokens": 9,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 134,
    }
    assert answer("responses", response_stream([], usage=usage)).usage == Usage(125, 100, 20, 9, 4)
    odd = {"input_tokens": "7", "input_tokens_details": [], "output_tokens": 3}
    assert answer("responses", response_stream([], usage=odd)).usage == Usage(output=3)
    assert answer("responses", response_stream([], usage=None)).usage == Usage()


def _added(index: int, item: Wire) -> Wire:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def _done(index: int, item: Wire) -> Wire:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def _piece(kind: str, text: Any, **members: Any) -> Wire:
    return {"type": f"response.{kind}.delta", "output_index": 0, "delta": text, **members}


FREE = {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "*** Begin"}
NAMED = {"type": "function_call", "call_id": "c", "name": "get_w"}
REASONING = {"type": "reasoning", "id": "rs_1"}
READ: dict[str, tuple[list[Wire], tuple[Any, ...]]] = {
    "a free tool": (
        [_added(0, FREE | {"input": ""}), _piece("custom_tool_call_input", "*** Begin"), _done(0, FREE)],
        (Call("c", "apply_patch", "*** Begin", ToolKind.FREE),),
    ),
    "a free tool without a text": (
        [_added(0, FREE | {"input": ""}), _done(0, FREE | {"input": ""})],
        (Call("c", "apply_patch", "", ToolKind.FREE),),
    ),
    "a name that comes at the end": (
        [_added(0, {"type": "function_call"}), _done(0, NAMED | {"arguments": '{"x":1}'})],
        (Call("c", "get_w", '{"x":1}'),),
    ),
    "a call without arguments": (
        [
            _added(0, NAMED),
            {"type": "response.function_call_arguments.done", "output_index": 0},
            _done(0, NAMED),
        ],
        (Call("c", "get_w", "{}"),),
    ),
    "a call with the id of the item only": (
        [_done(0, {"type": "function_call", "id": "fc_1", "name": "get_w", "arguments": "{}"})],
        (Call("fc_1", "get_w", "{}"),),
    ),
    "a summary of two parts": (
        [
            _piece("reasoning_summary_text", "first", summary_index=0),
            _piece("reasoning_summary_text", "sec", summary_index=1),
            _piece("reasoning_summary_text", "ond", summary_index=1),
            _done(
                0, REASONING | {"summary": [{"text": "first"}, {"text": "second"}], "encrypted_content": "gA"}
            ),
        ],
        (Thinking("first\n\nsecond", Seal(Opaque.ENCRYPTED, "gA", MARK, "rs_1")),),
    ),
    "thoughts beside their summary": (
        [
            _piece("reasoning_text", "raw", content_index=0),
            _piece("reasoning_summary_text", "short", summary_index=0),
            _done(0, REASONING | {"summary": [{"text": "short"}], "content": [{"text": "raw"}]}),
        ],
        (Thinking("raw", Seal(Opaque.PLAIN, "", MARK)),),
    ),
    "thoughts that the last word leaves out": (
        [_piece("reasoning_text", "raw"), _done(0, REASONING)],
        (Thinking("raw", Seal(Opaque.PLAIN, "", MARK)),),
    ),
    "only an opaque thought": (
        [_added(0, REASONING), _done(0, REASONING | {"summary": [], "encrypted_content": "gA"})],
        (Thinking("", Seal(Opaque.ENCRYPTED, "gA", MARK, "rs_1")),),
    ),
    "a thought of which nothing is told": ([_added(0, REASONING), _done(0, REASONING | {"summary": []})], ()),
    "text without an item": (
        [_piece("output_text", "x"), _piece("output_text", ""), _piece("output_text", 7)],
        (Text("x"),),
    ),
    "text and refusal in one message": (
        [_piece("output_text", "x"), _piece("refusal", "no", content_index=1)],
        (Text("x"), Refusal("no")),
    ),
    "the last word on the arguments of no call": (
        [{"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{}"}],
        (),
    ),
    "an item that is told twice": (
        [_done(0, item_of(0, ("text", "x"))), _done(0, item_of(0, ("text", "y")))],
        (Text("x"),),
    ),
    "one index for two items": (
        [_added(0, NAMED), _piece("function_call_arguments", "{}"), _added(0, NAMED | {"call_id": "d"})],
        (Call("c", "get_w", "{}"), Call("d", "get_w", "")),
    ),
    "an empty item of an unknown type": (
        [_added(0, {"type": "new", "id": "n_1", "status": "completed"})],
        (),
    ),
    "an empty part of an unknown type": (
        [
            {"type": "response.content_part.added", "part": {"type": "new"}},
            {"type": "response.content_part.done"},
        ],
        (),
    ),
    "unknown events": ([{"type": "response.new", "x": 1}, {}, {"type": ["x"]}], ()),
}


@rows("name", READ)
def test_every_item_becomes_a_part(name: str) -> None:
    events, parts = READ[name]
    got = answer("responses", framed(events, []))
    assert (got.parts, got.ended, got.broken) == (parts, True, None)


def test_the_first_sign_of_an_answer_begins_it() -> None:
    first = [event for events, _ in READ.values() for event in events[:1]]
    for event in first:
        meant = reader("responses").feed(event)
        assert not meant or type(meant[0]).__name__ == "Start", event


def test_what_the_provider_searched_is_left_where_search_was_asked_for() -> None:
    events = framed([_done(0, {"type": "web_search_call", "action": {"query": "x"}})], [])
    assert answer("responses", events, Caps(web_search="web_search")).parts == ()
    assert answer("responses", events).broken is not None


TEXT = ("text", "hello")
BREAKS: dict[str, tuple[list[Wire], FaultClass]] = {
    "an error": (
        [{"type": "error", "code": "rate_limit_exceeded", "message": "slow down", "param": None}],
        FaultClass.RATE_LIMITED,
    ),
    "an error in an error": (
        [{"type": "error", "error": {"type": "invalid_request_error", "code": "insufficient_quota"}}],
        FaultClass.QUOTA_EXHAUSTED,
    ),
    "an error without a type": ([{"error": {"code": 503}}], FaultClass.PROVIDER_UNAVAILABLE),
    "a failure": (
        [{"type": "response.failed", "response": {"error": {"code": "context_length_exceeded"}}}],
        FaultClass.CONTEXT_OVERFLOW,
    ),
    "a failure without a word": ([{"type": "response.failed"}], FaultClass.TRANSIENT),
    "a cancelled answer": ([{"type": "response.cancelled", "response": response([])}], FaultClass.TRANSIENT),
    "a completed answer with an error": (
        [{"type": "response.completed", "response": {"error": {"message": "x"}}}],
        FaultClass.TRANSIENT,
    ),
    "an unknown reason": (
        [{"type": "response.incomplete", "response": {"incomplete_details": {"reason": "new"}}}],
        FaultClass.UNKNOWN,
    ),
    "an unknown item": ([_added(0, {"type": "new", "content": "x"})], FaultClass.UNKNOWN),
    "an unknown item at its end": ([_done(0, {"type": "new", "content": "x"})], FaultClass.UNKNOWN),
    "an unknown item in the last event": (
        [{"type": "response.completed", "response": response([{"type": "new", "x": 1}, item_of(1, TEXT)])}],
        FaultClass.UNKNOWN,
    ),
    "an unknown part": (
        [{"type": "response.content_part.added", "part": {"type": "output_audio", "data": "x"}}],
        FaultClass.UNKNOWN,
    ),
    "an unknown part of a message": (
        [_done(0, {"type": "message", "content": [{"type": "new", "x": 1}, {"type": "output_text"}]})],
        FaultClass.UNKNOWN,
    ),
    "other words at the end of a part": (
        [_piece("output_text", "a"), {"type": "response.output_text.done", "output_index": 0, "text": "b"}],
        FaultClass.TRANSIENT,
    ),
    "other words at the end of a refusal": (
        [_piece("refusal", "a"), {"type": "response.refusal.done", "output_index": 0, "refusal": "b"}],
        FaultClass.TRANSIENT,
    ),
    "other arguments at the end": (
        [_added(0, NAMED), _piece("function_call_arguments", "{"), _done(0, NAMED | {"arguments": "{}"})],
        FaultClass.TRANSIENT,
    ),
    "other thoughts at the end": (
        [_piece("reasoning_text", "a"), _done(0, REASONING | {"content": [{"text": "b"}]})],
        FaultClass.TRANSIENT,
    ),
    "a call without a name": ([_done(0, {"type": "function_call", "arguments": "{}"})], FaultClass.TRANSIENT),
    "arguments of no call": ([_piece("function_call_arguments", "{}")], FaultClass.TRANSIENT),
    "text after the end of its item": (
        [_done(0, item_of(0, TEXT)), _piece("output_text", "x")],
        FaultClass.TRANSIENT,
    ),
    "thoughts after the end of their item": (
        [_done(0, REASONING), _piece("reasoning_text", "x")],
        FaultClass.TRANSIENT,
    ),
}


@rows("name", BREAKS)
def test_an_answer_that_makes_no_sense_breaks_off(name: str) -> None:
    events, kind = BREAKS[name]
    meant = read("responses", framed(events, []))
    assert isinstance(meant[-1], BrokenOff)
    assert meant[-1].kind == kind
    assert not any(isinstance(event, End | BrokenOff) for event in meant[:-1])


BODIES: list[Any] = [
    {"error": {"message": "x"}},
    {},
    response([], status="in_progress"),
    response([], status="failed"),
    response([], status="new"),
    {"output": "text"},
    7,
]


def test_a_body_that_is_no_answer_breaks_off() -> None:
    for body in BODIES:
        assert fold(reader("responses").whole(body)).broken is not None, body


def test_a_stream_without_its_last_event_breaks_off() -> None:
    for cut in (response_stream([TEXT])[:-1], []):
        broken = answer("responses", cut).broken
        assert broken is not None
        assert "without response.completed" in broken.text


def test_a_call_that_was_cut_off_is_never_closed() -> None:
    torn = NAMED | {"arguments": '{"x', "status": "incomplete"}
    pieces = [_added(0, NAMED), _piece("function_call_arguments", '{"x')]
    limits = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    for events in (pieces, [*pieces, _done(0, torn)], [_added(0, NAMED), _done(0, torn | {"arguments": ""})]):
        meant = read("responses", framed(events, [], **limits))
        assert not any(isinstance(event, Close) for event in meant)
        assert fold(meant).stop == Stop(Why.LENGTH)


def test_ids_that_are_missing_are_made_and_always_the_same() -> None:
    events = [_done(0, {"type": "function_call", "name": "get_w"}), {"type": "response.completed"}]
    first, second = answer("responses", events), answer("responses", events)
    assert first == second
    assert first.id.startswith("resp_")
    assert isinstance(first.parts[0], Call)
    assert first.parts[0].id.startswith("call_")


def test_pieces_are_passed_on_as_they_come() -> None:
    meant = read("responses", response_stream([("text", "ab")], list))
    assert [event for event in meant if isinstance(event, Open | Delta)] == [
        Open(0, Text("")),
        Delta(0, "a"),
        Delta(0, "b"),
    ]
