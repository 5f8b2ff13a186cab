"""The members of a caller's object: each has its type, and what nobody asked for is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from holdfast.translate.fields import Fields
from holdfast.translate.form import Flag
from holdfast.translate.losses import Losses, Untranslatable
from tables import rows


def _fields(raw: object, at: str = "tools[2]") -> Fields:
    return Fields(raw, at, Losses())


READERS: dict[str, Callable[[Fields], Any]] = {
    "text": lambda fields: fields.text("x", "otherwise"),
    "needed": lambda fields: fields.needed("x"),
    "number": lambda fields: fields.number("x"),
    "count": lambda fields: fields.count("x"),
    "flag": lambda fields: fields.flag("x"),
    "mapping": lambda fields: fields.mapping("x"),
    "items": lambda fields: list(fields.items("x")),
    "inner": lambda fields: fields.inner("x").raw,
    "objects": lambda fields: [(inner.at, inner.raw) for inner in fields.objects("x")],
}

READ = [
    ("text", "a", "a"),
    ("text", None, "otherwise"),
    ("needed", "a", "a"),
    ("number", 0.5, 0.5),
    ("number", 10**400, 10**400),
    ("number", None, None),
    ("count", 3.0, 3),
    ("count", None, None),
    ("flag", True, Flag.ON),
    ("flag", False, Flag.OFF),
    ("flag", None, Flag.UNSET),
    ("mapping", {"a": 1}, {"a": 1}),
    ("mapping", None, None),
    ("items", ["a", 2], [("tools[2].x[0]", "a"), ("tools[2].x[1]", 2)]),
    ("items", None, []),
    ("inner", {"a": 1}, {"a": 1}),
    ("objects", [{"a": 1}], [("tools[2].x[0]", {"a": 1})]),
]

REFUSED = [
    ("text", 1, "tools[2].x: must be a string, not this number"),
    ("needed", None, "tools[2].x: is missing"),
    ("number", "1", "tools[2].x: must be a number, not a string"),
    ("number", True, "tools[2].x: must be a number, not a truth value"),
    ("number", float("nan"), "tools[2].x: must be a finite number, not this number"),
    ("count", -1, "tools[2].x: must be a whole number, 0 or more, not this number"),
    ("count", 1.5, "tools[2].x: must be a whole number, 0 or more, not this number"),
    ("flag", "yes", "tools[2].x: must be true or false, not a string"),
    ("mapping", [], "tools[2].x: must be an object, not a list"),
    ("items", {}, "tools[2].x: must be a list, not an object"),
    ("inner", "a", "tools[2].x: must be an object, not a string"),
    ("objects", [{}, None], "tools[2].x[1]: must be an object, not null"),
]


@rows(("reader", "value", "expected"), READ)
def test_a_member_of_the_right_type_is_read(reader: str, value: object, expected: object) -> None:
    assert READERS[reader](_fields({"x": value})) == expected


@rows(("reader", "value", "message"), REFUSED)
def test_a_member_of_a_wrong_type_is_refused_with_its_path(reader: str, value: object, message: str) -> None:
    with pytest.raises(Untranslatable) as refused:
        READERS[reader](_fields({"x": value}))
    assert str(refused.value) == message


def test_an_absent_object_is_none_and_no_object_is_refused() -> None:
    assert _fields({}).inner("x") is None
    with pytest.raises(Untranslatable, match=r"^must be an object, not null$"):
        _fields(None, "")
    assert _fields({}, "").path("model") == "model"


def test_members_that_say_nothing_are_no_loss() -> None:
    losses = Losses()
    fields = Fields({"a": 1, "b": None, "c": "", "d": [], "e": 0, "f": False, "g": {}}, "", losses)
    fields.only({"a"}, {"b": "seed"})
    fields.forbid({"d": ("why", "next")})
    assert losses.names == ()


def test_members_that_say_something_are_told_or_refused() -> None:
    losses = Losses()
    fields = Fields({"a": 1, "b": 2, "c": 3}, "x", losses)
    fields.only({"a"}, {"b": "seed"})
    fields.less("user", "c")
    assert losses.names == ("seed", "unknown_member", "user")
    with pytest.raises(Untranslatable) as refused:
        fields.forbid({"c": ("is no good", "Leave it out.")})
    assert (refused.value.path, refused.value.why, refused.value.next_step) == (
        "x.c",
        "is no good",
        "Leave it out.",
    )
    with pytest.raises(Untranslatable, match=r"^x: is no good$"):
        fields.refuse("", "is no good")
