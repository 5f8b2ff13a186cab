"""Writes a request for an endpoint that speaks OpenAI's Responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .caps import LEVELS, VERBOSITIES, effort_for, level_of_budget
from .context import Target
from .form import ASSISTANT, FREE, OFF, ON, SERVED, UNSET, Choose, Request, Text, Tool
from .names import wire_name
from .offers import checked_choice, function_of, own_tools
from .turns import leading_words, paired, told_by_the_user
from .write_responses_items import ItemWriter

_MODES = {Choose.AUTO: "auto", Choose.NONE: "none", Choose.ANY: "required"}
_TIERS = {"standard_only": "default"}
_SEARCH = "web_search"
_LEAST_OUTPUT = 16
"""The least limit of output, in tokens, that OpenAI takes. Claude Code asks for 1 to see its quota."""
_SEARCH_MEMBERS = frozenset({"type", "name", "allowed_domains", "user_location", "cache_control"})


def write(request: Request, target: Target) -> dict[str, Any]:
    """Return the request's JSON object. Raises Untranslatable about what the endpoint does not take."""
    instructions, items = _conversation(request, target)
    body: dict[str, Any] = {"model": target.model}
    if instructions:
        body["instructions"] = instructions
    body["input"] = items
    _tools(body, request, target)
    _limits(body, request, target)
    _effort(body, request, target)
    _text(body, request, target)
    _hints(body, request, target)
    body["store"] = False
    if target.caps.efforts:
        body["include"] = ["reasoning.encrypted_content"]
    if request.stream:
        body["stream"] = True
    return body


def _conversation(request: Request, target: Target) -> tuple[str, list[dict[str, Any]]]:
    """Return the system's words, and the items of the conversation."""
    caps, losses = target.caps, target.losses
    first, others = leading_words(request.turns)
    if not others:
        first, others = first[:-1], first[-1:]
    turns = paired(told_by_the_user(others, caps, losses), caps, losses)
    items = ItemWriter(target).items(turns)
    if not items:
        losses.refuse(request.path("messages"), "there is nothing to answer")
    if items[-1].get("role") == ASSISTANT.value and not caps.prefill:
        why = "the endpoint does not continue an answer that the request begins"
        losses.refuse(turns[-1].at, why, "end the request with a user's message")
    words = [part.text for turn in first for part in turn.parts if isinstance(part, Text)]
    return "\n\n".join(word for word in words if word.strip()), items


def _tools(body: dict[str, Any], request: Request, target: Target) -> None:
    if not all(map(_can_search, request.tools)):
        target = replace(target, caps=replace(target.caps, web_search=""))
    tools = own_tools(request, target)
    choice = checked_choice(request, tools, target)
    if tools:
        body["tools"] = [_tool(tool, target) for tool in tools]
    if choice is not None:
        body["tool_choice"] = _MODES.get(choice.mode) or _chosen(choice.group, choice.name, tools)
    _parallel(body, request, target)


def _can_search(tool: Tool) -> bool:
    """Return whether a search by the provider can be asked for with all that the caller says of it."""
    if tool.served != _SEARCH:
        return True
    known = (name in _SEARCH_MEMBERS or not value for name, value in tool.raw.items())
    domains, near = tool.raw.get("allowed_domains"), tool.raw.get("user_location")
    return all(known) and isinstance(domains or [], list) and isinstance(near or {}, Mapping)


def _tool(tool: Tool, target: Target) -> dict[str, Any]:
    if tool.kind is SERVED:
        return _search(tool, target)
    if tool.kind is FREE:
        return _custom(tool)
    function = function_of(tool, target)
    written: dict[str, Any] = {"type": "function", "name": function.name}
    if function.description:
        written["description"] = function.description
    return written | {"parameters": function.schema, "strict": function.strict}


def _search(tool: Tool, target: Target) -> dict[str, Any]:
    written: dict[str, Any] = {"type": target.caps.web_search}
    if tool.raw.get("allowed_domains"):
        written["filters"] = {"allowed_domains": tool.raw["allowed_domains"]}
    if tool.raw.get("user_location"):
        written["user_location"] = tool.raw["user_location"]
    return written


def _custom(tool: Tool) -> dict[str, Any]:
    written: dict[str, Any] = {"type": "custom", "name": wire_name(tool.group, tool.name)}
    if tool.description:
        written["description"] = tool.description
    if tool.grammar:
        syntax = tool.syntax or "lark"
        written["format"] = {"type": "grammar", "syntax": syntax, "definition": tool.grammar}
    return written


def _chosen(group: str, name: str, tools: list[Tool]) -> dict[str, Any]:
    chosen = next(tool for tool in tools if name == tool.served or (group, name) == (tool.group, tool.name))
    if chosen.kind is SERVED:
        return {"type": chosen.served}
    kind = ("function", "custom")[chosen.kind is FREE]
    return {"type": kind, "name": wire_name(group, name)}


def _parallel(body: dict[str, Any], request: Request, target: Target) -> None:
    if request.parallel is UNSET:
        return
    if target.caps.parallel_flag:
        body["parallel_tool_calls"] = request.parallel is ON
    elif request.parallel is OFF:
        target.losses.less("parallel", request.path("parallel_tool_calls"))


def _limits(body: dict[str, Any], request: Request, target: Target) -> None:
    limits, caps, losses = request.limits, target.caps, target.losses
    if limits.stop:
        losses.refuse(request.path("stop"), "the endpoint takes no texts to stop at", "leave stop out")
    if limits.max_output is not None:
        written = max(_LEAST_OUTPUT, min(limits.max_output, caps.max_output or limits.max_output))
        body["max_output_tokens"] = written
        if written != limits.max_output:
            losses.less("max_tokens", request.path("max_tokens"))
    for name, value in (("temperature", limits.temperature), ("top_p", limits.top_p)):
        if value is None:
            continue
        if caps.temperature:
            body[name] = value
        elif value != 1:
            losses.less("temperature", request.path(name))
    if limits.top_k is not None:
        losses.less("top_k", request.path("top_k"))


def _effort(body: dict[str, Any], request: Request, target: Target) -> None:
    """Write how much to think, and whether it is to be summed up."""
    level = _level(request)
    known = ""
    if level:
        known = effort_for(target.caps, level)
    if known not in LEVELS:
        known = ""
    if known != level or (level and not request.effort.level):
        target.losses.less("effort", request.path("reasoning_effort"))
    reasoning: dict[str, Any] = {}
    if known:
        reasoning["effort"] = known
    if request.effort.shown and target.caps.efforts:
        reasoning["summary"] = "auto"
    if reasoning:
        body["reasoning"] = reasoning


def _level(request: Request) -> str:
    """Return the level of effort. A budget is one too."""
    effort = request.effort
    if effort.level or effort.budget is None:
        return effort.level
    return level_of_budget(effort.budget, request.limits.max_output)


def _text(body: dict[str, Any], request: Request, target: Target) -> None:
    """Write the form that the answer must have, and how long it may be."""
    text: dict[str, Any] = {}
    shape = request.shape
    if shape is not None and not target.caps.schema:
        target.losses.refuse(request.path("response_format"), "the endpoint gives no answers of this form")
    if shape is not None and shape.schema is None:
        text["format"] = {"type": "json_object"}
    elif shape is not None:
        written: dict[str, Any] = {
            "type": "json_schema",
            "name": shape.name or "answer",
            "schema": shape.schema,
        }
        if shape.description:
            written["description"] = shape.description
        if shape.strict is not UNSET:
            written["strict"] = shape.strict is ON
        text["format"] = written
    if request.verbosity in VERBOSITIES and target.caps.verbosity:
        text["verbosity"] = request.verbosity
    elif request.verbosity:
        target.losses.less("verbosity", request.path("verbosity"))
    if text:
        body["text"] = text


def _hints(body: dict[str, Any], request: Request, target: Target) -> None:
    caps, losses = target.caps, target.losses
    key = target.cache_key or request.cache_key
    if key and caps.cache_key:
        body["prompt_cache_key"] = key
    elif request.cache_key:
        losses.less("cache_control", request.path("prompt_cache_key"))
    if request.tier and caps.tier:
        body["service_tier"] = _TIERS.get(request.tier, request.tier)
    elif request.tier not in ("", "auto"):
        losses.less("service_tier", request.path("service_tier"))
