"""Whatever JSON a chat request holds: it is translated into JSON that the endpoint takes, or refused."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chat_requests import (
    FREE,
    MARK,
    PDF,
    PNG,
    SEALER,
    TOOL,
    USER,
    call,
    calling,
    changed,
    result,
    sealed,
    text,
    translated,
    wrong,
)
from holdfast.translate import read_responses, write_messages
from holdfast.translate.caps import Caps
from holdfast.translate.context import Target
from holdfast.translate.form import Opaque
from holdfast.translate.losses import Losses, Untranslatable
from holdfast.translate.names import ToolNames
from responses_requests import codex_request

WHOLE: dict[str, Any] = {
    "model": "m",
    "max_completion_tokens": 9,
    "messages": [
        {"role": "system", "content": "be"},
        {"role": "user", "name": "Ann", "content": [
            text("hi"), {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
            {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
        ]},
        calling(call('{"x": 1}'), {"id": "b", "type": "custom", "custom": {"name": "p", "input": "x"}},
            content="a", reasoning_content="hm", refusal="no", annotations=[{}],
            reasoning_details=[{"type": "reasoning.encrypted", "data": sealed(Opaque.SIGNATURE, "s")}]),
        result([text("B")], "b"),
        result(),
        {"role": "developer", "content": "mind"},
        USER,
    ],
    "tools": [TOOL, FREE, {"type": "web_search"}],
    "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [TOOL]}},
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
    "reasoning": {"effort": "high", "max_tokens": 5, "exclude": False},
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "stop": ["x"], "stream": True, "stream_options": {"include_usage": True}, "n": 1, "seed": 1, "user": "u",
    "temperature": 0.5, "top_p": 0.5, "top_k": 5, "service_tier": "auto", "prompt_cache_key": "k",
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["auto", "text", "function", "a", "f", "hf1~e30.00000000", "\ud800"]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.sampled_from(["type", "role", "content", "name", "text", "x"]), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip


CODEX = codex_request()
CAPS = Caps(max_output=4096, thinking="adaptive", web_search="web_search_20250305")


def test_the_whole_request_is_translated() -> None:
    body, losses = translated(WHOLE)
    assert len(body["messages"]) == 3
    assert losses


CHANGES = st.lists(st.tuples(st.integers(0), JSON), min_size=1, max_size=3)


@given(CHANGES)
def test_random_json_in_any_member_of_a_chat_is_translated_or_refused(changes: list[tuple[int, Any]]) -> None:
    with contextlib.suppress(Untranslatable):
        json.dumps(translated(changed(WHOLE, changes))[0])


@given(CHANGES)
def test_random_json_in_any_member_of_responses_is_translated_or_refused(
    changes: list[tuple[int, Any]],
) -> None:
    losses = Losses()
    with contextlib.suppress(Untranslatable):
        request = read_responses.read(changed(CODEX, changes), SEALER, losses)
        target = Target(CAPS, MARK, "claude", ToolNames(request.tools, losses), losses)
        written = write_messages.write(request, target)
        assert wrong(written) == []
        json.dumps(written)


@given(JSON)
def test_a_random_request_is_refused(body: Any) -> None:
    with contextlib.suppress(Untranslatable):
        translated({"messages": body})
