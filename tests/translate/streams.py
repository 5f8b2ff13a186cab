"""Chunks of chat endpoints, callers, and what becomes of one in the dialect of the other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from holdfast.translate.caps import Caps
from holdfast.translate.context import Caller
from holdfast.translate.envelope import Sealer
from holdfast.translate.events import DONE, AnswerWriter, Event
from holdfast.translate.form import Effort, Request, Role, Text, Tool, ToolKind, Turn
from holdfast.translate.from_chat import ChatReader
from holdfast.translate.losses import Losses
from holdfast.translate.names import ToolNames
from holdfast.translate.to_chat import ChatWriter
from holdfast.translate.to_messages import MessagesWriter
from holdfast.translate.to_responses import ResponsesWriter

Wire = dict[str, Any]
TOOLS = (
    Tool("get_w", description="the weather", schema={"type": "object", "properties": {}}),
    Tool("read"),
    Tool("apply_patch", ToolKind.FREE),
    Tool("find_tools", ToolKind.SEARCH),
    Tool("run", group="shell"),
)
WRITERS: dict[str, type[AnswerWriter]] = {
    "messages": MessagesWriter,
    "responses": ResponsesWriter,
    "chat": ChatWriter,
}
MARK = "0123456789abcdef"


def caller_of(tools: Iterable[Tool] = TOOLS, *, summed_up: bool = False, usage_asked: bool = True) -> Caller:
    """Return a caller that offers tools."""
    losses, tools = Losses(), tuple(tools)
    request = Request(
        "house",
        (Turn(Role.USER, (Text("hello"),)),),
        tools,
        effort=Effort(shown=summed_up),
        stream=True,
        usage_asked=usage_asked,
    )
    names = ToolNames(tools, losses)
    return Caller(request, names, Sealer(b"key"), MARK, 1_700_000_000.0, "seed", losses)


def chunk(delta: Wire | None = None, finish: str | None = None, **members: Any) -> Wire:
    """Return a chunk of a chat stream."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_690_000_000,
        "model": "gpt-x",
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}],
        **members,
    }


def called(
    args: str | None = None, *, index: int | None = 0, id: str | None = None, name: str | None = None
) -> Wire:
    """Return a chunk with a piece of a call."""
    function = {"name": name, "arguments": args}
    piece: Wire = {"function": {key: value for key, value in function.items() if value is not None}}
    if index is not None:
        piece["index"] = index
    if id is not None:
        piece |= {"id": id, "type": "function"}
    return chunk({"tool_calls": [piece]})


def usage(asked: int, answered: int, **details: Any) -> Wire:
    """Return the last chunk of a chat stream, which counts the tokens."""
    counts = {"prompt_tokens": asked, "completion_tokens": answered, **details}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": counts}


def read(chunks: Iterable[Mapping[str, Any]], *, done: bool = True, caps: Caps | None = None) -> list[Event]:
    """Return the events that a chat stream means."""
    reader = ChatReader(caps or Caps(), MARK, "seed", Losses())
    events = [event for data in chunks for event in reader.feed(data)]
    if done:
        events += reader.feed(DONE)
    return events + reader.end()


def write(events: Iterable[Event], dialect: str, caller: Caller | None = None) -> list[Wire]:
    """Return what a caller of a dialect gets of events, as it reads it: through JSON."""
    return [json.loads(json.dumps(data)) for data in write_fast(events, dialect, caller)]


def write_fast(events: Iterable[Event], dialect: str, caller: Caller | None = None) -> list[Wire]:
    """Return what a caller of a dialect gets of events, as the writer gives it."""
    writer = WRITERS[dialect](caller or caller_of())  # type: ignore[call-arg]
    return [data for event in events for data in writer.feed(event)]
