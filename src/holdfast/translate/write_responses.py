"""Writes a request for an endpoint that speaks OpenAI's Responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .caps import LEVELS, effort_for
from .context import Target
from .form import FREE, SERVED, Choose, Request, Tool
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
from .turns import check_end, paired, told_by_the_user, words_first
from .write_responses_items import ItemWriter

_MODES = {Choose.AUTO: "auto", Choose.NONE: "none", Choose.ANY: "required"}
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
    if request.limits.stop:
        target.losses.refuse(request.path("stop"), "the endpoint takes no texts to stop at", "leave stop out")
    body |= write_output("max_output_tokens", request, target, _LEAST_OUTPUT)
    body |= write_sampling(request, target)
    _effort(body, request, target)
    _text(body, request, target)
    body |= write_hints(request, target)
    body["store"] = False
    if target.caps.efforts:
        body["include"] = ["reasoning.encrypted_content"]
    if request.stream:
        body["stream"] = True
    return body


def _conversation(request: Request, target: Target) -> tuple[str, list[dict[str, Any]]]:
    """Return the system's words, and the items of the conversation."""
    caps, losses = target.caps, target.losses
    words, others = words_first(request.turns)
    turns = paired(told_by_the_user(others, caps, losses), caps, losses)
    items = ItemWriter(target).items(turns)
    if not items:
        check_end("", "", request, target)
    check_end(items[-1].get("role", "tool"), turns[-1].at, request, target)
    return words, items


def _tools(body: dict[str, Any], request: Request, target: Target) -> None:
    if not all(map(_can_search, request.tools)):
        target = replace(target, caps=replace(target.caps, web_search=""))
    tools = own_tools(request, target)
    choice = checked_choice(request, tools, target)
    if tools:
        body["tools"] = [_tool(tool, target) for tool in tools]
    if choice is not None:
        body["tool_choice"] = _MODES.get(choice.mode) or _chosen(choice.group, choice.name, tools)
    body |= write_parallel(request, target)


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


def _effort(body: dict[str, Any], request: Request, target: Target) -> None:
    """Write how much to think, and whether it is to be summed up."""
    level = level_of(request)
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


def _text(body: dict[str, Any], request: Request, target: Target) -> None:
    """Write the form that the answer must have, and how long it may be."""
    text: dict[str, Any] = {}
    shape = request.shape
    if shape is not None and not target.caps.schema:
        target.losses.refuse(request.path("response_format"), "the endpoint gives no answers of this form")
    if shape is not None and shape.schema is None:
        text["format"] = {"type": "json_object"}
    elif shape is not None:
        text["format"] = {"type": "json_schema", **schema_of(shape)}
    text |= write_verbosity(request, target)
    if text:
        body["text"] = text
