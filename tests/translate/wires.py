"""Answers of the Messages and Responses dialects, made from a list of parts; callers that speak chat, and
what they get.

A part is ("text", words), ("thinking", words, signature), ("redacted", data), ("refusal", words) or
("call", id, name, arguments).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from holdfast.translate.caps import Caps
from holdfast.translate.context import Caller
from holdfast.translate.envelope import Sealer
from holdfast.translate.events import Answer, AnswerReader, Event, fold
from holdfast.translate.form import (
    Call,
    Opaque,
    Part,
    Refusal,
    Request,
    Seal,
    Text,
    Thinking,
    Tool,
    ToolKind,
)
from holdfast.translate.from_messages import MessagesReader
from holdfast.translate.from_responses import ResponsesReader
from holdfast.translate.losses import Losses
from holdfast.translate.names import ToolNames
from holdfast.translate.to_chat import ChatWriter

Wire = dict[str, Any]
Split = Callable[[str], Sequence[str]]
MARK, SEED, SEALER = "a" * 16, "request-1", Sealer(b"key")
READERS: dict[str, type[AnswerReader]] = {"messages": MessagesReader, "responses": ResponsesReader}
TOOLS = (Tool("get_w"), Tool("apply_patch", ToolKind.FREE), Tool("list", group="files"), Tool("a b"))


def whole(text: str) -> list[str]:
    """Return a text in one piece."""
    return [text]


def reader(dialect: str, caps: Caps | None = None, losses: Losses | None = None) -> AnswerReader:
    """Return a reader of a new answer."""
    return READERS[dialect](caps=caps or Caps(), mark=MARK, seed=SEED, losses=losses or Losses())


def caller(*, usage_asked: bool = True, exact: bool = False) -> Caller:
    """Return a caller that speaks chat and offers TOOLS."""
    losses = Losses(exact=exact)
    request = Request("their/model", (), TOOLS, stream=True, usage_asked=usage_asked)
    names = ToolNames(TOOLS, losses)
    return Caller(request=request, names=names, sealer=SEALER, mark=MARK, now=99.5, seed=SEED, losses=losses)


def read(dialect: str, events: Iterable[Any], caps: Caps | None = None) -> list[Event]:
    """Return what a stream means."""
    read_by = reader(dialect, caps)
    meant = [each for event in events for each in read_by.feed(event)]
    return meant + read_by.end()


def answer(dialect: str, events: Iterable[Any], caps: Caps | None = None) -> Answer:
    """Return the answer that a stream makes."""
    return fold(read(dialect, events, caps))


def written(events: Iterable[Event], for_caller: Caller | None = None) -> list[Wire]:
    """Return the chunks that a caller gets."""
    writer = ChatWriter(for_caller or caller())
    return [chunk for event in events for chunk in writer.feed(event)]


# --- Messages ---


def message(content: list[Wire], **members: Any) -> Wire:
    """Return a whole message."""
    usual = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_sequence": None}
    return {**usual, "content": content, "stop_reason": "end_turn", **members}


def block_of(part: Sequence[str]) -> Wire:
    """Return a part as a block of a message."""
    kind, *values = part
    if kind == "call":
        given, name, args = values
        return {"type": "tool_use", "id": given, "name": name, "input": json.loads(args)}
    if kind == "thinking":
        return {"type": "thinking", "thinking": values[0], "signature": values[1]}
    if kind == "redacted":
        return {"type": "redacted_thinking", "data": values[0]}
    return {"type": "text", "text": values[0], "citations": None}


_EMPTY = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
    "redacted_thinking": {},
}
_PIECES = {
    "text": ("text_delta", "text"),
    "thinking": ("thinking_delta", "thinking"),
    "tool_use": ("input_json_delta", "partial_json"),
}


def message_stream(
    parts: Sequence[Sequence[str]],
    split: Split = whole,
    *,
    stop: str | None = None,
    usage: Wire | None = None,
) -> list[Wire]:
    """Return a stream of events."""
    start = message([], stop_reason=None, usage={"input_tokens": 0, "output_tokens": 1})
    events: list[Wire] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, part in enumerate(parts):
        block = block_of(part)
        kind, texts = block["type"], {"tool_use": part[-1]}
        events.append(_event("start", index, content_block=block | _EMPTY[kind]))
        if kind in _PIECES:
            name, member = _PIECES[kind]
            pieces = split(texts.get(kind, block.get(member)))
            events += [_event("delta", index, delta={"type": name, member: piece}) for piece in pieces]
        if kind == "thinking":
            signed = {"type": "signature_delta", "signature": block["signature"]}
            events.append(_event("delta", index, delta=signed))
        events.append(_event("stop", index))
    reason = stop or ("end_turn", "tool_use")[any(part[0] == "call" for part in parts)]
    ending = {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}}
    return [*events, ending | {"usage": usage or {"output_tokens": 7}}, {"type": "message_stop"}]


def _event(name: str, index: int, **members: Any) -> Wire:
    return {"type": f"content_block_{name}", "index": index, **members}


# --- Responses ---


def response(output: list[Wire], **members: Any) -> Wire:
    """Return a whole response."""
    usual = {"id": "resp_1", "object": "response", "created_at": 55, "model": "gpt", "status": "completed"}
    usual |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "metadata": {}}
    return {**usual, "error": None, "incomplete_details": None, "output": output, **members}


def item_of(index: int, part: Sequence[str]) -> Wire:
    """Return a part as an item."""
    kind, *values = part
    usual = {"id": f"item_{index}", "status": "completed"}
    if kind == "call":
        given, name, args = values
        return {**usual, "type": "function_call", "call_id": given, "name": name, "arguments": args}
    if kind == "thinking":
        summary = [{"type": "summary_text", "text": values[0]}]
        return {**usual, "type": "reasoning", "summary": summary, "encrypted_content": values[1]}
    part_of = {
        "text": {"type": "output_text", "text": values[0], "annotations": []},
        "refusal": {"type": "refusal", "refusal": values[0]},
    }
    return {**usual, "type": "message", "role": "assistant", "content": [part_of[kind]]}


_DELTAS = {
    "text": "response.output_text",
    "refusal": "response.refusal",
    "thinking": "response.reasoning_summary_text",
    "call": "response.function_call_arguments",
}
_LAST = {"text": "text", "refusal": "refusal", "thinking": "text", "call": "arguments"}


def item_stream(index: int, part: Sequence[str], split: Split = whole) -> Iterator[Wire]:
    """Yield the events of one item."""
    kind, item = part[0], item_of(index, part)
    text = part[3] if kind == "call" else part[1]
    at = {"output_index": index, "item_id": item["id"]}
    hollow = {"content": [], "summary": [], "arguments": "", "encrypted_content": None}
    empty = item | {name: value for name, value in hollow.items() if name in item}
    yield {"type": "response.output_item.added", **at, "item": empty}
    if kind in ("text", "refusal"):
        at["content_index"] = 0
        opened = item["content"][0] | {_LAST[kind]: ""}
        yield {"type": "response.content_part.added", **at, "part": opened}
    at |= {"text": {"logprobs": []}, "thinking": {"summary_index": 0}}.get(kind, {})
    for piece in split(text):
        yield {"type": f"{_DELTAS[kind]}.delta", **at, "delta": piece}
    yield {"type": f"{_DELTAS[kind]}.done", **at, _LAST[kind]: text}
    if kind in ("text", "refusal"):
        yield {"type": "response.content_part.done", **at, "part": item["content"][0]}
    yield {"type": "response.output_item.done", **at, "item": item}


def response_stream(
    parts: Sequence[Sequence[str]], split: Split = whole, *, output: bool = True, **members: Any
) -> list[Wire]:
    """Return a stream of events, one item after another."""
    streams = [event for index, part in enumerate(parts) for event in item_stream(index, part, split)]
    return framed(streams, parts, output=output, **members)


def framed(
    events: Sequence[Wire], parts: Sequence[Sequence[str]], *, output: bool = True, **members: Any
) -> list[Wire]:
    """Return events of items between the first and the last event of a response."""
    items = [item_of(index, part) for index, part in enumerate(parts)]
    final = response(items if output else [], **members)
    first = response([], status="in_progress")
    whole_stream = [
        {"type": "response.created", "response": first},
        {"type": "response.in_progress", "response": first},
        *events,
        {"type": f"response.{final['status']}", "response": final},
    ]
    return [event | {"sequence_number": number} for number, event in enumerate(whole_stream)]


STREAMS: dict[str, Callable[..., list[Wire]]] = {"messages": message_stream, "responses": response_stream}


# --- what both become ---


def part_of(dialect: str, index: int, part: Sequence[str]) -> Part:
    """Return what a part becomes."""
    kind, *values = part
    if kind == "call":
        return Call(*values)
    if kind == "redacted":
        return Thinking("", Seal(Opaque.REDACTED, values[0], MARK))
    if kind == "thinking":
        opaque = {"messages": Opaque.SIGNATURE, "responses": Opaque.ENCRYPTED}[dialect]
        item = {"messages": "", "responses": f"item_{index}"}[dialect]
        return Thinking(values[0], Seal(opaque, values[1], MARK, item))
    return {"text": Text, "refusal": Refusal}[kind](values[0])
