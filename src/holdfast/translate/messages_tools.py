"""Reads the tools of a request of the Messages API, and the choice among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from .anthropic_tools import known_tool
from .fields import Fields
from .form import OFF, ON, SERVED, UNSET, Choice, Choose, Flag, Tool
from .messages_served import NATIVE

_DATE = re.compile(r"_\d{8}\Z")
_SERVED = frozenset(
    """
    advisor code_execution mcp_toolset tool_search_tool_bm25 tool_search_tool_regex web_fetch web_search
    """.split()
)
"""Types of tools that run at Anthropic."""
_SCREENS = frozenset({"browser_toolset", "computer", "computer_toolset"})
"""Types of tools that the caller runs, but that only Anthropic's models know how to call."""
_SEARCH = "tool_search_tool"
_PLACEHOLDER = "DeferredToolPlaceholder"
"""Claude Code offers it so that a list of deferred tools is not empty; nobody answers it."""

_MEMBERS = frozenset(
    """
    type name description input_schema strict defer_loading allowed_callers eager_input_streaming
    """.split()
)
_LOST = {"cache_control": "cache_control", "input_examples": "examples"}
_AT_A_SERVER = ("mcp_tool_reference", "mcp_toolset_reference")
_CHOICES = {"auto": Choose.AUTO, "none": Choose.NONE, "any": Choose.ANY, "tool": Choose.ONE}


class ToolChanges:
    """The tools that a conversation finds, adds and removes.

    offers       whether a tool is offered from the last block on that speaks of it, by its name
    definitions  of tools that blocks add
    """

    def __init__(self) -> None:
        self.offers: dict[str, bool] = {}
        self.definitions: list[Fields] = []

    def search_found(self, result: Fields) -> None:
        """Take the result of a search for tools."""
        for reference in result.objects("tool_references"):
            self.offers[reference.needed("tool_name")] = True

    def change(self, block: Fields, *, offered: bool) -> None:
        """Take a block that adds or removes a tool."""
        tool = block.required("tool")
        kind = tool.needed("type")
        if kind == "tool_reference":
            self.offers[tool.needed("name")] = offered
        elif kind == "tool_definition" and offered:
            definition = tool.required("definition")
            self.definitions.append(definition)
            self.offers[definition.text("name")] = True
        elif kind in _AT_A_SERVER:
            tool.less("served_tools", "type")
        else:
            tool.refuse("type", f"'{kind}' is not a known way to name a tool")
        if offered:
            block.less("defer_loading", "tool")


def read_tools(body: Fields, changes: ToolChanges) -> tuple[Tool, ...]:
    """Return the tools that are offered at the end of the conversation. One that is loaded later is offered
    once the conversation names it."""
    offers = changes.offers
    read = [*_read(body.objects("tools")), *_read(changes.definitions)]
    if any(later for _, later in read):
        body.less("defer_loading", "tools")
    searched = any(tool.served.startswith(_SEARCH) for tool, _ in read)
    return tuple(tool for tool, later in read if _is_offered(tool, offers, at_once=searched or not later))


def _is_offered(tool: Tool, offers: Mapping[str, bool], *, at_once: bool) -> bool:
    """Return whether a tool is offered; `at_once` where nobody could search for it, or needs to."""
    return tool.name != _PLACEHOLDER and offers.get(tool.name, at_once)


def _read(tools: Iterable[Fields]) -> Iterator[tuple[Tool, bool]]:
    """Yield each tool, and whether it is loaded later."""
    for tool in tools:
        kind = tool.text("type", "custom")
        later = tool.flag("defer_loading") is ON
        if kind == "custom":
            yield _function(tool), later
            continue
        yield _of_anthropic(tool, kind, _DATE.sub("", kind)), later


def _of_anthropic(tool: Fields, dated: str, kind: str) -> Tool:
    """Return a tool of a type of Anthropic's own."""
    name, known = tool.text("name") or kind, known_tool(kind, dated)
    if known is not None:
        tool.less("anthropic_tools", "type")
        _read_rest(tool, _MEMBERS | {"max_characters"})
        if tool.flag("strict") is ON:
            tool.less("strict", "strict")
        return Tool(name, description=known.description, schema=known.schema, raw=tool.raw, at=tool.at)
    if kind in _SCREENS:
        tool.refuse("type", "only Anthropic's models know how this tool is called", NATIVE)
    if kind not in _SERVED:
        tool.refuse("type", f"tools of the type '{dated}' are not known")
    return Tool(name, SERVED, served=kind, raw=tool.raw, at=tool.at)


def _read_rest(tool: Fields, members: frozenset[str]) -> None:
    """Tell what is left out of a tool that the caller runs."""
    tool.only(members, _LOST)
    if any(caller != "direct" for _, caller in tool.items("allowed_callers")):
        tool.less("served_tools", "allowed_callers")


def _function(tool: Fields) -> Tool:
    _read_rest(tool, _MEMBERS)
    return Tool(
        name=tool.needed("name"),
        description=tool.text("description"),
        schema=tool.mapping("input_schema"),
        strict=tool.flag("strict"),
        raw=tool.raw,
        at=tool.at,
    )


def read_choice(body: Fields) -> tuple[Choice | None, Flag]:
    """Return which tool is to be called, and whether several may be called at once."""
    choice = body.inner("tool_choice")
    if choice is None:
        return None, UNSET
    kind = choice.needed("type")
    mode = _CHOICES.get(kind)
    if mode is None:
        choice.refuse("type", f"'{kind}' is not a known way to choose a tool")
    choice.only({"type", "name", "disable_parallel_tool_use"})
    name, parallel = "", UNSET
    if mode is Choose.ONE:
        name = choice.needed("name")
    if choice.flag("disable_parallel_tool_use") is ON:
        parallel = OFF
    return Choice(mode, name, at=choice.at), parallel
