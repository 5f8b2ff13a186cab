"""Chat requests as an endpoint that speaks Messages gets them, and the parts that they are made of."""

from __future__ import annotations

import copy
from typing import Any

from anthropic.types.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)

from holdfast.translate import read_chat, write_messages
from holdfast.translate.caps import Caps
from holdfast.translate.context import Target
from holdfast.translate.envelope import Sealer
from holdfast.translate.form import Opaque, Seal
from holdfast.translate.losses import Losses
from holdfast.translate.names import ToolNames
from sdk_types import faults

SEALER = Sealer(b"key of a home")
MARK = SEALER.mark("https://api.example", "claude")
OTHER_MARK = SEALER.mark("https://api.example", "another")
USER = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
TOOL_WRITTEN = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
FREE = {"type": "custom", "custom": {"name": "patch", "description": "Patch.", "format": {"type": "text"}}}
TEXT_ARGUMENT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
PNG = "data:image/png;base64,aaaa"
PDF = "data:application/pdf;base64,aaaa"
BUDGET = {"thinking": "budget"}
ADAPTIVE = {"thinking": "adaptive", "efforts": ("low", "medium", "high", "xhigh")}


def translated(body: dict[str, Any], **caps: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    losses = Losses()
    request = read_chat.read({"model": "m", "messages": [USER], **body}, SEALER, losses)
    given = Caps(**{"max_output": 4096, **caps})
    target = Target(given, MARK, "claude", ToolNames(request.tools, losses), losses)
    written = write_messages.write(request, target)
    assert wrong(written) == []
    return written, losses.names


def wrong(body: dict[str, Any]) -> list[str]:
    """What of a request does not fit Anthropic's own types. They name three members no longer that older
    models take."""
    kind: Any = MessageCreateParamsNonStreaming
    if body.get("stream"):
        kind = MessageCreateParamsStreaming
    return faults({name: body[name] for name in body.keys() - {"temperature", "top_p", "top_k"}}, kind)


def sealed(kind: Opaque, value: str = "", mark: str = MARK) -> str:
    return SEALER.seal(Seal(kind, value, mark))


def call(args: str = "{}", name: str = "f", at: str = "a") -> dict[str, Any]:
    return {"id": at, "type": "function", "function": {"name": name, "arguments": args}}


def calling(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}


def result(content: Any = "done", at: str = "a") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": at, "content": content}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def told(role: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


def used(given: dict[str, Any], name: str = "f", at: str = "a") -> dict[str, Any]:
    return {"type": "tool_use", "id": at, "name": name, "input": given}


def answered(content: Any = "done", at: str = "a") -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": at, "content": content}


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aaaa"}}
HI = told("user", text("hi"))


def changed(whole: dict[str, Any], changes: list[tuple[int, Any]]) -> dict[str, Any]:
    """A copy of a request in which members have other values, each by its number."""
    body = copy.deepcopy(whole)
    slots = _slots(body)
    for number, value in changes:
        holder, key = slots[number % len(slots)]
        holder[key] = value
    return body


def _slots(value: Any) -> list[tuple[Any, Any]]:
    """Every object or list in a value, with each of its keys."""
    keys: list[Any] = []
    if isinstance(value, dict):
        keys = list(value)
    elif isinstance(value, list):
        keys = list(range(len(value)))
    return [(value, key) for key in keys] + [slot for key in keys for slot in _slots(value[key])]
