"""Reads the caller's JSON objects strictly: a member of a wrong type is refused with its path, and members
that nobody asked for are told."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, NoReturn

from .form import OFF, ON, UNSET, Flag
from .losses import Losses

EMPTY: tuple[Any, ...] = (None, False, 0, "", [], {})
"""The values of a member that say nothing."""
_NONE: Mapping[str, str] = {}


class Fields:
    """The members of one object. Null counts as absent. All methods raise Untranslatable for a wrong type."""

    __slots__ = ("_losses", "at", "raw")

    def __init__(self, raw: object, at: str, losses: Losses) -> None:
        if not isinstance(raw, dict):
            losses.refuse(at, f"must be an object, not {kind_of(raw)}")
        self.raw: Mapping[str, Any] = raw
        self.at = at
        self._losses = losses

    def path(self, name: str) -> str:
        """Return the JSON path of a member."""
        if not self.at:
            return name
        return f"{self.at}.{name}"

    def text(self, name: str, default: str = "") -> str:
        """Return a text; `default` where there is none."""
        value = self.raw.get(name)
        if isinstance(value, str):
            return value
        if value is not None:
            self._wrong(name, "a string", value)
        return default

    def needed(self, name: str) -> str:
        """Return a text that must be there."""
        value = self.raw.get(name)
        if value is None:
            self.refuse(name, "is missing")
        if not isinstance(value, str):
            self._wrong(name, "a string", value)
        return value

    def number(self, name: str) -> float | None:
        """Return a number."""
        value = self.raw.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._wrong(name, "a number", value)
        if isinstance(value, float) and not math.isfinite(value):
            self._wrong(name, "a finite number", value)
        return value

    def count(self, name: str) -> int | None:
        """Return a whole number that is not negative."""
        value = self.number(name)
        if value is None:
            return None
        if value < 0 or value != value // 1:
            self._wrong(name, "a whole number, 0 or more", value)
        return int(value)

    def flag(self, name: str) -> Flag:
        """Return a switch."""
        value = self.raw.get(name)
        if value is None:
            return UNSET
        if not isinstance(value, bool):
            self._wrong(name, "true or false", value)
        return ON if value else OFF

    def mapping(self, name: str) -> Mapping[str, Any] | None:
        """Return an object as it is, such as a schema."""
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self._wrong(name, "an object", value)
        return value

    def inner(self, name: str) -> Fields | None:
        """Return an object whose members are to be read."""
        value = self.raw.get(name)
        if value is None:
            return None
        return Fields(value, self.path(name), self._losses)

    def required(self, name: str) -> Fields:
        """Return an object that must be there."""
        inner = self.inner(name)
        if inner is None:
            self.refuse(name, "is missing")
        return inner

    def items(self, name: str) -> Iterator[tuple[str, Any]]:
        """Yield the path and the value of each item of a list."""
        path = self.path(name)
        for index, item in enumerate(self._list(name)):
            yield f"{path}[{index}]", item

    def objects(self, name: str) -> list[Fields]:
        """Return the objects of a list of objects."""
        value = self._list(name)
        if not value:
            return []
        path, losses = self.path(name), self._losses
        return [Fields(item, f"{path}[{index}]", losses) for index, item in enumerate(value)]

    def has(self, name: str) -> bool:
        """Return whether a member says something."""
        return self.raw.get(name) not in EMPTY

    def forbid(self, refused: Mapping[str, tuple[str, str]]) -> None:
        """Refuse a member that is there; `refused` maps members to why and the next step."""
        if refused.keys().isdisjoint(self.raw):
            return
        for name, (why, next_step) in refused.items():
            if self.has(name):
                self.refuse(name, why, next_step)

    def only(self, known: AbstractSet[str], lost: Mapping[str, str] = _NONE) -> None:
        """Note that every other member is lost, unless it says nothing: by its name of LESS in `lost`."""
        if self.raw.keys() <= known:
            return
        for name in self.raw:
            if name not in known and self.has(name):
                self._losses.less(lost.get(name, "unknown_member"), self.path(name))

    def refuse(self, name: str, why: str, next_step: str = "") -> NoReturn:
        """Refuse the request for a member, or for the object itself (name "")."""
        if not name:
            self._losses.refuse(self.at, why, next_step)
        self._losses.refuse(self.path(name), why, next_step)

    def less(self, loss: str, name: str) -> None:
        """Note that a member is lost or reshaped."""
        self._losses.less(loss, self.path(name))

    def _list(self, name: str) -> list[Any]:
        value = self.raw.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self._wrong(name, "a list", value)
        return value

    def _wrong(self, name: str, wanted: str, value: object) -> NoReturn:
        self.refuse(name, f"must be {wanted}, not {kind_of(value)}")


_KINDS = ((bool, "a truth value"), (str, "a string"), (int | float, "this number"), (list, "a list"))


def kind_of(value: object) -> str:
    """Return the JSON type of a value in words."""
    if value is None:
        return "null"
    return next((words for kind, words in _KINDS if isinstance(value, kind)), "an object")
