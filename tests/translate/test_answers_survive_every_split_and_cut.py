"""Properties of the answers of Messages and Responses on their way to a caller that speaks chat: however they
are split, interleaved, cut or damaged."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.translate.events import BrokenOff, End, fold
from holdfast.translate.form import Call
from holdfast.translate.to_chat import ChatWriter
from translate.lint_chat import lint
from translate.wires import (
    STREAMS,
    Wire,
    answer,
    block_of,
    caller,
    framed,
    item_of,
    item_stream,
    message,
    part_of,
    read,
    reader,
    response,
    written,
)

Part = tuple[str, ...]
WORDS = st.text(st.sampled_from('ab "\\{}\né\U0001f600'), min_size=1, max_size=9)
ARGS = st.dictionaries(WORDS, st.one_of(WORDS, st.integers(), st.none()), max_size=3).map(json.dumps)
COMMON = (
    st.tuples(st.just("text"), WORDS),
    st.tuples(st.just("thinking"), WORDS, WORDS),
    st.tuples(st.just("call"), WORDS, st.sampled_from(["get_w", "else"]), ARGS),
)
KINDS = {
    "messages": (*COMMON, st.tuples(st.just("redacted"), WORDS)),
    "responses": (*COMMON, st.tuples(st.just("refusal"), WORDS)),
}
SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=5)
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.sampled_from(["", "x", "text", "\ud800", "{}"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "text", "id", "name", "input", "message"]), inner, max_size=3
        ),
    ),
    max_leaves=6,
)
DIALECTS = pytest.mark.parametrize("dialect", KINDS)


def _parts(dialect: str) -> st.SearchStrategy[list[Part]]:
    return st.lists(st.one_of(*KINDS[dialect]), max_size=4)


def _split(sizes: Sequence[int]) -> Callable[[str], list[str]]:
    """Return what cuts a text into pieces of these sizes, over and over; some pieces are empty."""

    def pieces(text: str) -> list[str]:
        made, at, turn = [""], 0, 0
        while at < len(text):
            size = sizes[turn % len(sizes)]
            made.append(text[at : at + size])
            at, turn = at + size, turn + 1
        return made

    return pieces


def _message(chunks: Sequence[Wire]) -> Wire:
    """Put a message together from chunks, by hand."""
    texts: dict[str, str] = {}
    calls: list[list[str]] = []
    details: list[Wire] = []
    for delta in [choice["delta"] for chunk in chunks for choice in chunk["choices"]]:
        for name in ("content", "reasoning_content", "refusal"):
            texts[name] = texts.get(name, "") + (delta.get(name) or "")
        details += delta.get("reasoning_details", ())
        for call in delta.get("tool_calls", ()):
            if "id" in call:
                calls.append([call["id"], call["function"]["name"], ""])
            calls[call["index"]][2] += call["function"]["arguments"]
    made: Wire = {name: text for name, text in texts.items() if text}
    if calls:
        wired = ({"name": name, "arguments": args} for _, name, args in calls)
        made["tool_calls"] = [
            {"id": call[0], "type": "function", "function": function}
            for call, function in zip(calls, wired, strict=True)
        ]
    if details:
        made["reasoning_details"] = details
    return made


@DIALECTS
@given(data=st.data(), sizes=SIZES)
def test_every_split_becomes_the_same_answer_and_its_texts_reach_the_caller(
    dialect: str, data: st.DataObject, sizes: list[int]
) -> None:
    parts = data.draw(_parts(dialect))
    events = STREAMS[dialect](parts, _split(sizes))
    got = answer(dialect, events)
    assert got.parts == tuple(part_of(dialect, index, part) for index, part in enumerate(parts))
    chunks = written(read(dialect, events))
    assert lint(chunks) == ([], "whole")
    (choice,) = ChatWriter(caller()).whole(got)["choices"]
    message = {
        name: value for name, value in choice["message"].items() if name not in ("role", "annotations")
    }
    assert _message(chunks) == {name: value for name, value in message.items() if value is not None}


@given(parts=_parts("responses"), sizes=SIZES, order=st.lists(st.integers(0, 3), max_size=60))
def test_every_interleaving_of_items_becomes_the_same_parts(
    parts: list[Part], sizes: list[int], order: list[int]
) -> None:
    streams = [list(item_stream(index, part, _split(sizes))) for index, part in enumerate(parts)]
    mixed = [streams[turn].pop(0) for turn in _turns(order, [list(stream) for stream in streams])]
    got = answer("responses", framed(mixed, parts))
    expected = [part_of("responses", index, part) for index, part in enumerate(parts)]
    assert sorted(map(repr, got.parts)) == sorted(map(repr, expected))
    assert lint(written(read("responses", framed(mixed, parts)))) == ([], "whole")


def _turns(order: Sequence[int], streams: Sequence[Sequence[Any]]) -> Iterator[int]:
    """Yield each stream's index as often as it has events: as `order` says, then one after another."""
    left = [len(stream) for stream in streams]
    for wanted in [*order, *(index for index, count in enumerate(left) for _ in range(count))]:
        if wanted < len(left) and left[wanted]:
            left[wanted] -= 1
            yield wanted


LONG: list[Part] = [("thinking", "hm", "c2ln"), ("text", "so"), ("call", "c1", "get_w", "{}"), ("text", "x")]


@DIALECTS
def test_no_cut_of_a_stream_is_a_success(dialect: str) -> None:
    events = STREAMS[dialect](LONG, list)
    for end in range(len(events)):
        meant = read(dialect, events[:end])
        assert isinstance(meant[-1], BrokenOff)
        assert lint(written(meant)) == ([], "error")


def _damaged(value: Any, path: Sequence[int], other: Any) -> Any:
    """Return a JSON value in which the value at `path` is another."""
    if not path or not isinstance(value, dict | list) or not value:
        return other
    names = list(value) if isinstance(value, dict) else list(range(len(value)))
    name = names[path[0] % len(names)]
    value[name] = _damaged(value[name], path[1:], other)
    return value


@DIALECTS
@given(data=st.data(), path=st.lists(st.integers(0, 20), max_size=5), other=JSON)
def test_damage_in_a_stream_never_raises_and_never_leaves_the_rules(
    dialect: str, data: st.DataObject, path: list[int], other: Any
) -> None:
    parts = data.draw(_parts(dialect))
    events = copy.deepcopy(STREAMS[dialect](parts))
    at, moved = data.draw(st.integers(0, len(events) - 1)), data.draw(st.integers(0, len(events) - 1))
    events[at] = _damaged(events[at], path, other)
    events.insert(moved, events[data.draw(st.integers(0, len(events) - 1))])
    meant = read(dialect, events)
    assert sum(isinstance(event, End | BrokenOff) for event in meant) == 1
    assert isinstance(meant[-1], End | BrokenOff)
    wrong, end = lint(written(meant))
    assert (wrong, bool(end)) == ([], True)


@DIALECTS
@given(data=st.data(), path=st.lists(st.integers(0, 20), max_size=5), other=JSON)
def test_damage_in_a_whole_answer_never_raises(
    dialect: str, data: st.DataObject, path: list[int], other: Any
) -> None:
    parts = data.draw(_parts(dialect))
    bodies = {
        "messages": message(
            [block_of(part) for part in parts if part[0] != "refusal"], usage={"input_tokens": 5}
        ),
        "responses": response(
            [item_of(index, part) for index, part in enumerate(parts) if part[0] != "redacted"]
        ),
    }
    meant = reader(dialect).whole(_damaged(copy.deepcopy(bodies[dialect]), path, other))
    assert isinstance(meant[-1], End | BrokenOff)
    ChatWriter(caller()).whole(fold(meant))
    assert lint(written(meant))[0] == []


def test_arguments_that_are_nested_too_deeply_break_off() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = [deep]
    block = {"type": "tool_use", "id": "x", "name": "get_w", "input": deep}
    assert fold(reader("messages").whole(message([block]))).broken is not None
    text = "[" * 100_000
    events = STREAMS["messages"]([("call", "c", "get_w", "{}")])
    events[3]["delta"] = {"type": "input_json_delta", "partial_json": text}
    assert answer("messages", events).parts == (Call("c", "get_w", text),)
