"""Writes a chat request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .caps import effort_for
from .chat_turns import ChatTurns
from .context import Target
from .form import Choice, Choose, Request, Tool
from .names import wire_name
from .offers import checked_choice, function_of, own_tools
from .openai_members import (
    level_of,
    schema_of,
    write_hints,
    write_output,
    write_parallel,
    write_sampling,
    write_verbosity,
)

_MODES = {Choose.NONE: "none", Choose.ANY: "required"}


def write(request: Request, target: Target) -> dict[str, Any]:
    """Return the body of a chat request. Raises Untranslatable about what the endpoint does not take."""
    turns = ChatTurns(request, target)
    body: dict[str, Any] = {"model": target.model, "messages": turns.messages()}
    body |= _tools(request, target)
    body |= write_output(target.caps.max_tokens, request, target)
    body |= _stops(request, target)
    body |= write_sampling(request, target)
    body |= _shape(request, target)
    body |= _effort(request, target, turns.thoughtless)
    body |= write_verbosity(request, target)
    body |= write_hints(request, target)
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
    return {"tools": list(offered.values())} | _choice(choice) | write_parallel(request, target)


def _choice(choice: Choice | None) -> dict[str, Any]:
    if choice is None:
        return {}
    if choice.mode is not Choose.ONE:
        return {"tool_choice": _MODES[choice.mode]}
    name = wire_name(choice.group, choice.name)
    return {"tool_choice": {"type": "function", "function": {"name": name}}}


def _tool(tool: Tool, target: Target) -> dict[str, Any]:
    made = function_of(tool, target)
    function: dict[str, Any] = {"name": made.name, "parameters": made.schema}
    if made.description:
        function["description"] = made.description
    if made.strict:
        function["strict"] = True
    return {"type": "function", "function": function}


def _stops(request: Request, target: Target) -> dict[str, Any]:
    stops, most = request.limits.stop, target.caps.stop_limit
    if len(stops) > most:
        what = f"the endpoint takes {most} stop sequences, not {len(stops)}"
        target.losses.refuse(request.path("stop"), what)
    if not stops:
        return {}
    return {"stop": list(stops)}


def _shape(request: Request, target: Target) -> dict[str, Any]:
    shape, caps = request.shape, target.caps
    if shape is None:
        return {}
    if shape.schema is None and caps.json_object:
        return {"response_format": {"type": "json_object"}}
    if shape.schema is None or not caps.schema:
        target.losses.refuse(request.path("response_format"), "the endpoint gives no answers of this form")
    return {"response_format": {"type": "json_schema", "json_schema": schema_of(shape)}}


def _effort(request: Request, target: Target, thoughtless: str) -> dict[str, Any]:
    """Write how much to think: nothing, if the endpoint would want thoughts back that are not there."""
    caps, losses = target.caps, target.losses
    if request.effort.shown:
        losses.less("summary", request.path("reasoning_effort"))
    level = level_of(request)
    if thoughtless and level != "none":
        losses.less("reasoning_not_returned", thoughtless)
        level = "none"
        if not caps.effort_off:
            losses.refuse(thoughtless, "the model wants its thoughts back, and another one made this call")
    if not level:
        return {}
    known = effort_for(caps, level)
    is_budget = not request.effort.level and request.effort.budget is not None
    if known not in (level, "disabled") or is_budget:
        losses.less("effort", request.path("reasoning_effort"))
    if known == "disabled":
        return {"thinking": {"type": "disabled"}}
    if not known:
        return {}
    return {"reasoning_effort": known}
