"""What stands in which line of a TOML text. tomllib tells no positions, so the text is read again, section by
section."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# What may be missing at the end of a line inside a list, an inline table or a long string, so that it can be
# read so far.
_CLOSERS = ("", "]", "]}", "}", "]]", '"""', "'''")


def join(path: str, name: str) -> str:
    """The TOML path of `name` inside the table at `path`, quoted where TOML wants it."""
    name = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
    return f"{path}.{name}" if path else name


class Lines:
    """Which line of a TOML text wrote which path. The text is read section by section, when somebody first
    asks."""

    def __init__(self, text: str, name: str) -> None:
        self._text, self._name = text, name
        self._found: dict[str, int] | None = None

    def place(self, path: str) -> str:
        """`holdfast.toml:12` for the path, or for what it would stand in; the file's name when it stands
        nowhere."""
        found = self._lines()
        holders = [one for one in found if path == one or path.startswith((f"{one}.", f"{one}["))]
        return f"{self._name}:{found[max(holders, key=len)]}" if holders else self._name

    def __contains__(self, path: str) -> bool:
        return path in self._lines()

    def _lines(self) -> dict[str, int]:
        if self._found is None:
            self._found = {}
            for section in sections(self._text):
                for count in range(1, len(section.lines) + 1):
                    for path in _paths("", _readable("".join(section.lines[:count]))):
                        self._found.setdefault(path, section.start + count)
        return self._found


@dataclass(frozen=True, slots=True)
class Section:
    """A table header with its lines. `path` is () for what precedes the first header; `start` counts the
    lines before it."""

    path: tuple[str, ...]
    start: int
    lines: list[str]


def sections(text: str) -> list[Section]:
    import tomllib

    found = [Section((), 0, [])]
    for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text)):
        if line.lstrip().startswith("["):
            try:
                tomllib.loads("".join(found[-1].lines))
                header = tomllib.loads(line)
            except tomllib.TOMLDecodeError:  # a bracket inside a list or a string
                pass
            else:
                found.append(Section(tuple(_chain(header)), number, []))
        found[-1].lines.append(line)
    return found


def _chain(header: Mapping[str, Any]) -> Iterator[str]:
    for name, value in header.items():
        yield name
        if isinstance(value, Mapping):
            yield from _chain(value)


def _readable(text: str) -> Mapping[str, Any]:
    import tomllib

    for closer in _CLOSERS:
        try:
            return tomllib.loads(f"{text}\n{closer}" if closer else text)
        except tomllib.TOMLDecodeError:
            continue
    return {}


def _paths(path: str, value: object) -> Iterator[str]:
    if path:
        yield path
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _paths(join(path, name), one)
    elif isinstance(value, list):
        for position, one in enumerate(value):
            yield from _paths(f"{path}[{position}]", one)
