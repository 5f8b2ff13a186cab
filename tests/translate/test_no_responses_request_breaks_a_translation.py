"""Whatever JSON a Responses request holds, it is read and written, or refused; and what is written is read as
what it was written from."""

from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)

from holdfast.translate.caps import LEVELS
from holdfast.translate.envelope import Sealer
from holdfast.translate.form import Opaque, Seal
from holdfast.translate.losses import Losses, Untranslatable
from holdfast.translate.read_responses import read
from responses_requests import MARK, PDF, PNG, SEALER, codex_request, written
from sdk_types import faults

WHOLE = codex_request() | {
    "tool_choice": {"type": "allowed_tools", "mode": "auto",
                    "tools": [{"type": "function", "name": "exec_command"}, {"type": "web_search"}]},
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}, "verbosity": "a"},
    "max_output_tokens": 9, "temperature": 0.5, "top_p": 0.5, "stream_options": {"include_obfuscation": True},
    "truncation": "auto", "service_tier": "flex", "user": "u", "background": False,
}  # fmt: skip
WHOLE["input"] += [
    {"type": "reasoning", "id": "rs", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}],
     "encrypted_content": SEALER.seal(Seal(Opaque.ENCRYPTED, "v", MARK))},
    {"type": "image_generation_call", "id": "ig", "result": "aaaa", "output_format": "png"},
    {"role": "user", "content": [{"type": "input_file", "file_data": PDF, "filename": "a.pdf"}]},
]  # fmt: skip
CAPS = {
    "mid_system": True, "efforts": LEVELS[1:], "effort_off": "none", "tier": True, "verbosity": True,
    "cache_key": True, "prefill": True, "reasoning_back": True,
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["auto", "input_text", "function", "message", "custom", "hf1~\ud800", "\ud800"]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.sampled_from(["type", "role", "content", "name", "text", "id"]), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


def _slots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every member and every item in a value."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value)))
    return [path] * bool(path) + [slot for key in keys for slot in _slots(value[key], (*path, key))]


SLOTS = _slots(WHOLE)


@given(st.lists(st.tuples(st.sampled_from(SLOTS), JSON), min_size=1, max_size=3))
def test_no_json_breaks_a_translation(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    body = copy.deepcopy(WHOLE)
    for path, value in changes:
        inner: Any = body
        for key in path[:-1]:
            inner = _at(inner, key)
        if _at(inner, path[-1]) is not None:
            inner[path[-1]] = value
    _translate(body)


def _at(value: Any, key: Any) -> Any:
    """Return an inner value; None where another change has taken it away."""
    if isinstance(value, dict):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, int) and key < len(value):
        return value[key]
    return None


@given(JSON)
def test_no_item_breaks_a_translation(item: Any) -> None:
    _translate({"model": "m", "input": [item], "tools": [item]})


def _translate(body: dict[str, Any]) -> None:
    losses = Losses()
    with contextlib.suppress(Untranslatable):
        json.dumps(written(read(body, SEALER, losses), losses, **CAPS))


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6).filter(str.strip)
TEXT = st.builds(lambda text: {"type": "input_text", "text": text}, WORDS)
CONTENT = st.lists(
    TEXT
    | st.sampled_from(
        [
            {"type": "input_image", "image_url": PNG, "detail": "low"},
            {"type": "input_image", "image_url": "https://e.example/a.png", "detail": "auto"},
            {"type": "input_file", "file_data": PDF, "filename": "a.pdf"},
            {"type": "input_file", "file_url": "https://e.example/a.pdf"},
        ]
    ),
    min_size=1,
    max_size=3,
)
ANSWER = st.one_of(
    st.builds(lambda text: [{"role": "assistant", "content": text}], WORDS),
    st.builds(
        lambda text: [
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": text}],
             "encrypted_content": "v"},
            {"role": "assistant", "content": text},
        ],
        WORDS,
    ),
    st.sampled_from([["function_call"], ["custom_tool_call"], ["function_call", "custom_tool_call"]]),
)  # fmt: skip
TOOLS = [
    {
        "type": "function",
        "name": "f",
        "description": "F.",
        "parameters": {"type": "object", "properties": {}},
        "strict": True,
    },
    {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}, "strict": False},
    {"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "regex", "definition": "a+"}},
]
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "instructions": WORDS,
    "max_output_tokens": st.integers(16, 9999),
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1),
    "parallel_tool_calls": st.booleans(),
    "reasoning": st.builds(lambda effort, summary: {"effort": effort} | summary, st.sampled_from(LEVELS),
                           st.sampled_from([{}, {"summary": "auto"}])),
    "text": st.sampled_from([
        {"verbosity": "low"}, {"format": {"type": "json_object"}},
        {"format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True, "description": "d"}}]),
    "tool_choice": st.sampled_from(
        ["none", "required", {"type": "function", "name": "f"}, {"type": "custom", "name": "p"}]),
    "prompt_cache_key": WORDS,
    "service_tier": st.sampled_from(["auto", "default", "flex", "priority"]),
    "stream": st.booleans(),
}  # fmt: skip


@st.composite
def _conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return items in which user and model take turns, and each call has its result."""
    items: list[dict[str, Any]] = []
    for number, answers in enumerate(draw(st.lists(st.lists(ANSWER, min_size=1, max_size=2), max_size=3))):
        items.append({"type": "message", "role": "user", "content": draw(CONTENT)})
        for count, answer in enumerate(answers):
            items += _with_results(answer, f"c{number}_{count}_", draw)
    return [*items, {"type": "message", "role": "user", "content": draw(CONTENT)}]


def _with_results(answer: list[Any], prefix: str, draw: st.DrawFn) -> list[dict[str, Any]]:
    if isinstance(answer[0], dict):
        return answer
    calls: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    for index, kind in enumerate(answer):
        member, name = {"function_call": ("arguments", "f"), "custom_tool_call": ("input", "p")}[kind]
        same = {"call_id": f"{prefix}{index}"}
        calls.append({"type": kind, "name": name, member: draw(WORDS), **same})
        results.append({"type": f"{kind}_output", "output": draw(st.text(max_size=4)), **same})
    return calls + results


@given(_conversations(), st.fixed_dictionaries({}, optional=MEMBERS))
def test_what_is_written_is_read_as_it_was(items: list[dict[str, Any]], members: dict[str, Any]) -> None:
    request = read({"model": "gpt", "input": items, "tools": TOOLS} | members, Sealer(), Losses())
    losses = Losses()
    body = written(request, losses, mark="", **CAPS)
    assert read(body, Sealer(), Losses()) == request
    assert losses.names == ()
    hint = (ResponseCreateParamsNonStreaming, ResponseCreateParamsStreaming)[request.stream]
    assert faults(body, hint) == []
