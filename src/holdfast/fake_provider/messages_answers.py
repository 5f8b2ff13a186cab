"""Good answers in Anthropic's Messages dialect."""

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
    named_event,
    parts_of,
    texts,
)
from .script import Behaviour, SeenRequest

_SIGNATURE = "c2NyaXB0ZWQ="
_DELTAS = {
    THOUGHT: ("thinking_delta", "thinking"),
    TEXT: ("text_delta", "text"),
    CALL: ("input_json_delta", "partial_json"),
}


def whole(seen: SeenRequest, behaviour: Behaviour) -> dict[str, Any]:
    """Return a whole answer."""
    parts = parts_of(seen, behaviour)
    message = _message(seen, behaviour, [_block(part) for part in parts], _stop(parts))
    message["usage"] |= _output(parts)
    return message


def events(seen: SeenRequest, behaviour: Behaviour) -> Iterator[bytes]:
    """Yield the events of a stream, a word each."""
    parts = parts_of(seen, behaviour)
    yield named_event("message_start", message=_message(seen, behaviour, [], None))
    yield named_event("ping")
    for index, part in enumerate(parts):
        kind, member = _DELTAS[part.kind]
        yield named_event("content_block_start", index=index, content_block=_block(part) | _EMPTY[part.kind])
        for piece in part.pieces:
            yield named_event("content_block_delta", index=index, delta={"type": kind, member: piece})
        if part.kind == THOUGHT:
            delta = {"type": "signature_delta", "signature": _SIGNATURE}
            yield named_event("content_block_delta", index=index, delta=delta)
        yield named_event("content_block_stop", index=index)
    ending = {"container": None, "stop_reason": _stop(parts), "stop_sequence": None, "stop_details": None}
    yield named_event("message_delta", delta=ending, usage=_output(parts))
    yield named_event("message_stop")


def _block(part: AnswerPart) -> dict[str, Any]:
    if part.kind == THOUGHT:
        return {"type": "thinking", "thinking": part.text, "signature": _SIGNATURE}
    if part.kind == TEXT:
        return {"type": "text", "text": part.text, "citations": None}
    made = {"type": "tool_use", "id": part.id, "name": part.name, "input": json.loads(part.text)}
    return made | {"caller": {"type": "direct"}}


_EMPTY: dict[str, dict[str, Any]] = {
    THOUGHT: {"thinking": "", "signature": ""},
    TEXT: {"text": ""},
    CALL: {"input": {}},
}


def _output(parts: list[AnswerPart]) -> dict[str, Any]:
    """Return the counts that are known at the end."""
    if not texts(parts, THOUGHT):
        return {"output_tokens": OUTPUT_TOKENS}
    details = {"thinking_tokens": THOUGHT_TOKENS}
    return {"output_tokens": OUTPUT_TOKENS, "output_tokens_details": details}


def _stop(parts: list[AnswerPart]) -> str:
    return ("end_turn", "tool_use")[any(part.kind == CALL for part in parts)]


def _message(
    seen: SeenRequest, behaviour: Behaviour, content: list[dict[str, Any]], stop: str | None
) -> dict[str, Any]:
    usage = {
        "input_tokens": INPUT_TOKENS,
        "output_tokens": OUTPUT_TOKENS,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": None,
        "inference_geo": None,
        "output_tokens_details": None,
        "server_tool_use": None,
        "service_tier": "standard",
    }
    return {
        "id": f"msg_{seen.number}",
        "type": "message",
        "role": "assistant",
        "model": model_of(seen, behaviour),
        "content": content,
        "container": None,
        "stop_reason": stop,
        "stop_sequence": None,
        "stop_details": None,
        "usage": usage,
    }
