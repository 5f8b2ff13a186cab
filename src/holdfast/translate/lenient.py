"""Reads what an endpoint sends: a value of a wrong type counts as absent, and nothing raises."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

NOTHING: Mapping[str, Any] = MappingProxyType({})

_WRAPS = (
    *("text", "content", "thinking", "reasoning", "reasoning_content", "summary", "refusal", "value"),
    "delta",
)
"""The members in which servers wrap a text."""
_BARE = ("type", "index", "id", "status")


def text_of(value: object) -> str:
    """Return a text; "" for anything else."""
    if isinstance(value, str):
        return value
    return ""


def words_of(value: object, depth: int = 4) -> str:
    """Return a text, also one that is wrapped in objects and lists; "" where there is none."""
    if isinstance(value, str):
        return value
    if not depth:
        return ""
    if isinstance(value, list):
        return "".join(words_of(item, depth - 1) for item in value)
    if isinstance(value, dict):
        return next(filter(None, (words_of(value.get(name), depth - 1) for name in _WRAPS)), "")
    return ""


def members_of(value: object) -> Mapping[str, Any]:
    """Return an object; an empty one for anything else."""
    if isinstance(value, dict):
        return value
    return NOTHING


def objects_of(value: object) -> list[Mapping[str, Any]]:
    """Return the objects of a list, at their places: an empty one stands for anything else in it. An object
    in place of a list is its only one."""
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        return []
    return [members_of(item) for item in value]


def count_of(value: object) -> int | None:
    """Return a whole number that is not negative; None for anything else."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        return None
    return value


def index_of(value: object, otherwise: int) -> int:
    """Return the index that an event gives, or else `otherwise`."""
    if isinstance(value, bool) or not isinstance(value, int):
        return otherwise
    return value


def says_something(value: Mapping[str, Any]) -> bool:
    """Return whether an object holds more than empty members and its own kind."""
    return any(value[name] for name in value if name not in _BARE)


def json_of(value: object) -> str | None:
    """Return the JSON of a value, and a text as it is; None for one that is nested too deeply."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (RecursionError, TypeError, ValueError):
        return None


def holds_object(text: str) -> bool:
    """Return whether a text is a JSON object."""
    try:
        return isinstance(json.loads(text), dict)
    except (RecursionError, ValueError):
        return False
