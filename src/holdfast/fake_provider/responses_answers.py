"""Good answers in OpenAI's Responses dialect."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
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

Wire = dict[str, Any]
_DEFAULTS: Wire = {
    "background": False,
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
}
"""What a response repeats of its request, and the value where the request is silent."""
_OPAQUE = "c2NyaXB0ZWQ="
_FUNCTION: Wire = {"description": None, "parameters": None, "strict": True}


def whole(seen: SeenRequest, behaviour: Behaviour) -> Wire:
    """Return a whole answer."""
    parts = parts_of(seen, behaviour)
    output = [_item(part, index, seen) for index, part in enumerate(parts)]
    return _response(seen, behaviour, _ended(seen, output, parts))


def events(seen: SeenRequest, behaviour: Behaviour) -> Iterator[bytes]:
    """Yield the events of a stream, a word each."""
    numbers = itertools.count()

    def event(kind: str, **members: Any) -> bytes:
        return named_event(kind, sequence_number=next(numbers), **members)

    begun = _response(seen, behaviour, {"status": "in_progress", "output": [], "usage": None})
    yield event("response.created", response=begun)
    yield event("response.in_progress", response=begun)
    for index, part in enumerate(parts_of(seen, behaviour)):
        item = _item(part, index, seen)
        hollow = {name: value for name, value in _HOLLOW[part.kind].items() if name in item}
        yield event("response.output_item.added", output_index=index, item=item | hollow)
        at = {"item_id": item["id"], "output_index": index}
        if part.kind != THOUGHT or item["summary"]:
            yield from _INNER[part.kind](part, at, item, event)
        yield event("response.output_item.done", output_index=index, item=item)
    yield event("response.completed", response=whole(seen, behaviour))


_HOLLOW: dict[str, Wire] = {
    TEXT: {"content": [], "status": "in_progress"},
    CALL: {"arguments": "", "status": "in_progress"},
    THOUGHT: {"summary": [], "encrypted_content": ""},
}
_Event = Callable[..., bytes]


def _text_events(part: AnswerPart, at: Wire, item: Wire, event: _Event) -> Iterator[bytes]:
    at, last = at | {"content_index": 0}, item["content"][0]
    yield event("response.content_part.added", **at, part=last | {"text": ""})
    for piece in part.pieces:
        yield event("response.output_text.delta", **at, delta=piece, logprobs=[])
    yield event("response.output_text.done", **at, text=part.text, logprobs=[])
    yield event("response.content_part.done", **at, part=last)


def _call_events(part: AnswerPart, at: Wire, _item: Wire, event: _Event) -> Iterator[bytes]:
    for piece in part.pieces:
        yield event("response.function_call_arguments.delta", **at, delta=piece)
    yield event("response.function_call_arguments.done", **at, arguments=part.text, name=part.name)


def _summary_events(part: AnswerPart, at: Wire, item: Wire, event: _Event) -> Iterator[bytes]:
    at, last = at | {"summary_index": 0}, item["summary"][0]
    yield event("response.reasoning_summary_part.added", **at, part=last | {"text": ""})
    for piece in part.pieces:
        yield event("response.reasoning_summary_text.delta", **at, delta=piece)
    yield event("response.reasoning_summary_text.done", **at, text=part.text)
    yield event("response.reasoning_summary_part.done", **at, part=last)


_INNER = {TEXT: _text_events, CALL: _call_events, THOUGHT: _summary_events}


def _item(part: AnswerPart, index: int, seen: SeenRequest) -> Wire:
    """Return an item. A thought is told in a summary if the request asks for one."""
    number = index + 1
    if part.kind == CALL:
        made = {"type": "function_call", "id": f"fc_{number}", "call_id": part.id, "name": part.name}
        return made | {"arguments": part.text, "status": "completed"}
    if part.kind == TEXT:
        content = [{"type": "output_text", "text": part.text, "annotations": [], "logprobs": []}]
        made = {"type": "message", "id": f"msg_{number}", "status": "completed", "role": "assistant"}
        return made | {"content": content}
    thought: Wire = {"type": "reasoning", "id": f"rs_{number}", "summary": []}
    if _reasoning(seen)["summary"]:
        thought["summary"] = [{"type": "summary_text", "text": part.text}]
    if "reasoning.encrypted_content" in seen.entries("include"):
        thought["encrypted_content"] = _OPAQUE
    return thought


def _ended(seen: SeenRequest, output: list[Wire], parts: list[AnswerPart]) -> Wire:
    usage = {
        "input_tokens": INPUT_TOKENS,
        "output_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": THOUGHT_TOKENS if texts(parts, THOUGHT) else 0},
    }
    return {"status": "completed", "completed_at": int(seen.at), "output": output, "usage": usage}


def compaction(seen: SeenRequest) -> Wire:
    """Return a conversation in its compact form, which only the provider can read."""
    item = {"type": "compaction", "id": "cmp_1", "encrypted_content": _OPAQUE}
    usage = _ended(seen, [], [])["usage"]
    head = {"id": f"resp_{seen.number}", "object": "response.compaction", "created_at": int(seen.at)}
    return head | {"output": [item], "usage": usage}


def _reasoning(seen: SeenRequest) -> Wire:
    return {"effort": None, "summary": None} | seen.members("reasoning")


def _response(seen: SeenRequest, behaviour: Behaviour, state: Wire) -> Wire:
    """Return a response: its head, what it repeats of the request, and its state."""
    asked = seen.asked
    repeated = {name: value for name, value in asked.items() if name in _DEFAULTS and value is not None}
    return {
        "id": f"resp_{seen.number}",
        "object": "response",
        "created_at": int(seen.at),
        "completed_at": None,
        "model": model_of(seen, behaviour),
        "error": None,
        "incomplete_details": None,
        **_DEFAULTS,
        **repeated,
        "text": {**_DEFAULTS["text"], **seen.members("text")},
        "reasoning": _reasoning(seen),
        "tools": [_tool(tool) for tool in seen.entries("tools")],
        **state,
    }


def _tool(tool: Any) -> Any:
    if isinstance(tool, dict) and tool.get("type") == "function":
        return _FUNCTION | tool
    return tool
