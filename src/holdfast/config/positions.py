"""The line of each value in a TOML text. tomllib gives no positions, so the text is read again, section by
section."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

# What completes a text that ends inside a list, an inline table or a long string, so that it can be parsed.
_CLOSERS = ("", "]", "]}", "}", "]]", '"""', "'''")


def join(path: str, name: str) -> str:
    """Return the TOML path of `name` inside the table at `path`, quoted where TOML requires it."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        name = json.dumps(name, ensure_ascii=False)
    if not path:
        return name
    return f"{path}.{name}"


class Lines:
    """The line of each TOML path in a text. The text is read at the first question."""

    def __init__(self, text: str, name: str) -> None:
        self._text, self._name = text, name

    def locate(self, path: str) -> str:
        """Return `holdfast.toml:12` for the path, or for the nearest table around it; the file's name when
        there is neither."""
        holders = [known for known in self._lines if path == known or _is_inside(path, known)]
        if not holders:
            return self._name
        return f"{self._name}:{self._lines[max(holders, key=len)]}"

    def __contains__(self, path: str) -> bool:
        return path in self._lines

    @cached_property
    def _lines(self) -> dict[str, int]:
        """The number of the first line, counted from 1, after which a path exists."""
        lines: dict[str, int] = {}
        for section in sections(self._text):
            for count in range(1, len(section.lines) + 1):
                for path in _paths("", _parsed_so_far("".join(section.lines[:count]))):
                    lines.setdefault(path, section.start + count)
        return lines


@dataclass(frozen=True, slots=True)
class Section:
    """A table header with its lines. `path` is () for the lines before the first header; `start` is the
    number of lines before the section."""

    path: tuple[str, ...]
    start: int
    lines: list[str]


def sections(text: str) -> list[Section]:
    """Split a TOML text at its table headers. The lines of all sections together are the text."""
    import tomllib

    result = [Section((), 0, [])]
    for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text)):
        if line.lstrip().startswith("["):
            try:
                tomllib.loads("".join(result[-1].lines))
                header = tomllib.loads(line)
            except tomllib.TOMLDecodeError:  # a bracket inside a list or a string
                pass
            else:
                result.append(Section(tuple(_names(header)), number, []))
        result[-1].lines.append(line)
    return result


def _names(header: Mapping[str, Any]) -> Iterator[str]:
    """Give the names in a parsed header, from the outermost table inwards."""
    for name, value in header.items():
        yield name
        if isinstance(value, Mapping):
            yield from _names(value)


def _is_inside(path: str, table: str) -> bool:
    return path.startswith((f"{table}.", f"{table}["))


def _parsed_so_far(text: str) -> Mapping[str, Any]:
    """Return the document in a text that may end in the middle of a value; an empty one if it cannot be
    completed."""
    import tomllib

    for closer in _CLOSERS:
        try:
            return tomllib.loads(f"{text}\n{closer}")
        except tomllib.TOMLDecodeError:
            continue
    return {}


def _paths(path: str, value: object) -> Iterator[str]:
    """Give the paths of a value and of everything in it."""
    if path:
        yield path
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _paths(join(path, name), inner)
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _paths(f"{path}[{position}]", inner)
