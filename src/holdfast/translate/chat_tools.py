"""Reads the tools of a chat request, and how the model may choose among them."""

from __future__ import annotations

from collections.abc import Callable

from .fields import Fields
from .form import FREE, SERVED, Choice, Choose, Tool
from .losses import Losses

_SERVED = {
    "browser_search": "web_search",
    "code_interpreter": "code_interpreter",
    "openrouter:web_search": "web_search",
    "web_search": "web_search",
    "web_search_preview": "web_search",
}
"""Tools that some endpoints of chat run themselves, and what others call them."""
_FUNCTION = frozenset({"name", "description", "parameters", "strict"})
_MODES = {"auto": Choose.AUTO, "none": Choose.NONE, "required": Choose.ANY}


def tools_of(fields: Fields, losses: Losses) -> tuple[Tool, ...]:
    """Return the tools that a request offers."""
    return tuple(_tool(tool, losses) for tool in fields.objects("tools"))


def _tool(tool: Fields, losses: Losses) -> Tool:
    kind = tool.text("type", "function")
    if kind in _SERVED:
        return Tool(kind, SERVED, served=_SERVED[kind], raw=tool.raw, at=tool.at)
    if kind not in _KINDS:
        tool.refuse("type", f"'{kind}' cannot be translated; known are {', '.join(_KINDS)}")
    tool.only({"type", kind}, {"cache_control": "cache_control"})
    return _KINDS[kind](tool, Fields(tool.raw.get(kind), tool.path(kind), losses))


def _function(tool: Fields, function: Fields) -> Tool:
    function.only(_FUNCTION)
    return Tool(
        name=_name(function),
        description=function.text("description"),
        schema=function.mapping("parameters"),
        strict=function.flag("strict"),
        raw=tool.raw,
        at=tool.at,
    )


def _custom(tool: Fields, custom: Fields) -> Tool:
    custom.only({"name", "description", "format"})
    grammar = _grammar(custom)
    return Tool(
        name=_name(custom),
        kind=FREE,
        description=custom.text("description"),
        grammar=grammar.text("definition"),
        syntax=grammar.text("syntax"),
        raw=tool.raw,
        at=tool.at,
    )


_KINDS: dict[str, Callable[[Fields, Fields], Tool]] = {"function": _function, "custom": _custom}


def _name(fields: Fields) -> str:
    name = fields.needed("name")
    if not name:
        fields.refuse("name", "is empty")
    return name


def _grammar(custom: Fields) -> Fields:
    """Return the grammar of a free tool's text; without members where any text will do."""
    shape = custom.inner("format")
    if shape is None:
        return Fields({}, custom.path("format"), Losses())
    kind = shape.needed("type")
    if kind not in ("text", "grammar"):
        shape.refuse("type", f"'{kind}' is not known; known are text, grammar")
    grammar = shape.inner("grammar") or shape
    if kind == "grammar":
        grammar.needed("definition")
    return grammar


def choice_of(
    fields: Fields, tools: tuple[Tool, ...], losses: Losses
) -> tuple[tuple[Tool, ...], Choice | None]:
    """Return the tools among which the model may choose, and how. A choice among some of them is the same as
    to offer no others."""
    raw = fields.raw.get("tool_choice")
    if raw is None:
        return tools, None
    if isinstance(raw, str):
        return tools, Choice(_mode(fields, "tool_choice"), at="tool_choice")
    chosen = Fields(raw, "tool_choice", losses)
    kind = chosen.text("type")
    if kind in _KINDS:
        name = Fields(chosen.raw.get(kind), chosen.path(kind), losses).needed("name")
        return tools, Choice(Choose.ONE, name, at="tool_choice")
    if kind != "allowed_tools":
        chosen.refuse("type", f"'{kind}' cannot be translated; known are {', '.join(_KINDS)}, allowed_tools")
    allowed = Fields(chosen.raw.get(kind), chosen.path(kind), losses)
    return _allowed(allowed, tools, losses), Choice(_mode(allowed, "mode"), at="tool_choice")


def _mode(fields: Fields, name: str) -> Choose:
    mode = fields.text(name)
    if mode not in _MODES:
        fields.refuse(name, f"'{mode}' is not known; known are {', '.join(_MODES)}")
    return _MODES[mode]


def _allowed(allowed: Fields, tools: tuple[Tool, ...], losses: Losses) -> tuple[Tool, ...]:
    offered = {tool.name: tool for tool in tools}
    chosen = []
    for entry in allowed.objects("tools"):
        kind = entry.text("type")
        inner = entry
        if kind in _KINDS and entry.raw.get(kind) is not None:
            inner = Fields(entry.raw[kind], entry.path(kind), losses)
        name = inner.text("name", kind)
        if name not in offered:
            entry.refuse("", f"no tool is called '{name}'")
        chosen.append(offered[name])
    return tuple(chosen)
