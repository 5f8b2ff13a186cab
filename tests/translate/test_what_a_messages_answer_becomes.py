"""What an answer of the Messages dialect becomes: parts, stop, usage; and what breaks it off."""

from __future__ import annotations

from typing import Any

from holdfast.core.faults import FaultClass
from holdfast.translate.caps import Caps
from holdfast.translate.events import BrokenOff, End, Stop, Usage, Why, fold
from holdfast.translate.form import Call, Opaque, Seal, Text, Thinking
from tables import rows
from translate.wires import MARK, Wire, answer, block_of, message, message_stream, part_of, read, reader

SIGNED = ("thinking", "hm", "c2ln")
CALL = ("call", "toolu_1", "get_w", '{"x": 1}')
PARTS: dict[str, list[tuple[str, ...]]] = {
    "text": [("text", "hello")],
    "thought, text, thought, call": [SIGNED, ("text", "so"), ("thinking", "then", "c2ln2"), CALL],
    "parallel calls": [CALL, ("call", "toolu_2", "get_w", '{"x": 2}')],
    "redacted": [("redacted", "ZGF0YQ"), ("text", "hello")],
    "nothing": [],
}


@rows("name", PARTS)
def test_a_stream_becomes_what_the_whole_answer_becomes(name: str) -> None:
    parts = PARTS[name]
    stop = ("end_turn", "tool_use")[CALL in parts]
    body = message([block_of(part) for part in parts], stop_reason=stop)
    wholly, streamed = fold(reader("messages").whole(body)), answer("messages", message_stream(parts))
    expected = tuple(part_of("messages", index, part) for index, part in enumerate(parts))
    assert wholly.parts == streamed.parts == expected
    assert wholly.stop == streamed.stop == Stop((Why.DONE, Why.TOOLS)[CALL in parts])
    assert (wholly.ended, streamed.ended) == (True, True)
    assert (streamed.id, streamed.model, streamed.created) == ("msg_1", "claude", 0)


STOPS: list[tuple[Wire, list[tuple[str, ...]], Stop]] = [
    ({"stop_reason": "end_turn"}, [("text", "a")], Stop(Why.DONE)),
    ({"stop_reason": "end_turn"}, [CALL], Stop(Why.TOOLS)),
    ({"stop_reason": None}, [CALL], Stop(Why.TOOLS)),
    ({"stop_reason": "tool_use"}, [("text", "a")], Stop(Why.DONE)),
    ({"stop_reason": "max_tokens"}, [CALL], Stop(Why.LENGTH)),
    ({"stop_reason": "model_context_window_exceeded"}, [("text", "a")], Stop(Why.CONTEXT)),
    ({"stop_reason": "stop_sequence", "stop_sequence": "END"}, [], Stop(Why.STOP_SEQUENCE, "END")),
    ({"stop_reason": "refusal"}, [("text", "a")], Stop(Why.REFUSED)),
    (
        {"stop_reason": "refusal", "stop_details": {"type": "refusal", "explanation": "no bombs"}},
        [],
        Stop(Why.REFUSED, "no bombs"),
    ),
]


def test_why_an_answer_stopped_is_told_and_calls_win_only_over_a_plain_end() -> None:
    for members, parts, stop in STOPS:
        events = message_stream(parts)
        events[-2]["delta"] = members
        body = message([block_of(part) for part in parts], **members)
        assert answer("messages", events).stop == stop, members
        assert fold(reader("messages").whole(body)).stop == stop, members


def test_counts_are_of_the_whole_answer_and_what_a_cache_gave_is_input() -> None:
    start = {
        "input_tokens": 5,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens": 1,
    }
    events = message_stream(
        [("text", "a")], usage={"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}
    )
    events[0]["message"]["usage"] = start
    assert answer("messages", events).usage == Usage(125, 100, 20, 9, 4)
    odd: dict[str, Any] = {"input_tokens": -1, "output_tokens": True, "cache_read_input_tokens": 2.0}
    assert answer("messages", message_stream([], usage=odd)).usage == Usage(2, 2, None, 1, None)
    assert fold(reader("messages").whole(message([]))).usage == Usage()


def _opened(block: Wire, *deltas: Wire, index: int = 0) -> list[Wire]:
    start = {"type": "content_block_start", "index": index, "content_block": block}
    return [start, *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)]


def _within(events: list[Wire], stop: str = "end_turn") -> list[Wire]:
    framed = message_stream([], stop=stop)
    return [*framed[:2], *events, *framed[2:]]


CLOSED = {"type": "content_block_stop", "index": 0}
TOOL = {"type": "tool_use", "id": "t", "name": "get_w", "input": {}}
TEXT = {"type": "text", "text": ""}
SAID = {"type": "text_delta", "text": "x"}
LESS_STRICT: dict[str, tuple[list[Wire], tuple[Any, ...]]] = {
    "arguments with the start of a call": (
        [*_opened(TOOL | {"input": {"a": 1}}), CLOSED],
        (Call("t", "get_w", '{"a": 1}'),),
    ),
    "pieces win over arguments at the start": (
        [*_opened(TOOL | {"input": {"a": 1}}, {"type": "input_json_delta", "partial_json": "{}"}), CLOSED],
        (Call("t", "get_w", "{}"),),
    ),
    "a call without arguments": (
        [*_opened(TOOL, {"type": "input_json_delta", "partial_json": ""}), CLOSED],
        (Call("t", "get_w", "{}"),),
    ),
    "arguments that are no JSON": (
        [*_opened(TOOL, {"type": "input_json_delta", "partial_json": "{a"}), CLOSED],
        (Call("t", "get_w", "{a"),),
    ),
    "arguments as a text": ([*_opened(TOOL | {"input": "{}"}), CLOSED], (Call("t", "get_w", "{}"),)),
    "a block without its stop": (_opened(TEXT, SAID), (Text("x"),)),
    "a stop without a block": ([CLOSED, CLOSED], ()),
    "text with the start": (_opened({"type": "text", "text": "a"}, SAID), (Text("ax"),)),
    "one index twice": ([*_opened(TEXT, SAID), *_opened(TEXT, SAID), CLOSED], (Text("x"), Text("x"))),
    "no index": (
        [{name: value for name, value in event.items() if name != "index"} for event in _opened(TEXT, SAID)],
        (Text("x"),),
    ),
    "thought without a signature": (
        [
            *_opened({"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": "hm"}),
            CLOSED,
        ],
        (Thinking("hm", Seal(Opaque.PLAIN, "", MARK)),),
    ),
    "citations": ([*_opened(TEXT, SAID, {"type": "citations_delta", "citation": {}}), CLOSED], (Text("x"),)),
    "an empty block of an unknown type": ([*_opened({"type": "new"}), CLOSED], ()),
    "an empty piece of an unknown type": ([*_opened(TEXT, {"type": "new"}), CLOSED], (Text(""),)),
    "unknown events": ([{"type": "new", "x": 1}, {}, {"type": ["ping"]}], ()),
}


@rows("name", LESS_STRICT)
def test_what_endpoints_do_a_little_differently_is_read(name: str) -> None:
    events, parts = LESS_STRICT[name]
    got = answer("messages", _within(events))
    assert (got.parts, got.ended, got.broken) == (parts, True, None)


def test_interleaved_blocks_stay_apart() -> None:
    def piece(index: int, text: str) -> Wire:
        delta = {"type": "input_json_delta", "partial_json": text}
        return {"type": "content_block_delta", "index": index, "delta": delta}

    opened = [*_opened(TOOL | {"id": "a"}), *_opened(TOOL | {"id": "b"}, index=1)]
    pieces = [piece(0, '{"x":'), piece(1, '{"y":'), piece(0, "1}"), piece(1, "2}")]
    got = answer("messages", _within([*opened, *pieces], stop="tool_use"))
    assert got.parts == (Call("a", "get_w", '{"x":1}'), Call("b", "get_w", '{"y":2}'))


def test_what_the_provider_searched_is_left_where_search_was_asked_for() -> None:
    blocks = [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}}, TEXT]
    pieces = {"type": "input_json_delta", "partial_json": '{"query"'}
    events = _within([*_opened(blocks[0], pieces), CLOSED, *_opened(TEXT, SAID, index=1)])
    assert answer("messages", events, Caps(web_search="web_search_20250305")).parts == (Text("x"),)
    assert answer("messages", events).broken is not None


ERROR = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
BREAKS: dict[str, tuple[list[Any], FaultClass]] = {
    "an error": ([ERROR], FaultClass.PROVIDER_UNAVAILABLE),
    "an error without a type": ([{"error": {"message": "x"}}], FaultClass.TRANSIENT),
    "too long": (
        [
            {
                "type": "error",
                "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"},
            }
        ],
        FaultClass.CONTEXT_OVERFLOW,
    ),
    "a block that is not known": (_opened({"type": "new", "x": "content"}), FaultClass.UNKNOWN),
    "a piece that is not known": (_opened(TEXT, {"type": "new", "x": "content"}), FaultClass.UNKNOWN),
    "a piece of another kind": (_opened(TOOL, SAID), FaultClass.UNKNOWN),
    "a piece of no block": (
        [{"type": "content_block_delta", "index": 3, "delta": SAID}],
        FaultClass.TRANSIENT,
    ),
    "a piece after the stop": ([*_opened(TEXT), CLOSED, _opened(TEXT, SAID)[1]], FaultClass.TRANSIENT),
    "a call without a name": (_opened({"type": "tool_use", "id": "x", "input": {}}), FaultClass.TRANSIENT),
    "arguments too deep": (
        [*_opened(TOOL | {"input": {"a": object()}}), *_opened(TEXT, SAID)],
        FaultClass.TRANSIENT,
    ),
}


@rows("name", BREAKS)
def test_an_answer_that_makes_no_sense_breaks_off(name: str) -> None:
    events, kind = BREAKS[name]
    meant = read("messages", _within(events))
    assert isinstance(meant[-1], BrokenOff)
    assert meant[-1].kind == kind
    assert not any(isinstance(event, End | BrokenOff) for event in meant[:-1])


@rows("stop", ["pause_turn", "something_new"])
def test_an_end_that_has_no_counterpart_breaks_off(stop: str) -> None:
    broken = answer("messages", message_stream([("text", "x")], stop=stop)).broken
    assert broken is not None
    assert stop in broken.text


def test_an_end_without_a_reason_or_without_an_end_breaks_off() -> None:
    events = message_stream([("text", "x")])
    for cut in ([*events[:-2], events[-1]], events[:-1], []):
        broken = answer("messages", cut).broken
        assert broken is not None
        assert "without" in broken.text


BODIES: list[Any] = [ERROR, {"type": "error"}, {}, message([])["content"], {"content": "text"}, 7]


def test_a_body_that_is_no_answer_breaks_off() -> None:
    for body in BODIES:
        assert fold(reader("messages").whole(body)).broken is not None, body
    strange = message([{"type": "new", "x": 1}, {"type": "text", "text": "x"}])
    assert fold(reader("messages").whole(strange)).parts == ()


@rows(("stop", "closed"), [("max_tokens", False), ("refusal", False), ("tool_use", True)])
def test_a_call_that_was_cut_off_is_never_closed(stop: str, *, closed: bool) -> None:
    for pieces in ([], ['{"x": '], ['{"x": [', "1"]):
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        meant = read("messages", _within([*_opened(TOOL, *deltas), CLOSED], stop=stop))
        assert [type(event).__name__ for event in meant].count("Close") == closed
        args = fold(meant).parts[0]
        assert isinstance(args, Call)
        assert args.args == ("".join(pieces) or "{}" * closed)


def test_ids_that_are_missing_are_made_and_always_the_same() -> None:
    block = {"type": "tool_use", "name": "get_w", "input": {}}
    events = [*_opened(block), CLOSED, {"type": "message_stop"}]
    first, second = answer("messages", events), answer("messages", events)
    assert first == second
    assert first.id.startswith("msg_")
    assert first.parts[0].id.startswith("toolu_")  # type: ignore[union-attr]
