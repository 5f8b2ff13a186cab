"""Tests over tables whose rows cost less than a test of their own does.

    @rows(("text", "seconds"), [("1 s", 1), ("2 min", 120)])
    def test_a_duration_is_read(text: str, seconds: int) -> None:

It is written as pytest.mark.parametrize is, and may be put upon another table. All rows are one test, which
tries each of them and names those that fail. So a row must leave nothing behind that another could meet: what
needs a fixture of its own, is a test of its own (pytest.mark.parametrize)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any

import pytest
from _pytest.mark import ParameterSet

Ids = Sequence[str] | Callable[[Any], object] | None


def rows(names: str | Sequence[str], table: Iterable[Any], ids: Ids = None) -> Callable[[Any], Any]:
    """Return the decorator that has a test check each row of a table.

    names    of the test's arguments, in the order of a row's values
    table    the rows; where there is one name, its values
    ids      what a row is called: a list, or a function of a value"""
    arguments = [name.strip() for name in names.split(",")] if isinstance(names, str) else [*names]
    known = [_values(row, len(arguments)) for row in table]
    labels = [_label(row, number, ids) for number, row in enumerate(known)]
    assert known, "a table without rows tests nothing"

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(test)
        others = [value for name, value in signature.parameters.items() if name not in arguments]

        @functools.wraps(test)
        def run(**given: Any) -> None:
            failures: list[BaseException] = []
            for label, row in zip(labels, known, strict=True):
                try:
                    test(**given, **dict(zip(arguments, row, strict=True)))
                except (Exception, pytest.fail.Exception) as failure:  # noqa: BLE001 - the other rows are tried too
                    failure.add_note(f"in the row [{label}]")
                    failures.append(failure)
            if len(failures) == 1:
                raise failures[0]
            if failures:
                raise BaseExceptionGroup(f"{len(failures)} of {len(known)} rows fail", failures)

        run.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return run

    return decorate


def _values(row: Any, count: int) -> tuple[Any, ...]:
    if isinstance(row, ParameterSet):
        return tuple(row.values)
    return tuple(row) if count > 1 else (row,)


def _label(row: Sequence[Any], number: int, ids: Ids) -> str:
    if ids is not None and not callable(ids):
        return str(ids[number])
    return "-".join(str(_word(value if ids is None else ids(value), number)) for value in row)


def _word(value: object, number: int) -> object:
    """Return a few words for a value of a row, or the row's number."""
    if isinstance(value, (str, int, float, bytes, Enum)):
        return repr(value)[:80]
    return getattr(value, "__name__", f"row {number}")
