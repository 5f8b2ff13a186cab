"""A table in one test hides no row that fails."""

from __future__ import annotations

import pytest

from tables import rows


def test_each_row_that_fails_is_named_and_all_are_tried() -> None:
    tried = []

    @rows(("text", "number"), [("a", 1), ("b", 2), ("c", 3)])
    def check(text: str, number: int) -> None:
        tried.append(text)
        assert number == 2

    with pytest.raises(ExceptionGroup, match="2 of 3 rows fail") as failure:
        check()
    assert [each.__notes__ for each in failure.value.exceptions] == [
        ["in the row ['a'-1]"],
        ["in the row ['c'-3]"],
    ]
    assert tried == ["a", "b", "c"]


def test_an_exception_that_does_not_come_fails_its_row() -> None:
    @rows("divisor", [0, 1], ids=["nothing", "one"])
    def check(divisor: int) -> None:
        with pytest.raises(ZeroDivisionError):
            assert 1 / divisor

    with pytest.raises(pytest.fail.Exception) as failure:
        check()
    assert failure.value.__notes__ == ["in the row [one]"]


def test_a_table_upon_a_table_is_every_pair_of_their_rows() -> None:
    pairs = []

    @rows("first", "ab")
    @rows("second", [pytest.param(1, id="x"), 2])
    def check(first: str, second: int) -> None:
        pairs.append((first, second))

    check()
    assert pairs == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]


@rows("number", [1, 2])
def test_a_table_leaves_other_names_to_fixtures(number: int, home: object) -> None:
    assert (number in (1, 2), home is not None) == (True, True)
