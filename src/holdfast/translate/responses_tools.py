"""Reads the tools of a Responses request, wherever they are, and how the model may choose among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from .fields import Fields
from .form import SERVED, Choice, Choose, Tool, ToolKind
from .losses import Losses
from .openai_parts import custom, function, mode_of, name_of

SEARCH = "tool_search"
NATIVE = "holdfast models --harness codex   (tells which providers speak openai-responses themselves)"
_SHELL = "codex -c features.unified_exec=true   (offers the shell as a plain function)"
REFUSED: Mapping[str, tuple[str, str]] = {
    "apply_patch": (
        "OpenAI's own kind of patches is not translated; offer a function or a custom tool",
        NATIVE,
    ),
    "local_shell": ("OpenAI's own shell tool is not translated", _SHELL),
    "shell": ("OpenAI's own shell tool is not translated", _SHELL),
}
"""Kinds of tools that the caller runs, but that only OpenAI's models know how to call."""
_SERVED = frozenset(
    """
    code_interpreter computer computer_use computer_use_preview file_search image_generation mcp
    programmatic_tool_calling web_search web_search_preview
    """.split()
)
_DATE = re.compile(r"_\d{4}_\d{2}_\d{2}$")
_OWNERS = "a tool that runs at a provider cannot be demanded of another; send auto"

_Key = tuple[bool, str, str]
"""Whether a tool runs at a provider, its group and its name."""


def _key(tool: Tool) -> _Key:
    return tool.kind is SERVED, tool.group, tool.name


class Offers:
    """The tools of a request, each once: a later definition replaces an earlier one."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._tools: dict[_Key, Tool] = {}
        self._deferred: dict[_Key, None] = {}

    def add(self, fields: Fields, *, loaded: bool = False) -> list[Tool]:
        """Take the tools of a list and return them. `loaded`: they are offered although they load later."""
        added: list[Tool] = []
        for tool in fields.objects("tools"):
            for made in self._of(tool):
                key = _key(made)
                self._tools[key] = made
                self._deferred.pop(key, None)
                if not loaded and made.raw.get("defer_loading") is True:
                    self._deferred[key] = None
                added.append(made)
        return added

    def called(self, group: str, name: str) -> None:
        """Note a call of a tool: it was loaded."""
        if self._deferred:
            self._deferred.pop((False, group, name), None)

    def all(self) -> tuple[Tool, ...]:
        """Return the tools to offer. Those that load later are kept back while the caller can find them."""
        searched = any(tool.kind is ToolKind.SEARCH for tool in self._tools.values())
        for key in self._deferred:
            self._losses.less("defer_loading", self._tools[key].at)
        if not searched:
            return tuple(self._tools.values())
        return tuple(tool for key, tool in self._tools.items() if key not in self._deferred)

    def _of(self, tool: Fields) -> list[Tool]:
        kind = tool.needed("type")
        if kind == "namespace":
            return self._namespace(tool)
        if kind in REFUSED:
            tool.refuse("", *REFUSED[kind])
        read = _KINDS.get(kind)
        if read is not None:
            return [read(tool, tool.raw, tool.at)]
        served = _DATE.sub("", kind)
        if served not in _SERVED:
            tool.refuse("type", f"tools of the type '{kind}' are not known", NATIVE)
        served = served.replace("web_search_preview", "web_search")
        return [Tool(served, SERVED, served=served, raw=tool.raw, at=tool.at)]

    def _namespace(self, namespace: Fields) -> list[Tool]:
        group, about = name_of(namespace), namespace.text("description")
        namespace.only({"type", "name", "description", "tools"})
        namespace.less("namespace", "")
        made: list[Tool] = []
        for tool in namespace.objects("tools"):
            kind = tool.needed("type")
            if kind not in ("function", "custom"):
                tool.refuse("type", f"a namespace has functions and custom tools, not '{kind}'")
            made.append(_KINDS[kind](tool, tool.raw, tool.at, group))
        if made and about:
            first = f"(About all tools of {group}: {about})\n\n{made[0].description}".strip()
            made[0] = replace(made[0], description=first)
        return made


def _search(tool: Fields, raw: Mapping[str, Any], at: str, _group: str = "") -> Tool:
    tool.only({"type", "execution", "description", "parameters"})
    if tool.text("execution", "server") != "client":
        return Tool(SEARCH, SERVED, served=SEARCH, raw=raw, at=at)
    tool.less("tool_search", "")
    return Tool(
        name=SEARCH,
        kind=ToolKind.SEARCH,
        description=tool.text("description"),
        schema=tool.mapping("parameters"),
        raw=raw,
        at=at,
    )


_KINDS = {"function": function, "custom": custom, SEARCH: _search}


def choice_of(body: Fields, tools: tuple[Tool, ...]) -> tuple[tuple[Tool, ...], Choice | None]:
    """Return the tools among which the model may choose, and how."""
    raw = body.raw.get("tool_choice")
    if raw is None:
        return tools, None
    if isinstance(raw, str):
        return tools, Choice(mode_of(body, "tool_choice"), at="tool_choice")
    chosen = body.required("tool_choice")
    kind = chosen.needed("type")
    if kind == "allowed_tools":
        return _allowed(chosen, tools), Choice(mode_of(chosen, "mode"), at="tool_choice")
    if kind not in _KINDS:
        chosen.refuse("", _OWNERS, NATIVE)
    chosen.only({"type", "name", "namespace"})
    meant = _meant(chosen, tools)[0]
    return tools, Choice(Choose.ONE, meant.name, meant.group, "tool_choice")


def _allowed(allowed: Fields, tools: tuple[Tool, ...]) -> tuple[Tool, ...]:
    """Return the tools that are allowed: to offer no others means the same."""
    kept: set[_Key] = set()
    for entry in allowed.objects("tools"):
        kept.update(map(_key, _meant(entry, tools)))
    return tuple(tool for tool in tools if _key(tool) in kept)


def _meant(entry: Fields, tools: Iterable[Tool]) -> list[Tool]:
    """Return the tools that an entry names, at least one of them."""
    meant = _named(entry, tools)
    if not meant:
        entry.refuse("", "names a tool that is not offered")
    return meant


def _named(entry: Fields, tools: Iterable[Tool]) -> list[Tool]:
    """Return the tools of an entry: by its name, or by its type where it has none."""
    kind, name, group = entry.needed("type"), entry.text("name"), entry.text("namespace")
    if kind == "namespace":
        return [tool for tool in tools if tool.group == name]
    if kind not in ("function", "custom"):
        return [tool for tool in tools if _DATE.sub("", kind) in (tool.served, tool.name)]
    named = [tool for tool in tools if tool.name == name and tool.kind is not SERVED]
    if group or any(not tool.group for tool in named):
        return [tool for tool in named if tool.group == group]
    return named[:1]
