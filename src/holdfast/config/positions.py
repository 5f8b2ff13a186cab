"""The line of each value in a TOML text."""

from __future__ import annotations

import re
from functools import cached_property

from .toml_lines import layout


class Lines:
    """The line of each TOML path in a text. The text is read at the first question, or by `read`."""

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
        return layout(self._text).lines


def lines_of(text: str) -> list[str]:
    """Return the lines of a text with their line ends. Only a line feed ends a line, as in TOML."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
