"""The parts of an answer in chat: what streams and whole answers have in common, and a whole message."""

from __future__ import annotations

from typing import Any

from ..core.faults import FaultClass
from ..values.plain_text import plain
from .caller_errors import chat_words
from .context import Caller
from .events import Answer, BrokenOff, Start, Stop, Usage, Why
from .form import FREE, Call, Refusal, Seal, Text, Thinking
from .free_text import text_of_free_tool
from .names import made_id

_K = FaultClass
_PREFIX = "chatcmpl-"
FINISHES = {
    Why.DONE: "stop",
    Why.TOOLS: "tool_calls",
    Why.LENGTH: "length",
    Why.STOP_SEQUENCE: "stop",
    Why.REFUSED: "content_filter",
    Why.CONTEXT: "length",
}
MEMBERS: dict[type, str] = {Text: "content", Thinking: "reasoning_content", Refusal: "refusal"}
"""The members of a message, and of a delta, that hold the texts of parts."""


def base_of(caller: Caller, start: Start, kind: str) -> dict[str, Any]:
    """Return the members of every chunk. The provider's id stands behind the dialect's prefix."""
    given = start.id or made_id("", caller.seed)
    return {
        "id": _PREFIX + given.removeprefix(_PREFIX),
        "object": kind,
        "created": start.created or int(caller.now),
        "model": start.model or caller.request.model,
    }


def message_of(answer: Answer, caller: Caller) -> dict[str, Any]:
    """Return the message of a whole answer."""
    texts: dict[str, list[str]] = {"content": [], "reasoning_content": [], "refusal": []}
    calls: list[dict[str, Any]] = []
    details: list[dict[str, Any]] = []
    for part in answer.parts:
        if isinstance(part, Call):
            calls.append(_whole_call(part, caller))
            details = with_call(details, part.id)
        elif isinstance(part, Text | Thinking | Refusal):
            texts[MEMBERS[type(part)]].append(part.text)
        if isinstance(part, Thinking) and part.seal is not None:
            details.append(detail_of(caller, part.seal, len(details), len(part.text)))
    content, thought, refusal = map("".join, texts.values())
    if answer.stop is not None and answer.stop.why is Why.REFUSED:
        refusal = refusal or answer.stop.text
    message: dict[str, Any] = {
        "role": "assistant",
        "content": content or None,
        "refusal": refusal or None,
        "annotations": [],
    }
    added = {"reasoning_content": thought, "reasoning_details": details, "tool_calls": calls}
    return {**message, **{name: value for name, value in added.items() if value}}


def tool_of(call: Call, caller: Caller) -> tuple[str, bool]:
    """Return the caller's name of a tool, and whether it is called with a text."""
    tool = caller.names.tool(call.name)
    if tool is None:
        caller.losses.note("unknown_tool")
        return call.name, call.kind is FREE
    return tool.name, tool.kind is FREE


def _whole_call(call: Call, caller: Caller) -> dict[str, Any]:
    name, custom = tool_of(call, caller)
    args = call.args
    if custom and call.kind is not FREE:
        args = text_of_free_tool(args)
    return call_of(call.id, name, args, custom=custom)


def with_call(details: list[dict[str, Any]], call: str) -> list[dict[str, Any]]:
    """Return sealed thoughts with the id of the call that follows them, where they have none yet."""
    return [{**detail, "id": detail["id"] or call or None} for detail in details]


def call_of(given: str, name: str, args: str, *, custom: bool) -> dict[str, Any]:
    """Return a call of a function, or of a custom tool."""
    if custom:
        return {"id": given, "type": "custom", "custom": {"name": name, "input": args}}
    return {"id": given, "type": "function", "function": {"name": name, "arguments": args}}


def detail_of(caller: Caller, seal: Seal, index: int, length: int) -> dict[str, Any]:
    """Return a sealed thought. `length` says how many characters of `reasoning_content` are the thought's."""
    data = caller.sealer.seal(seal)
    return {"type": "reasoning.encrypted", "id": None, "index": index, "data": data, "length": length}


def usage_of(usage: Usage, caller: Caller) -> dict[str, Any] | None:
    """Return the counts; None if the provider did not tell them, which is a loss."""
    if usage.input is None or usage.output is None:
        caller.losses.note("usage")
        return None
    counts: dict[str, Any] = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }
    details = {
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "completion_tokens_details": {"reasoning_tokens": usage.thinking},
    }
    for name, members in details.items():
        known = {member: count for member, count in members.items() if count is not None}
        if known:
            counts[name] = known
    return counts


def note_of(stop: Stop) -> dict[str, Any]:
    """Return what chat has no word for: that the context was full, not the limit of output reached."""
    if stop.why is not Why.CONTEXT:
        return {}
    return {"holdfast": {"class": _K.CONTEXT_OVERFLOW}}


def failed(stop: Stop | None) -> BrokenOff:
    """Return the error of an answer that has no good end."""
    if stop is None or not stop.text:
        return BrokenOff("the provider's answer has no end", _K.TRANSIENT)
    return BrokenOff(stop.text, _K.TRANSIENT)


def error_of(broken: BrokenOff) -> dict[str, Any]:
    """Return the error, as a body or as the last event of a stream."""
    kind, code = chat_words(broken.kind)
    facts = {"class": broken.kind}
    if broken.code:
        facts["provider_code"] = broken.code
    error = {"message": plain(broken.text), "type": kind, "code": code, "param": None}
    return {"error": error | {"holdfast": facts}}
