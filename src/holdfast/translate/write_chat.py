"""Writes a chat request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .caps import effort_for
from .chat_turns import ChatTurns
from .context import Target
from .form import Choose, Flag, Request, Tool, ToolKind
from .names import wire_name

_NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}
_FREE_PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string", "description": "The text that the tool takes."}},
    "required": ["input"],
    "additionalProperties": False,
}
_MODES = {Choose.AUTO: "auto", Choose.NONE: "none", Choose.ANY: "required"}
_THIRDS = ("low", "medium", "high")


def write(request: Request, target: Target) -> dict[str, Any]:
    """Return the body of a chat request. Raises Untranslatable about what the endpoint does not take."""
    turns = ChatTurns(request, target)
    body: dict[str, Any] = {"model": target.model, "messages": turns.messages()}
    body |= _tools(request, target)
    body |= _limits(request, target)
    body |= _sampling(request, target)
    body |= _shape(request, target)
    body |= _effort(request, target, turns.thoughtless)
    body |= _hints(request, target)
    if request.stream:
        body["stream"] = True
    if request.stream and target.caps.usage_asked:
        body["stream_options"] = {"include_usage": True}
    return body


def _tools(request: Request, target: Target) -> dict[str, Any]:
    offered: dict[str, dict[str, Any]] = {}
    served: Tool | None = None
    for tool in request.tools:
        if tool.kind is ToolKind.SERVED:
            served = tool
            target.losses.less(_withdrawn(tool), tool.at)
        else:
            offered.setdefault(wire_name(tool.group, tool.name), _tool(tool, target))
    mode = Choose.AUTO
    if request.choice:
        mode = request.choice.mode
    if served and not offered and mode is not Choose.NONE:
        target.losses.refuse(served.at, f"'{served.name}' runs at the provider, and there is no other tool")
    if mode is Choose.NONE and not target.caps.tool_choice:
        return {}
    if not offered:
        _refuse_choice(request, target, mode, "there are no tools")
        return {}
    return {"tools": list(offered.values())} | _choice(request, target, mode) | _parallel(request, target)


def _withdrawn(tool: Tool) -> str:
    if tool.served.startswith("web_search"):
        return "web_search"
    return "served_tools"


def _choice(request: Request, target: Target, mode: Choose) -> dict[str, Any]:
    choice = request.choice
    if choice is None:
        return {}
    if not target.caps.tool_choice:
        _refuse_choice(request, target, mode, "the endpoint lets the model choose")
        return {}
    if mode is not Choose.ONE:
        return {"tool_choice": _MODES[mode]}
    name = wire_name(choice.group, choice.name)
    if target.names.tool(name) is None:
        target.losses.refuse(choice.at, f"the tool '{choice.name}' cannot be offered at the endpoint")
    return {"tool_choice": {"type": "function", "function": {"name": name}}}


def _refuse_choice(request: Request, target: Target, mode: Choose, why: str) -> None:
    if request.choice and mode in (Choose.ANY, Choose.ONE):
        target.losses.refuse(request.choice.at, f"a tool must be called, but {why}")


def _parallel(request: Request, target: Target) -> dict[str, Any]:
    if request.parallel is Flag.UNSET:
        return {}
    if target.caps.parallel_flag:
        return {"parallel_tool_calls": request.parallel is Flag.ON}
    if request.parallel is Flag.OFF:
        target.losses.less("parallel", request.path("parallel_tool_calls"))
    return {}


def _tool(tool: Tool, target: Target) -> dict[str, Any]:
    function: dict[str, Any] = {"name": wire_name(tool.group, tool.name)}
    description, parameters = _described(tool, target)
    if description:
        function["description"] = description
    function["parameters"] = parameters
    if tool.group:
        target.losses.less("namespace", tool.at)
    if tool.strict is Flag.ON and target.caps.strict:
        function["strict"] = True
    elif tool.strict is Flag.ON:
        target.losses.less("strict", tool.at)
    return {"type": "function", "function": function}


def _described(tool: Tool, target: Target) -> tuple[str, Mapping[str, Any]]:
    """Return a tool's description and parameters."""
    if tool.kind is ToolKind.SEARCH:
        target.losses.less("tool_search", tool.at)
    if tool.kind is not ToolKind.FREE:
        return tool.description, tool.schema or _NO_PARAMETERS
    if not tool.grammar:
        return tool.description, _FREE_PARAMETERS
    target.losses.less("grammar", tool.at)
    grammar = f"The input must follow this grammar:\n{tool.grammar}"
    return "\n\n".join(filter(None, (tool.description, grammar))), _FREE_PARAMETERS


def _limits(request: Request, target: Target) -> dict[str, Any]:
    limits, caps = request.limits, target.caps
    written: dict[str, Any] = {}
    if limits.max_output is not None:
        written[caps.max_tokens] = _lowered(limits.max_output, request, target)
    if len(limits.stop) > caps.stop_limit:
        what = f"the endpoint takes {caps.stop_limit} stop sequences, not {len(limits.stop)}"
        target.losses.refuse(request.path("stop"), what)
    if limits.stop:
        written["stop"] = list(limits.stop)
    return written


def _lowered(wanted: int, request: Request, target: Target) -> int:
    most = target.caps.max_output
    if most is None or wanted <= most:
        return wanted
    target.losses.less("max_tokens", request.path("max_tokens"))
    return most


def _sampling(request: Request, target: Target) -> dict[str, Any]:
    limits, caps = request.limits, target.caps
    written: dict[str, Any] = {}
    for name, value in (("temperature", limits.temperature), ("top_p", limits.top_p)):
        if value is None:
            continue
        if caps.temperature:
            written[name] = value
        elif value != 1:
            target.losses.less("temperature", request.path(name))
    if limits.top_k is not None and caps.top_k:
        written["top_k"] = limits.top_k
    elif limits.top_k is not None:
        target.losses.less("top_k", request.path("top_k"))
    return written


def _shape(request: Request, target: Target) -> dict[str, Any]:
    shape, caps = request.shape, target.caps
    if shape is None:
        return {}
    if shape.schema is None and caps.json_object:
        return {"response_format": {"type": "json_object"}}
    if shape.schema is None or not caps.schema:
        target.losses.refuse(request.path("response_format"), "the endpoint gives no answers of this form")
    written: dict[str, Any] = {"name": shape.name or "answer", "schema": shape.schema}
    if shape.description:
        written["description"] = shape.description
    if shape.strict is not Flag.UNSET:
        written["strict"] = shape.strict is Flag.ON
    return {"response_format": {"type": "json_schema", "json_schema": written}}


def _effort(request: Request, target: Target, thoughtless: str) -> dict[str, Any]:
    """Write how much to think: nothing, if the endpoint would want thoughts back that are not there."""
    caps, losses = target.caps, target.losses
    level = _level(request)
    if thoughtless and level != "none":
        losses.less("reasoning_not_returned", thoughtless)
        level = "none"
        if not caps.effort_off:
            losses.refuse(thoughtless, "the model wants its thoughts back, and another one made this call")
    if not level:
        return {}
    known = effort_for(caps, level)
    if known not in (level, "disabled") or _is_budget(request):
        losses.less("effort", request.path("reasoning_effort"))
    if known == "disabled":
        return {"thinking": {"type": "disabled"}}
    if not known:
        return {}
    return {"reasoning_effort": known}


def _is_budget(request: Request) -> bool:
    return not request.effort.level and request.effort.budget is not None


def _level(request: Request) -> str:
    """Return the level of effort. A budget is one by the third of the answer's limit in which it is."""
    effort, most = request.effort, request.limits.max_output
    if effort.level or effort.budget is None:
        return effort.level
    if not most:
        return "medium"
    return _THIRDS[min(2, 3 * effort.budget // most)]


def _hints(request: Request, target: Target) -> dict[str, Any]:
    caps, written = target.caps, {}
    key = target.cache_key or request.cache_key
    if key and caps.cache_key:
        written["prompt_cache_key"] = key
    elif request.cache_key:
        target.losses.less("cache_control", request.path("prompt_cache_key"))
    if request.tier and caps.tier:
        written["service_tier"] = request.tier
    elif request.tier not in ("", "auto"):
        target.losses.less("service_tier", request.path("service_tier"))
    return written
