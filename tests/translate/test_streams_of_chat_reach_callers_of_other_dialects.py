"""Streams of chat endpoints as they come, among them what other proxies spoil, in the callers' dialects."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from holdfast.translate.caps import Caps
from tables import rows
from translate.stream_folds import FOLDS
from translate.stream_lint import LINTS
from translate.streams import called, chunk, read, usage, write

Wire = dict[str, Any]
MADE_UP = re.compile(r"^call_[0-9a-f]{24}$")
DIALECTS = ("messages", "responses")
ROLE = chunk({"role": "assistant", "content": ""})
TEXT = [chunk({"content": "Hi"}), chunk({"content": " you"})]
END = [chunk(finish="stop"), usage(10, 5)]


class Row(NamedTuple):
    """A stream, and what the caller has at its end: the fold, and the reason in Messages."""

    chunks: list[Wire]
    fold: list[tuple[str, ...]]
    reason: str
    caps: Caps = Caps()


CALL = ("call", "a", "get_w", '{"x":1}')
ROWS = {
    "a text": Row([ROLE, *TEXT, *END], [("text", "Hi you")], "end_turn"),
    "two calls whose arguments come by turns": Row(
        [
            called("", index=0, id="a", name="get_w"),
            called("", index=1, id="b", name="read"),
            called('{"x":', index=0),
            called('{"y":', index=1),
            called("1}", index=0),
            called("2}", index=1),
            chunk(finish="tool_calls"),
        ],
        [CALL, ("call", "b", "read", '{"y":2}')],
        "tool_use",
    ),
    "two calls with one index": Row(
        [called('{"x":1}', id="a", name="get_w"), called('{"y":2}', id="b", name="read"), *END],
        [CALL, ("call", "b", "read", '{"y":2}')],
        "tool_use",
    ),
    "two calls with one index and without ids": Row(
        [called('{"x":1}', name="get_w"), called('{"y":2}', name="get_w"), *END],
        [("call", "call_", "get_w", '{"x":1}'), ("call", "call_", "get_w", '{"y":2}')],
        "tool_use",
    ),
    "calls without an index": Row(
        [
            called('{"x":', index=None, id="a", name="get_w"),
            called("1}", index=None),
            called('{"y":2}', index=None, id="b", name="read"),
            *END,
        ],
        [CALL, ("call", "b", "read", '{"y":2}')],
        "tool_use",
    ),
    "a name in pieces": Row(
        [called(id="a", name="get_"), called(name="w"), called('{"x":1}'), *END], [CALL], "tool_use"
    ),
    "a name that is repeated with its id": Row(
        [
            called("", id="a", name="get_w"),
            called('{"x":', id="a", name="get_w"),
            called("1}", id="a", name="get_w"),
            *END,
        ],
        [CALL],
        "tool_use",
    ),
    "a new id for every piece": Row(
        [called("", id="a", name="get_w"), called('{"x":', id="r1"), called("1}", id="r2"), *END],
        [CALL],
        "tool_use",
    ),
    "a placeholder before the arguments": Row(
        [called("{}", id="a", name="get_w"), called('{"x":'), called("1}"), *END], [CALL], "tool_use"
    ),
    "a placeholder that was none": Row(
        [called("{}", id="a", name="read"), called(" "), *END], [("call", "a", "read", "{} ")], "tool_use"
    ),
    "blanks behind a call that was whole": Row(
        [
            called('{"x":1}', id="a", name="get_w"),
            called('{"y":2}', index=1, id="b", name="read"),
            called(" \n", index=0),
            called("", index=1),
            called(index=1),
            *END,
        ],
        [CALL, ("call", "b", "read", '{"y":2}')],
        "tool_use",
    ),
    "a piece without anything": Row(
        [called('{"x":', id="a", name="get_w"), called(), called("1}"), *END], [CALL], "tool_use"
    ),
    "arguments that are an object": Row(
        [called({"x": 1}, id="a", name="get_w"), *END],  # type: ignore[arg-type]
        [("call", "a", "get_w", '{"x": 1}')],
        "tool_use",
    ),
    "no arguments": Row(
        [called("{}", id="a", name="get_w"), *END], [("call", "a", "get_w", "{}")], "tool_use"
    ),
    "stop although a tool is called": Row(
        [called('{"x":1}', id="a", name="get_w"), *END], [CALL], "tool_use"
    ),
    "thought, text, call, thought": Row(
        [
            chunk({"reasoning_content": "T1"}),
            chunk({"content": "X"}),
            called('{"x":1}', id="a", name="get_w"),
            chunk({"reasoning_content": "T2"}),
            *END,
        ],
        [("thinking", "T1"), ("text", "X"), CALL, ("thinking", "T2")],
        "tool_use",
    ),
    "a text while a call is open": Row(
        [called('{"x":', id="a", name="get_w"), chunk({"content": "X"}), called("1}"), *END],
        [CALL, ("text", "X")],
        "tool_use",
    ),
    "a thought in two members": Row(
        [chunk({"reasoning": "T", "reasoning_content": "T"}), *TEXT, *END],
        [("thinking", "T"), ("text", "Hi you")],
        "end_turn",
    ),
    "a thought in tags": Row(
        [chunk({"content": "<thi"}), chunk({"content": "nk>T</th"}), chunk({"content": "ink>X"}), *END],
        [("thinking", "T"), ("text", "X")],
        "end_turn",
        Caps(think_tags=True),
    ),
    "a content that is a list": Row(
        [
            chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "T"}]}]}),
            chunk({"content": [{"type": "text", "text": "X"}, {"type": "reference", "reference_ids": [1]}]}),
            *END,
        ],
        [("thinking", "T"), ("text", "X")],
        "end_turn",
    ),
    "text behind the finish_reason": Row(
        [TEXT[0], chunk(finish="stop"), TEXT[1]], [("text", "Hi you")], "end_turn"
    ),
    "the old form of a call": Row(
        [
            chunk({"function_call": {"name": "get_w", "arguments": '{"x":'}}),
            chunk({"function_call": {"arguments": "1}"}}),
            chunk(finish="function_call"),
        ],
        [("call", "call_", "get_w", '{"x":1}')],
        "tool_use",
    ),
    "calls without a finish_reason": Row([called('{"x":1}', id="a", name="get_w")], [CALL], "tool_use"),
    "tool_calls without a call": Row([*TEXT, chunk(finish="tool_calls")], [("text", "Hi you")], "end_turn"),
    "two calls with one id": Row(
        [
            called('{"x":1}', index=0, id="a", name="get_w"),
            called('{"y":2}', index=1, id="a", name="read"),
            *END,
        ],
        [CALL, ("call", "call_", "read", '{"y":2}')],
        "tool_use",
    ),
    "an answer that is empty": Row([ROLE, chunk(finish="stop")], [], "end_turn"),
}


def _comparable(fold: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return a fold without the ids that are made up."""
    return [(kind, MADE_UP.sub("call_", rest[0]), *rest[1:]) for kind, *rest in fold]


@rows("dialect", DIALECTS)
@rows("name", ROWS)
def test_each_stream_is_mended_for_the_caller(name: str, dialect: str) -> None:
    row = ROWS[name]
    out = write(read(row.chunks, caps=row.caps), dialect)
    assert LINTS[dialect](out) == ([], "whole")
    assert _comparable(FOLDS[dialect](out)) == _comparable(row.fold)


@rows("name", ROWS)
def test_the_reason_follows_from_the_calls(name: str) -> None:
    row = ROWS[name]
    *_, delta, _stop = write(read(row.chunks, caps=row.caps), "messages")
    assert delta["delta"]["stop_reason"] == row.reason
