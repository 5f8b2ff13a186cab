"""Losses of a translation, refusals, and the level of effort that comes nearest."""

from __future__ import annotations

import re

import pytest

from holdfast.translate.caps import LEVELS, Caps, effort_for, level_of_budget
from holdfast.translate.losses import LESS, Losses, Untranslatable
from tables import rows


def test_each_loss_is_told_once_in_its_order() -> None:
    losses = Losses()
    for name in ("seed", "user", "seed"):
        losses.less(name, name)
    assert losses.names == ("seed", "user")


def test_a_loss_must_have_its_sentence() -> None:
    with pytest.raises(KeyError):
        Losses().less("never_heard_of", "x")


def test_nothing_may_be_lost_where_all_is_to_be_exact() -> None:
    with pytest.raises(Untranslatable) as refused:
        Losses(exact=True).less("seed", "seed")
    assert str(refused.value) == 'seed: the seed was left out, which `translate = "exact"` does not allow'


def test_a_refusal_says_where_why_and_what_to_do() -> None:
    with pytest.raises(Untranslatable) as refused:
        Losses().refuse("input[3]", "is no good", "holdfast models")
    assert (refused.value.path, refused.value.why) == ("input[3]", "is no good")
    assert str(refused.value) == "input[3]: is no good\n  run: holdfast models"
    assert str(Untranslatable("", "is no good")) == "is no good"


@rows("name", LESS)
def test_names_of_losses_fit_into_a_header(name: str) -> None:
    assert re.fullmatch(r"[a-z_]+", name)
    assert LESS[name][0].islower()


EFFORTS = [
    (("low", "medium", "high"), "", "medium", "medium"),
    (("low", "medium", "high"), "", "max", "high"),
    (("low", "medium", "high"), "", "minimal", "low"),
    (("low", "high"), "", "medium", "low"),
    (("low", "max"), "", "high", "low"),
    (("high", "max"), "", "xhigh", "high"),
    (("minimal", "low"), "", "none", ""),
    (("low",), "none", "none", "none"),
    (("low",), "minimal", "none", "minimal"),
    ((), "", "high", ""),
    ((), "none", "none", "none"),
    (("low",), "", "ultra", ""),
]


@rows(("efforts", "off", "level", "expected"), EFFORTS)
def test_a_level_of_effort_becomes_the_nearest_one(
    efforts: tuple[str, ...], off: str, level: str, expected: str
) -> None:
    assert effort_for(Caps(efforts=efforts, effort_off=off), level) == expected


BUDGETS = [(0, 900, "low"), (299, 900, "low"), (300, 900, "medium"), (600, 900, "high"), (5000, 900, "high")]


@rows(("budget", "most", "expected"), [*BUDGETS, (5000, None, "medium"), (5, 0, "medium")])
def test_a_budget_is_a_level_by_its_third_of_the_answer(budget: int, most: int | None, expected: str) -> None:
    assert level_of_budget(budget, most) == expected


def test_a_level_that_an_endpoint_takes_stays() -> None:
    assert [effort_for(Caps(efforts=LEVELS[1:]), level) for level in LEVELS[1:]] == list(LEVELS[1:])
