"""Names of tools and ids of calls, as an endpoint takes them. Derived from the request each time, so that
nothing has to be remembered between two requests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from .form import FUNCTION, SERVED, Tool, ToolKind
from .losses import Losses

_is_legal = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")
_IS_LEGAL_ID = {"": _is_legal, "mistral": re.compile(r"[A-Za-z0-9]{9}").fullmatch}
_LONGEST, _HASH = 51, 12


def wire_name(group: str, name: str) -> str:
    """Return the name by which the endpoint knows a tool: `group__name`, shortened where it is too long or
    has other signs than letters, digits, `_` and `-`."""
    full = name if not group else _joined(group, name, "__")
    if _is_legal(full):
        return full
    return f"{_ILLEGAL.sub('_', full)[:_LONGEST]}_{_hash(full)[:_HASH]}"


class ToolNames:
    """The tools of one request by the names that the endpoint knows them by."""

    __slots__ = ("_tools",)

    def __init__(self, tools: Iterable[Tool], losses: Losses) -> None:
        """Raise Untranslatable if two tools of the caller's would have the same name."""
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.kind is SERVED:
                continue
            name = wire_name(tool.group, tool.name)
            other = self._tools.setdefault(name, tool)
            if other is not tool and (other.group, other.name) != (tool.group, tool.name):
                first, second = _joined(other.group, other.name, "."), _joined(tool.group, tool.name, ".")
                losses.refuse(tool.at, f"the tools '{first}' and '{second}' would both be called '{name}'")

    def tool(self, name: str) -> Tool | None:
        """Return the caller's tool that the endpoint calls `name`."""
        return self._tools.get(name)

    def kind_of(self, group: str, name: str) -> ToolKind:
        """Return how a tool that the history names is called: as it is offered now, else with arguments."""
        tool = self._tools.get(wire_name(group, name))
        if tool is None:
            return FUNCTION
        return tool.kind


def call_id(given: str, rule: str = "", salt: str = "") -> str:
    """Return an id that the endpoint takes: the given one, or a hash of it (with `salt`, where one id stands
    for two calls)."""
    if not salt and _IS_LEGAL_ID[rule](given):
        return given
    digest = _hash(given + salt)
    if rule == "mistral":
        return digest[:9]
    return f"call_{digest[:24]}"


def made_id(prefix: str, *seeds: object) -> str:
    """Return an id that nobody gave, derived from what it belongs to."""
    return prefix + _hash("\n".join(map(str, seeds)))[:24]


def _joined(group: str, name: str, separator: str) -> str:
    if not group:
        return name
    return group + separator + name


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
