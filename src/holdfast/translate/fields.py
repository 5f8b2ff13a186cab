"""Reads the caller's JSON objects strictly: a member of a wrong type is refused with its path, and members
that nobody asked for are told."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NoReturn

from .form import Flag
from .losses import Losses

EMPTY: tuple[Any, ...] = (None, False, 0, "", [], {})
"""The values of a member that say nothing."""


class Fields:
    """The members of one object. Null counts as absent. All methods raise Untranslatable for a wrong type."""

    __slots__ = ("_losses", "at", "raw")

    def __init__(self, raw: object, at: str, losses: Losses) -> None:
        if not isinstance(raw, dict) and not isinstance(raw, Mapping):
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
        if value is not None and not isinstance(value, bool):
            self._wrong(name, "true or false", value)
        return Flag.of(value)

    def mapping(self, name: str) -> Mapping[str, Any] | None:
        """Return an object as it is, such as a schema."""
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self._wrong(name, "an object", value)
        return value

    def inner(self, name: str) -> Fields | None:
        """Return an object whose members are to be read."""
        if self.raw.get(name) is None:
            return None
        return Fields(self.raw[name], self.path(name), self._losses)

    def items(self, name: str) -> Iterator[tuple[str, Any]]:
        """Yield the path and the value of each item of a list."""
        value = self.raw.get(name)
        if value is None:
            return
        if not isinstance(value, list):
            self._wrong(name, "a list", value)
        path = self.path(name)
        for index, item in enumerate(value):
            yield f"{path}[{index}]", item

    def objects(self, name: str) -> Iterator[Fields]:
        """Yield each object of a list of objects."""
        losses = self._losses
        for at, item in self.items(name):
            yield Fields(item, at, losses)

    def has(self, name: str) -> bool:
        """Return whether a member says something."""
        return self.raw.get(name) not in EMPTY

    def drop(self, losses: Mapping[str, str]) -> None:
        """Note the loss of each member that is there; `losses` maps members to names of LESS."""
        if losses.keys().isdisjoint(self.raw):
            return
        for name in self.raw:
            if name in losses and self.has(name):
                self._losses.less(losses[name], self.path(name))

    def forbid(self, refused: Mapping[str, tuple[str, str]]) -> None:
        """Refuse a member that is there; `refused` maps members to why and the next step."""
        if refused.keys().isdisjoint(self.raw):
            return
        for name, (why, next_step) in refused.items():
            if self.has(name):
                self.refuse(name, why, next_step)

    def only(self, *known: Collection[str]) -> None:
        """Note that every other member is lost, unless it says nothing."""
        others = set(self.raw).difference(*known)
        if not others:
            return
        for name in self.raw:
            if name in others and self.has(name):
                self._losses.less("unknown_member", self.path(name))

    def refuse(self, name: str, why: str, next_step: str = "") -> NoReturn:
        """Refuse the request for a member, or for the object itself (name "")."""
        if not name:
            self._losses.refuse(self.at, why, next_step)
        self._losses.refuse(self.path(name), why, next_step)

    def less(self, loss: str, name: str) -> None:
        """Note that a member is lost or reshaped."""
        self._losses.less(loss, self.path(name))

    def _wrong(self, name: str, wanted: str, value: object) -> NoReturn:
        self.refuse(name, f"must be {wanted}, not {kind_of(value)}")


_KINDS = ((bool, "a truth value"), (str, "a string"), (int | float, "this number"), (list, "a list"))


def kind_of(value: object) -> str:
    """Return the JSON type of a value in words."""
    if value is None:
        return "null"
    return next((words for kind, words in _KINDS if isinstance(value, kind)), "an object")
