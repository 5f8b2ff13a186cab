"""The spans of headers, keys and values in a TOML text. It has to be correct, which tomllib checks."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple

Path = tuple[str | int, ...]
"""Names of tables and positions in lists, from the top of the document inwards."""

_SPACES = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:\\[\s\S]|[^\\])*?"{3,5}' r"|'''[\s\S]*?'{3,5}" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'"
)
_NAME = re.compile(rf"[A-Za-z0-9_-]+|{_STRING.pattern}")
_PLAIN = re.compile(r"[^,\]}#\r\n]+")


class Kind(Enum):
    """Say what a span is: `[table]`, `[[table]]`, `key = value` on its own line or in an inline table, or a
    value in a list."""

    HEADER = auto()
    LIST_HEADER = auto()
    FIELD = auto()
    MEMBER = auto()
    ITEM = auto()


class Name(NamedTuple):
    """Locate one name of a key: its position in the span's path, and where it begins and ends."""

    position: int
    start: int
    end: int


class Span(NamedTuple):
    """A piece of the text: it begins at `start`, its value (if it has one) at `value`, both end at `end`."""

    kind: Kind
    path: Path
    names: tuple[Name, ...]
    start: int
    value: int
    end: int

    @property
    def is_header(self) -> bool:
        return self.kind in (Kind.HEADER, Kind.LIST_HEADER)

    def is_within(self, path: Path) -> bool:
        """Return whether this is the value at `path` or a part of it."""
        return self.path[: len(path)] == path


def spans(text: str) -> list[Span]:
    """Return the spans of a correct TOML text in the order in which they begin."""
    return sorted(_Scanner(text).document(), key=lambda span: span.start)


class _Scanner:
    """A scanner of one text; `at` is the position that it has reached."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.result: list[Span] = []
        self.lengths: dict[Path, int] = {}

    def document(self) -> list[Span]:
        table: Path = ()
        while self._next(_BLANK):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._field(table, Kind.FIELD)
        return self.result

    def _next(self, skipped: re.Pattern[str]) -> bool:
        """Move behind what is to be skipped. Return False at the end of the text."""
        match = skipped.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
        return self.at < len(self.text)

    def _header(self) -> Path:
        """Move behind a header and return the path of its table."""
        start, kind, brackets = self.at, Kind.HEADER, 1
        if self.text.startswith("[[", start):
            kind, brackets = Kind.LIST_HEADER, 2
        self.at += brackets
        path, names = self._key((), in_header=True)
        self.at += brackets
        if kind is Kind.LIST_HEADER:
            position = self.lengths.get(path, 0)
            self.lengths[path] = position + 1
            path = (*path, position)
        self.result.append(Span(kind, path, names, start=start, value=self.at, end=self.at))
        return path

    def _key(self, table: Path, *, in_header: bool = False) -> tuple[Path, tuple[Name, ...]]:
        """Move behind a key and the spaces after it; return its path and its names. In a header the name of
        a list of tables means its last table."""
        path, names = table, []
        while True:
            self._next(_SPACES)
            match = _NAME.match(self.text, self.at)
            if match is None:
                raise ValueError("the text is not TOML")
            if in_header and path in self.lengths:
                path = (*path, self.lengths[path] - 1)
            names.append(Name(len(path), *match.span()))
            path = (*path, unquoted(match[0]))
            self.at = match.end()
            self._next(_SPACES)
            if self.text[self.at] != ".":
                return path, tuple(names)
            self.at += 1

    def _field(self, table: Path, kind: Kind) -> None:
        start = self.at
        path, names = self._key(table)
        self.at += 1
        self._next(_SPACES)
        value = self.at
        self._value(path)
        self.result.append(Span(kind, path, names, start=start, value=value, end=self.at))

    def _value(self, path: Path) -> None:
        first = self.text[self.at]
        if first in "\"'":
            self._next(_STRING)
        elif first == "[":
            self._list(path)
        elif first == "{":
            self._inline_table(path)
        else:
            start = self.at
            self._next(_PLAIN)
            self.at = start + len(self.text[start : self.at].rstrip())

    def _list(self, path: Path) -> None:
        self.at += 1
        position = 0
        while self._next(_BLANK) and self.text[self.at] != "]":
            if self.text[self.at] == ",":
                self.at += 1
                continue
            start, item = self.at, (*path, position)
            self._value(item)
            self.result.append(Span(Kind.ITEM, item, (), start=start, value=start, end=self.at))
            position += 1
        self.at += 1

    def _inline_table(self, path: Path) -> None:
        self.at += 1
        while self._next(_BLANK) and self.text[self.at] != "}":
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._field(path, Kind.MEMBER)
        self.at += 1


def unquoted(name: str) -> str:
    """Return the name that a token writes, bare or in quotes."""
    if name[0] not in "\"'":
        return name
    if "\\" not in name or name[0] == "'":
        return name[1:-1]
    import tomllib

    return str(tomllib.loads(f"name = {name}")["name"])
