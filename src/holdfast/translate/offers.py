"""What is offered to a model: the caller's tools as functions, and how it may choose among them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from .context import Target
from .form import FREE, ON, SEARCH, SERVED, Choice, Choose, Request, Tool
from .losses import Losses
from .names import wire_name

NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}}
_TEXT_ARGUMENT: Mapping[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
_ELSEWHERE = frozenset({"$ref", "oneOf", "anyOf", "allOf"})
"""Members of a schema that say where its properties are."""
_SEARCH = "web_search"


class Function(NamedTuple):
    """A tool as a function, by the endpoint's name of it."""

    name: str
    description: str
    schema: Mapping[str, Any]
    strict: bool


def own_tools(request: Request, target: Target) -> list[Tool]:
    """Return the tools without those that run at a provider, except where the endpoint has such a tool
    itself. Raises Untranslatable where the model would be left without the tool that it has to call."""
    kept = [tool for tool in request.tools if _is_there(tool, target)]
    for tool in request.tools:
        if _is_there(tool, target):
            continue
        if not kept or _is_chosen(tool, request.choice, kept):
            why = f"the tool '{tool.name}' runs at a provider, and not at this one"
            target.losses.refuse(tool.at, why, _OWN_STEP)
        target.losses.less(_loss_of(tool), tool.at)
    return kept


def _is_there(tool: Tool, target: Target) -> bool:
    """Return whether the endpoint has the tool. A search that may not look at the web is another one."""
    if tool.kind is not SERVED:
        return True
    is_search = tool.served == _SEARCH and tool.raw.get("external_web_access") is not False
    return is_search and bool(target.caps.web_search)


_OWN_STEP = "offer tools that the caller runs itself, or choose a provider that has it"


def _is_chosen(tool: Tool, choice: Choice | None, others: Iterable[Tool]) -> bool:
    """Return whether a tool must be called. One of the caller's by that name is rather meant."""
    if choice is None or choice.mode is not Choose.ONE or any(_fits(choice, other) for other in others):
        return False
    return choice.name in (tool.name, tool.served)


def _loss_of(tool: Tool) -> str:
    if tool.served == _SEARCH:
        return "web_search"
    return "served_tools"


def function_of(tool: Tool, target: Target) -> Function:
    """Return a tool of the caller's as a function. A free tool has its text as the only argument."""
    losses = target.losses
    if tool.group:
        losses.less("namespace", tool.at)
    if tool.kind is SEARCH:
        losses.less("tool_search", tool.at)
    name = wire_name(tool.group, tool.name)
    if tool.kind is FREE:
        return Function(name, _with_grammar(tool, losses), _TEXT_ARGUMENT, strict=False)
    strict = tool.strict is ON
    if strict and not target.caps.strict:
        losses.less("strict", tool.at)
        strict = False
    return Function(name, tool.description, _outermost(tool.schema), strict)


def _outermost(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the schema of a tool's arguments, which are always an object, with what endpoints ask of its
    outermost level: that type, and properties, though there be none."""
    if not schema:
        return NO_ARGUMENTS
    kind, held = schema.get("type"), schema.get("properties")
    if kind == "object" and isinstance(held, dict) and None not in schema.values():
        return schema
    made = {"type": "object", **{name: value for name, value in schema.items() if value is not None}}
    if isinstance(kind, list) and "object" in kind:
        made["type"] = "object"
    if made["type"] == "object" and _ELSEWHERE.isdisjoint(made):
        made.setdefault("properties", {})
    return made


def _with_grammar(tool: Tool, losses: Losses) -> str:
    if not tool.grammar:
        return tool.description
    losses.less("grammar", tool.at)
    return f"{tool.description}\n\nThe input must follow this grammar:\n{tool.grammar}".strip()


def checked_choice(request: Request, tools: Collection[Tool], target: Target) -> Choice | None:
    """Return how the model is to choose; None where the caller did not say or offers no tools. Raises
    Untranslatable for a choice that the endpoint does not take, or that names no tool."""
    choice = request.choice
    if choice is None:
        return None
    at = choice.at or request.path("tool_choice")
    if choice.mode is Choose.ONE and not any(_fits(choice, tool) for tool in tools):
        target.losses.refuse(at, f"no tool is called '{choice.name}'")
    if not tools and choice.mode is Choose.ANY:
        target.losses.refuse(at, "a tool must be called, and none is offered")
    if not tools or choice.mode is Choose.AUTO:
        return None
    if not target.caps.tool_choice:
        target.losses.refuse(at, "the endpoint lets no one say which tool is called", "leave tool_choice out")
    return choice


def _fits(choice: Choice, tool: Tool) -> bool:
    if choice.name == tool.served:
        return True
    return (choice.group, choice.name) == (tool.group, tool.name)
