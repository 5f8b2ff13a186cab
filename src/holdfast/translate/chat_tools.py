"""Reads the tools of a chat request, and how the model may choose among them."""

from __future__ import annotations

from .fields import Fields
from .form import SERVED, Choice, Choose, Tool
from .openai_parts import custom, function, mode_of

_SERVED = {
    "browser_search": "web_search",
    "code_interpreter": "code_interpreter",
    "openrouter:web_search": "web_search",
    "web_search": "web_search",
    "web_search_preview": "web_search",
}
"""Tools that some endpoints of chat run themselves, and what others call them."""


def tools_of(fields: Fields) -> tuple[Tool, ...]:
    """Return the tools that a request offers."""
    return tuple(map(_tool, fields.objects("tools")))


def _tool(tool: Fields) -> Tool:
    kind = tool.text("type", "function")
    if kind in _SERVED:
        return Tool(kind, SERVED, served=_SERVED[kind], raw=tool.raw, at=tool.at)
    if kind not in _KINDS:
        tool.refuse("type", f"'{kind}' cannot be translated; known are {', '.join(_KINDS)}")
    tool.only({"type", kind}, {"cache_control": "cache_control"})
    return _KINDS[kind](tool.required(kind), tool.raw, tool.at)


_KINDS = {"function": function, "custom": custom}


def choice_of(fields: Fields, tools: tuple[Tool, ...]) -> tuple[tuple[Tool, ...], Choice | None]:
    """Return the tools among which the model may choose, and how. A choice among some of them is the same as
    to offer no others."""
    raw = fields.raw.get("tool_choice")
    if raw is None:
        return tools, None
    if isinstance(raw, str):
        return tools, Choice(mode_of(fields, "tool_choice"), at="tool_choice")
    chosen = fields.required("tool_choice")
    kind = chosen.text("type")
    if kind in _KINDS:
        name = chosen.required(kind).needed("name")
        return tools, Choice(Choose.ONE, name, at="tool_choice")
    if kind != "allowed_tools":
        chosen.refuse("type", f"'{kind}' cannot be translated; known are {', '.join(_KINDS)}, allowed_tools")
    allowed = chosen.required(kind)
    return _allowed(allowed, tools), Choice(mode_of(allowed, "mode"), at="tool_choice")


def _allowed(allowed: Fields, tools: tuple[Tool, ...]) -> tuple[Tool, ...]:
    offered = {tool.name: tool for tool in tools}
    chosen = []
    for entry in allowed.objects("tools"):
        kind = entry.text("type")
        inner = entry
        if kind in _KINDS and entry.raw.get(kind) is not None:
            inner = entry.required(kind)
        name = inner.text("name", kind)
        if name not in offered:
            entry.refuse("", f"no tool is called '{name}'")
        chosen.append(offered[name])
    return tuple(chosen)
