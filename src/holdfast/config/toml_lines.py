"""The lines on which the tables, keys and values of a TOML text begin, read in one pass. tomllib gives no
positions.

The text is one that tomllib accepts. For another text the answers mean nothing, but there is an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import NamedTuple

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_TOKEN = re.compile(
    r"""(?:[ \t\r]++|\#[^\n]*+)*+   # white space and a comment
    ( \n
    | \"{3}(?:[^"\\]|\\.|"(?!""))*+"{3,5}
    | '{3}(?:[^']|'(?!''))*+'{3,5}
    | "(?:[^"\\\n]|\\.)*+"
    | '[^'\n]*+'
    | [^\s\[\]{}=,.\#"']++          # a bare key, or a part of a number, a time or a word
    | . | \Z )""",
    re.VERBOSE | re.DOTALL,
)
_BETWEEN = frozenset({",", "\n"})
_AFTER_VALUE = frozenset({",", "\n", "]", "}", ""})


class Statement(NamedTuple):
    """A table header or a key with its value. `names` are the names in the header or of the key; `line` is
    where it begins, counted from 1."""

    names: tuple[str, ...]
    line: int
    is_header: bool


class Layout(NamedTuple):
    """The statements of a text, and the line on which each TOML path begins."""

    statements: list[Statement]
    lines: dict[str, int]


def join(path: str, name: str) -> str:
    """Return the TOML path of `name` inside the table at `path`, quoted where TOML requires it."""
    if not _BARE.fullmatch(name):
        name = json.dumps(name, ensure_ascii=False)
    if not path:
        return name
    return f"{path}.{name}"


def layout(text: str) -> Layout:
    """Return where everything in a TOML text begins. The time grows with the length of the text."""
    reader = _Reader(text)
    reader.read()
    return Layout(reader.statements, reader.lines)


class _Reader:
    """A reader of tokens. `_next` is the next one ("" at the end of the text), `_line` is its line."""

    def __init__(self, text: str) -> None:
        self.statements: list[Statement] = []
        self.lines: dict[str, int] = {}
        self._last: dict[str, int] = {}  # the position of the last table in each array of tables
        self._tokens = iter(_TOKEN.findall(text))
        self._next, self._line = next(self._tokens), 1

    def read(self) -> None:
        """Read all statements."""
        table = ""
        while self._next:
            if self._next == "[":
                table = self._header()
            elif self._next != "\n":
                line = self._line
                self.statements.append(Statement(self._pair(table), line, is_header=False))
            self._advance()

    def _advance(self) -> None:
        if "\n" in self._next:
            self._line += self._next.count("\n")
        self._next = next(self._tokens, "")

    def _header(self) -> str:
        """Read a table header, up to its closing bracket, and return the path of the table."""
        self._advance()
        is_array = self._next == "["
        if is_array:
            self._advance()
        names = self._names("]")
        self.statements.append(Statement(names, self._line, is_header=True))
        path = self._define("", names[:-1])
        for name in names[-1:]:
            path = self._begin(join(path, name))
            if is_array:
                self._last[path] = self._last.get(path, -1) + 1
            path = self._in_last(path)
        if is_array:
            self._advance()
        return path

    def _pair(self, table: str) -> tuple[str, ...]:
        """Read a key and its value, and return the names of the key."""
        names = self._names("=")
        path = self._define(table, names)
        self._advance()
        self._value(path)
        return names

    def _names(self, end: str) -> tuple[str, ...]:
        """Read a key, dotted or not, up to the token after it."""
        names = []
        while self._next not in (end, "\n", ""):
            if self._next != ".":
                names.append(unquoted(self._next))
            self._advance()
        return tuple(names)

    def _define(self, path: str, names: Iterable[str]) -> str:
        """Note where a dotted key begins inside the table at `path`, and return its path."""
        for name in names:
            path = self._in_last(self._begin(join(path, name)))
        return path

    def _in_last(self, path: str) -> str:
        """Return the path of a table, or of the last one if it is an array of tables."""
        if path in self._last:
            return self._begin(f"{path}[{self._last[path]}]")
        return path

    def _begin(self, path: str) -> str:
        self.lines.setdefault(path, self._line)
        return path

    def _value(self, path: str) -> None:
        self._begin(path)
        if self._next == "[":
            self._array(path)
        elif self._next == "{":
            self._inline_table(path)
        else:
            self._advance()
            while self._next not in _AFTER_VALUE:
                self._advance()

    def _array(self, path: str) -> None:
        position = 0
        self._advance()
        while self._next not in ("]", ""):
            if self._next in _BETWEEN:
                self._advance()
            else:
                self._value(f"{path}[{position}]")
                position += 1
        self._advance()

    def _inline_table(self, path: str) -> None:
        self._advance()
        while self._next not in ("}", ""):
            if self._next in _BETWEEN:
                self._advance()
            else:
                self._pair(path)
        self._advance()


def unquoted(name: str) -> str:
    """Return the name that a token writes, bare or in quotes; the token if it writes none."""
    if name[0] not in "\"'":
        return name
    if "\\" not in name or name[0] == "'":
        return name[1:-1]
    import tomllib

    try:
        return str(tomllib.loads(f"name = {name}")["name"])
    except tomllib.TOMLDecodeError:
        return name
