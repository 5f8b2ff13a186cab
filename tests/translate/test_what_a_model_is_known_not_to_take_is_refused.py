"""A model that is known to read no images, or to call no tools, is not sent any; one of which nothing is
known is."""

from __future__ import annotations

from typing import Any

import pytest

from holdfast.core.identity import Dialect
from holdfast.translate.caps import Caps
from holdfast.translate.envelope import Sealer
from holdfast.translate.exchange import CallerRequest, Destination
from holdfast.translate.losses import Untranslatable
from tables import rows

CHAT, RESPONSES, MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
PNG = "iVBORw0KGgo="
ADDRESS = f"data:image/png;base64,{PNG}"
SOURCE = {"type": "base64", "media_type": "image/png", "data": PNG}
BLOCK = {"type": "image", "source": SOURCE}
USE = {"type": "tool_use", "id": "call_1", "name": "look", "input": {}}
FOUND = {"type": "tool_result", "tool_use_id": "call_1", "content": [BLOCK]}

# A caller's dialect, its turns with an image, and where that is.
WITH_IMAGE: list[tuple[Dialect, list[Any], str]] = [
    (
        CHAT,
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": ADDRESS}}]}],
        "messages[0].content[0]",
    ),
    (
        RESPONSES,
        [{"role": "user", "content": [{"type": "input_image", "image_url": ADDRESS}]}],
        "input[0].content[0]",
    ),
    (MESSAGES, [{"role": "user", "content": [BLOCK]}], "messages[0].content[0]"),
    (
        MESSAGES,
        [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [USE]},
            {"role": "user", "content": [FOUND]},
        ],
        "messages[2].content[0].content[0]",
    ),
]
# A caller's dialect, and a tool as it offers it.
TOOLS: list[tuple[Dialect, dict[str, Any]]] = [
    (CHAT, {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}),
    (RESPONSES, {"type": "function", "name": "look", "parameters": {"type": "object"}}),
    (MESSAGES, {"name": "look", "input_schema": {"type": "object"}}),
]


def asked(dialect: Dialect, turns: list[Any], **members: Any) -> dict[str, Any]:
    name = "input" if dialect is RESPONSES else "messages"
    limit = {"max_tokens": 9} if dialect is MESSAGES else {}
    return {"model": "m", name: turns, **limit, **members}


def carry(dialect: Dialect, body: dict[str, Any], caps: Caps) -> dict[Dialect, dict[str, Any]]:
    """Return the body for each other dialect."""
    request = CallerRequest(dialect, body, Sealer(), seed="s", now=0.0)
    others = [other for other in Dialect if other is not dialect]
    return {other: request.to(Destination(other, "https://h.example", "m", caps)).body for other in others}


@rows(("dialect", "turns", "at"), WITH_IMAGE)
def test_an_image_is_refused_with_its_place_where_the_model_reads_none(
    dialect: Dialect, turns: list[Any], at: str
) -> None:
    body = asked(dialect, turns)
    for kinds in ((), ("text", "image")):
        written = carry(dialect, body, Caps(input=kinds, max_output=99))
        assert all(PNG in str(other) for other in written.values())
    with pytest.raises(Untranslatable, match="known to read text only, and no images") as refused:
        carry(dialect, body, Caps(input=("text",), max_output=99))
    assert refused.value.path == at
    assert 'input = ["text", "image"]' in refused.value.next_step


@rows(("dialect", "tool"), TOOLS)
def test_a_tool_is_refused_where_the_endpoint_takes_none(dialect: Dialect, tool: dict[str, Any]) -> None:
    turns = [{"role": "user", "content": "hi"}]
    body = asked(dialect, turns, tools=[tool])
    assert all("look" in str(other) for other in carry(dialect, body, Caps(max_output=99)).values())
    none = Caps(tools=False, max_output=99)
    assert all("hi" in str(other) for other in carry(dialect, asked(dialect, turns), none).values())
    with pytest.raises(Untranslatable, match="known to take no tools") as refused:
        carry(dialect, body, none)
    assert refused.value.path == "tools[0]"
