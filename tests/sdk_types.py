"""Judges a request by the types that an SDK publishes for it: strictly, so that a member that is not in them
is a fault too. `pydantic` is no help: it reads the lists of these types lazily, and passes other members."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin

from typing_extensions import ReadOnly, get_type_hints, is_typeddict

_LISTS = (list, Iterable, Sequence)
_UNIONS = (Union, types.UnionType)


def faults(value: Any, hint: Any, at: str = "") -> list[str]:
    """Return what of a value does not fit a type, each with its path."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Required, NotRequired, ReadOnly):
        return faults(value, inner[0], at)
    if origin in _UNIONS:
        return _none_fits(value, inner, at)
    if origin is Literal:
        return _unless(value in inner, f"{at}: {value!r} is none of {inner}")
    if is_typeddict(hint):
        return _members(value, hint, at)
    if origin is not None and (origin in _LISTS):
        if not isinstance(value, list):
            return [f"{at}: no list"]
        return [fault for i, item in enumerate(value) for fault in faults(item, inner[0], f"{at}[{i}]")]
    if origin in (dict, Mapping):
        return _unless(isinstance(value, dict), f"{at}: no object")
    return _plain(value, hint, at)


def _plain(value: Any, hint: Any, at: str) -> list[str]:
    if hint in (Any, object):
        return []
    if hint is float:
        return _unless(isinstance(value, int | float) and not isinstance(value, bool), f"{at}: no number")
    return _unless(type(value) is (hint or type(None)), f"{at}: a {type(value).__name__} is no {hint}")


def _none_fits(value: Any, hints: tuple[Any, ...], at: str) -> list[str]:
    """Return the faults by the type that fits best; none if one fits."""
    tries: list[list[str]] = []
    for hint in hints:
        tries.append(faults(value, hint, at))
        if not tries[-1]:
            return []
    return min(tries, key=len)


def _members(value: Any, hint: Any, at: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{at}: no object"]
    hints = _hints(hint)
    if "type" in hints and "type" in value and faults(value["type"], hints["type"]):
        return [f"{at}: of another type", f"{at}: {value['type']!r}"]
    made = [f"{at}: {name} is missing" for name in hint.__required_keys__ if name not in value]
    made += [f"{at}: {name} is not known" for name in value if name not in hints]
    for name, member in value.items():
        if name in hints:
            made += faults(member, hints[name], f"{at}.{name}")
    return made


@cache
def _hints(hint: Any) -> dict[str, Any]:
    return get_type_hints(hint)


def _unless(fits: bool, fault: str) -> list[str]:
    return [] if fits else [fault]
