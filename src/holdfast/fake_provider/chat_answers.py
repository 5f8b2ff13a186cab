"""Good answers in OpenAI's chat dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .parts import (
    CALL,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    TEXT,
    THOUGHT,
    THOUGHT_TOKENS,
    AnswerPart,
    model_of,
    parts_of,
    texts,
)
from .script import Behaviour, SeenRequest

_MEMBERS = {THOUGHT: "reasoning_content", TEXT: "content"}


def whole(seen: SeenRequest, behaviour: Behaviour) -> dict[str, Any]:
    """Return a whole answer."""
    parts = parts_of(seen, behaviour)
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    for kind, member in _MEMBERS.items():
        if any(part.kind == kind for part in parts):
            message[member] = texts(parts, kind)
    if calls := [_call(part, part.text) for part in parts if part.kind == CALL]:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(parts)}
    base = _base(seen, behaviour, "chat.completion")
    return {**base, "choices": [choice], "usage": _usage(parts)}


def events(seen: SeenRequest, behaviour: Behaviour) -> Iterator[bytes]:
    """Yield the events of a stream, a word each."""
    parts, base = parts_of(seen, behaviour), _base(seen, behaviour, "chat.completion.chunk")
    counts = seen.members("stream_options").get("include_usage")
    if counts:
        base["usage"] = None

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        return _event({**base, "choices": choices})

    yield b": scripted\n\n"
    yield chunk({"role": "assistant", "content": ""})
    calls = 0
    for part in parts:
        if part.kind != CALL:
            yield from (chunk({_MEMBERS[part.kind]: piece}) for piece in part.pieces)
            continue
        yield chunk({"tool_calls": [{"index": calls, **_call(part, "")}]})
        for piece in part.pieces:
            yield chunk({"tool_calls": [{"index": calls, "function": {"arguments": piece}}]})
        calls += 1
    yield chunk({}, _finish(parts))
    if counts:
        yield _event({**base, "choices": [], "usage": _usage(parts)})
    yield b"data: [DONE]\n\n"


def embeddings(seen: SeenRequest, behaviour: Behaviour) -> dict[str, Any]:
    """Return an embedding."""
    return {
        "object": "list",
        "model": model_of(seen, behaviour),
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25, 0.5]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }


def _base(seen: SeenRequest, behaviour: Behaviour, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{seen.number}",
        "object": kind,
        "created": int(seen.at),
        "model": model_of(seen, behaviour),
    }


def _call(part: AnswerPart, arguments: str) -> dict[str, Any]:
    return {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": arguments}}


def _finish(parts: list[AnswerPart]) -> str:
    return ("stop", "tool_calls")[any(part.kind == CALL for part in parts)]


def _usage(parts: list[AnswerPart]) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "prompt_tokens": INPUT_TOKENS,
        "completion_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    }
    if texts(parts, THOUGHT):
        usage["completion_tokens_details"] = {"reasoning_tokens": THOUGHT_TOKENS}
    return usage


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()
