"""A script that does what a request asks for, as a model would: it calls the tools that it is offered, and
thinks where it shall."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.identity import Dialect
from .responses_answers import compaction
from .script import Behaviour, SeenRequest, ok, status, wrong_door

_NEEDED = {
    Dialect.OPENAI_CHAT: ("model", "messages"),
    Dialect.OPENAI_RESPONSES: ("model", "input"),
    Dialect.ANTHROPIC_MESSAGES: ("model", "messages", "max_tokens"),
}
_COMPACTION = "/responses/compact"
_RESULTS = ("function_call_output", "tool_result")
_VALUES: dict[str, Any] = {
    "string": "scripted",
    "integer": 1,
    "number": 1,
    "boolean": True,
    "array": [],
    "null": None,
}


def obliging(seen: SeenRequest) -> Behaviour:
    """Return an answer of a model that can do everything: with a call of the first function that is offered,
    unless the request ends with a result; with a thought where the request asks for one; and 400 where a
    member is missing."""
    compacts = seen.path.endswith(_COMPACTION)
    dialect = Dialect.OPENAI_RESPONSES if compacts else seen.dialect
    if dialect is None:
        return wrong_door()
    for member in _NEEDED[dialect]:
        if not seen.asked.get(member) and not seen.path.endswith("/embeddings"):
            return _refused(dialect, member)
    if compacts:
        return status(200, compaction(seen))
    thought = ""
    if _thinks(seen):
        thought = "One word after the other."
    function = _offered(seen)
    if not function or _is_answered(seen):
        return ok(thought=thought)
    schema = function.get("parameters") or function.get("input_schema") or {}
    return ok("", thought=thought, calls=((function["name"], example_of(schema)),))


def example_of(schema: Mapping[str, Any]) -> Any:
    """Return a value that fits a simple schema of an object, or of one of its members."""
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if kind != "object":
        return _VALUES.get(kind, "scripted")
    members = schema.get("properties") or {}
    return {name: example_of(members.get(name) or {}) for name in schema.get("required") or ()}


def _refused(dialect: Dialect, member: str) -> Behaviour:
    error = {"type": "invalid_request_error", "message": f"{member}: field required"}
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        return status(400, {"type": "error", "error": error, "request_id": None})
    return status(400, {"error": error | {"param": member, "code": "missing_required_parameter"}})


def _thinks(seen: SeenRequest) -> bool:
    efforts = seen.asked.get("reasoning_effort"), seen.members("reasoning").get("effort")
    thinking = seen.members("thinking").get("type", "disabled")
    return thinking != "disabled" or any(effort not in (None, "none") for effort in efforts)


def _offered(seen: SeenRequest) -> Mapping[str, Any]:
    """Return the first function that may be called; {} if there is none."""
    if "none" in (seen.asked.get("tool_choice"), seen.members("tool_choice").get("type")):
        return {}
    for tool in seen.entries("tools"):
        if tool.get("type", "custom") == "function" or "input_schema" in tool:
            function: Mapping[str, Any] = tool.get("function", tool)
            return function
    return {}


def _is_answered(seen: SeenRequest) -> bool:
    """Return whether the last thing that a request tells is the result of a call."""
    history = seen.entries("messages") or seen.entries("input")
    if not history:
        return False
    last = history[-1]
    content = last.get("content")
    if isinstance(content, list) and content:
        return content[-1].get("type") in _RESULTS
    return last.get("role") == "tool" or last.get("type") in _RESULTS
