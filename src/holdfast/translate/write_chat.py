"""Writes a chat request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .caps import VERBOSITIES, effort_for, level_of_budget
from .chat_turns import ChatTurns
from .context import Target
from .form import OFF, ON, UNSET, Choice, Choose, Request, Tool
from .names import wire_name
from .offers import checked_choice, function_of, own_tools

_MODES = {Choose.NONE: "none", Choose.ANY: "required"}


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
    caps = target.caps
    if caps.web_search:
        target = replace(target, caps=replace(caps, web_search=""))
    if not caps.tool_choice and request.choice and request.choice.mode is Choose.NONE:
        return {}
    tools = own_tools(request, target)
    choice = checked_choice(request, tools, target)
    if not tools:
        return {}
    offered = {wire_name(tool.group, tool.name): _tool(tool, target) for tool in tools}
    return {"tools": list(offered.values())} | _choice(choice) | _parallel(request, target)


def _choice(choice: Choice | None) -> dict[str, Any]:
    if choice is None:
        return {}
    if choice.mode is not Choose.ONE:
        return {"tool_choice": _MODES[choice.mode]}
    name = wire_name(choice.group, choice.name)
    return {"tool_choice": {"type": "function", "function": {"name": name}}}


def _parallel(request: Request, target: Target) -> dict[str, Any]:
    if request.parallel is UNSET:
        return {}
    if target.caps.parallel_flag:
        return {"parallel_tool_calls": request.parallel is ON}
    if request.parallel is OFF:
        target.losses.less("parallel", request.path("parallel_tool_calls"))
    return {}


def _tool(tool: Tool, target: Target) -> dict[str, Any]:
    made = function_of(tool, target)
    function: dict[str, Any] = {"name": made.name, "parameters": made.schema}
    if made.description:
        function["description"] = made.description
    if made.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


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
    if shape.strict is not UNSET:
        written["strict"] = shape.strict is ON
    return {"response_format": {"type": "json_schema", "json_schema": written}}


def _effort(request: Request, target: Target, thoughtless: str) -> dict[str, Any]:
    """Write how much to think: nothing, if the endpoint would want thoughts back that are not there."""
    caps, losses = target.caps, target.losses
    if request.effort.shown:
        losses.less("summary", request.path("reasoning_effort"))
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
    """Return the level of effort. A budget is one too."""
    effort = request.effort
    if effort.level or effort.budget is None:
        return effort.level
    return level_of_budget(effort.budget, request.limits.max_output)


def _hints(request: Request, target: Target) -> dict[str, Any]:
    caps, written = target.caps, {}
    key = target.cache_key or request.cache_key
    if key and caps.cache_key:
        written["prompt_cache_key"] = key
    elif request.cache_key:
        target.losses.less("cache_control", request.path("prompt_cache_key"))
    if request.verbosity in VERBOSITIES and caps.verbosity:
        written["verbosity"] = request.verbosity
    elif request.verbosity:
        target.losses.less("verbosity", request.path("verbosity"))
    if request.tier and caps.tier:
        written["service_tier"] = request.tier
    elif request.tier not in ("", "auto"):
        target.losses.less("service_tier", request.path("service_tier"))
    return written
