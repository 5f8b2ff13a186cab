"""The line of each value in a TOML text."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from .toml_spans import Path, spans
from .toml_text import join


class Lines:
    """The line of each TOML path in a correct text. The text is read at the first question, or by `read`."""

    def __init__(self, text: str, name: str) -> None:
        self._text, self._name = text, name

    def read(self) -> None:
        """Read the text, so that no later question has to."""
        self._lines  # noqa: B018

    def locate(self, path: str) -> str:
        """Return `holdfast.toml:12` for the path, or for the nearest table around it; the file's name when
        there is neither."""
        while path:
            if path in self._lines:
                return f"{self._name}:{self._lines[path]}"
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self._name

    def __contains__(self, path: str) -> bool:
        return path in self._lines

    @cached_property
    def _lines(self) -> dict[str, int]:
        return first_lines(self._text)


def first_lines(text: str) -> dict[str, int]:
    """Return the line on which each path of a correct TOML text begins."""
    number_of = line_numbers(text)
    written: dict[Path, str] = {(): ""}
    lines: dict[str, int] = {}
    for span in spans(text):
        for depth in range(_known_depth(span.path, written) + 1, len(span.path) + 1):
            path = span.path[:depth]
            written[path] = _with(written[path[:-1]], path[-1])
            lines[written[path]] = number_of(span.start)
    return lines


def _known_depth(path: Path, written: dict[Path, str]) -> int:
    depth = len(path)
    while path[:depth] not in written:
        depth -= 1
    return depth


def _with(path: str, part: str | int) -> str:
    if isinstance(part, int):
        return f"{path}[{part}]"
    return join(path, part)


def line_numbers(text: str) -> Callable[[int], int]:
    """Return a function that gives the line of a position, counted from 1, for positions that only grow."""
    at, number = 0, 1

    def number_of(position: int) -> int:
        nonlocal at, number
        number += text.count("\n", at, position)
        at = position
        return number

    return number_of
