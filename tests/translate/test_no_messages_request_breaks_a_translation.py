"""Whatever a request of the Messages API holds, it is written as a chat request, or refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from holdfast.translate.losses import LESS, Untranslatable
from translate.claude_code import call, claude_code_request, result, text
from translate.messages_to_chat import asking, carried

WORDS = st.sampled_from(
    [
        "",
        " ",
        "text",
        "image",
        "tool_use",
        "tool_result",
        "thinking",
        "document",
        "url",
        "base64",
        "file",
        "a",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS
NAMES = st.sampled_from(["type", "text", "content", "id", "name", "input", "source", "role", "tool", "a"])
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
CALLER = {"type": "direct"}
SERVED = [
    {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}, "caller": CALLER},
    {"type": "web_search_tool_result", "tool_use_id": "srv", "content": [{"type": "x", "title": "T"}]},
    {"type": "compaction", "content": "We met.", "tool_changes": []},
    {"type": "redacted_thinking", "data": "zz"},
]


def _whole() -> dict[str, Any]:
    """Return a request in which every kind of member and block stands once."""
    body = claude_code_request()
    body["system"] = body["system"][:2]
    body["messages"] = body["messages"][:4]
    body["tools"] = [
        {"name": "a", "description": "A.", "input_schema": {}, "strict": True, "allowed_callers": ["direct"]},
        {"name": "b", "input_schema": {}, "defer_loading": True},
        {"type": "web_search_20250305", "name": "web_search"},
    ]
    source = {"type": "text", "media_type": "text/plain", "data": "A."}
    body["messages"] += [
        {"role": "assistant", "content": SERVED},
        {
            "role": "user",
            "content": [
                {"type": "document", "source": source, "title": "T", "citations": {"enabled": True}},
                {"type": "search_result", "source": "s", "title": "T", "content": [text("A.")]},
                {"type": "image", "source": {"type": "url", "url": "https://a.test"}},
            ],
        },
        {
            "role": "system",
            "content": [{"type": "tool_addition", "tool": {"type": "tool_reference", "name": "b"}}],
            "output_config": {"effort": "low"},
            "clear_at": "never",
        },
    ]
    return body | {
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "stop_sequences": ["a"],
        "temperature": 0.5,
        "top_p": 0.5,
        "top_k": 5,
        "service_tier": "auto",
        "speed": "fast",
        "inference_geo": "global",
        "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "summarized"},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    }


WHOLE = _whole()


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each value of a JSON value."""
    yield path
    pairs: Any = ()
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    for step, inner in pairs:
        yield from _paths(inner, (*path, step))


OTHERS: tuple[Any, ...] = (None, True, -1.5, "x", [[]], {"type": "text"})
PATHS = [path for path in _paths(WHOLE) if path]


def _changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    body = copy.deepcopy(WHOLE)
    inner: Any = body
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return body


def _carry(body: dict[str, Any]) -> None:
    """Carry a request: what is written is judged by OpenAI's types, and its losses are published."""
    try:
        written, less = carried(body, efforts=("low", "high"))
    except Untranslatable:
        return
    assert set(less) <= LESS.keys()
    _check_order(written["messages"])
    json.dumps(written)


def _check_order(messages: list[dict[str, Any]]) -> None:
    """Check that each call is answered directly after the message that made it, in the order of the calls."""
    waiting: list[str] = []
    seen: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
            continue
        assert not waiting
        waiting = [made["id"] for made in message.get("tool_calls", ())]
        assert seen.isdisjoint(waiting)
        seen.update(waiting)
    assert not waiting


def test_a_request_in_which_everything_stands_is_carried() -> None:
    written, less = carried(WHOLE)
    assert len(written["messages"]) > 7
    assert "unknown_member" not in less


def test_every_value_may_be_of_another_type() -> None:
    for number, path in enumerate(PATHS):
        for value in OTHERS[number % 2 :: 2]:
            _carry(_changed(path, value))


@given(st.sampled_from(PATHS), JSON)
def test_every_value_may_be_any_json(path: tuple[Any, ...], value: Any) -> None:
    _carry(_changed(path, value))


@given(st.dictionaries(st.sampled_from(sorted(WHOLE)), JSON))
def test_a_request_may_be_any_json(body: dict[str, Any]) -> None:
    _carry(asking(**body))


BLOCKS = st.lists(
    st.one_of(
        st.builds(call, st.integers(1, 4), st.just("get")),
        st.builds(result, st.integers(1, 4), st.just("done")),
        st.builds(text, st.sampled_from(["a", " "])),
    ),
    max_size=3,
)
MESSAGES = st.lists(
    st.builds(dict, role=st.sampled_from(["user", "assistant", "system"]), content=BLOCKS), max_size=8
)


@given(MESSAGES, st.sampled_from(["", "mistral"]), st.booleans())
def test_calls_and_results_in_any_order_are_paired_or_refused(
    messages: list[Any], call_id: str, mid_system: bool
) -> None:
    try:
        written, _ = carried(asking(messages=messages), call_id=call_id, mid_system=mid_system, prefill=True)
    except Untranslatable:
        return
    _check_order(written["messages"])
