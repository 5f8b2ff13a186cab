"""Words of older versions in holdfast.toml: the lines that have them, and the file with the words of today.

There is no second spelling: a file with an old word is refused with the line as it has to be
(`home.understood`), and `holdfast config upgrade` rewrites it (`upgrade`)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from ..core.config import Locate
from ..core.errors import Problem
from .positions import line_numbers, lines_of
from .toml_spans import Kind, spans

RENAMED: Mapping[str, str] = {"ladder": "fallback"}
"""The old names of tables in holdfast.toml, and today's."""
UPGRADE = "holdfast config upgrade"

_OLD_KEY = re.compile(rf"""\s*(?:\[\s*)?(["']?)({"|".join(RENAMED)})\1(?=[\s.=\]])""")
_HEADER = re.compile(r"""\[(?:[^\]#"']|"[^"]*"|'[^']*')*\]""")


class OldLine(NamedTuple):
    """A line that has an old word. `number` counts from 1; `before` and `after` are the line without its line
    end."""

    number: int
    word: str
    before: str
    after: str


def old_lines(text: str) -> list[OldLine]:
    """Return the lines of a TOML text in which an old word can be replaced."""
    old, lines = [], lines_of(text)
    for number in _top_lines(text):
        before = lines[number - 1].rstrip("\r\n")
        match = _OLD_KEY.match(before)
        if match is not None:
            after = before[: match.start(2)] + RENAMED[match[2]] + before[match.end(2) :]
            old.append(OldLine(number, match[2], before, after))
    return old


def _top_lines(text: str) -> Iterator[int]:
    """Give the numbers of the lines that begin with a name of the whole file: of the headers, and of the keys
    before the first header."""
    numbers = line_numbers(text)
    in_table = False
    for span in spans(text):
        in_table = in_table or span.is_header
        if span.is_header or (not in_table and span.kind is Kind.FIELD):
            yield numbers(span.start)


def rewritten(text: str) -> str:
    """Return `text` with the words of today; everything else stays as it is, to the byte."""
    lines = lines_of(text)
    for old in old_lines(text):
        line = lines[old.number - 1]
        lines[old.number - 1] = line.replace(old.before, old.after, 1)
    return "".join(lines)


def renamed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document under the names of today. A table with both names becomes one."""
    current: dict[str, Any] = {}
    for written, value in document.items():
        name = RENAMED.get(written, written)
        before = current.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            current[name] = {**before, **value}
        else:
            current[name] = value
    return current


def can_upgrade(document: Mapping[str, Any], text: str) -> bool:
    """Return whether `rewritten` gives exactly the document under the names of today."""
    import tomllib

    try:
        return tomllib.loads(rewritten(text)) == renamed(document)
    except tomllib.TOMLDecodeError:
        return False


def problems(document: Mapping[str, Any], text: str, file: str) -> list[Problem]:
    """Return a problem for each line that has an old word, with the line as it has to be. The fix is the
    command that rewrites the file, where it can."""
    words = [name for name in document if name in RENAMED]
    if not words:
        return []
    fix, both = UPGRADE, set[str]()
    if not can_upgrade(document, text):
        fix, both = "", {word for word in words if RENAMED[word] in document}
    lines = old_lines(text)
    located = {line.word for line in lines}
    places = [
        *((line.word, key_of(line.after), f"{file}:{line.number}") for line in lines),
        *((word, f"[{RENAMED[word]}]", file) for word in words if word not in located),
    ]
    return [Problem(word, _what(word, line, both), fix, where) for word, line, where in places]


def _what(word: str, line: str, both: Collection[str]) -> str:
    """Return what to do about an old word; `both` are those with a table under today's name that cannot be
    joined."""
    today = RENAMED[word]
    if word in both:
        return f"'{word}' is called '{today}' now, and there is a [{today}] too: move its rows into [{today}]"
    return f"'{word}' is called '{today}' now: write {line}"


def key_of(line: str) -> str:
    """Return the header in a line, or the key before its value; the value is never repeated."""
    header = _HEADER.match(line.strip())
    if header is not None:
        return header[0]
    return f"{line.partition('=')[0].strip()} = …"


def as_written(line_of: Locate, document: Mapping[str, Any]) -> Locate:
    """Return `line_of` for paths with the names of today, in a document that may have the old ones."""
    before = {new: old for old, new in RENAMED.items() if old in document and new not in document}

    def written(path: str) -> str:
        for name, old in before.items():
            if path == name or path.startswith(f"{name}."):
                return line_of(old + path.removeprefix(name))
        return line_of(path)

    return written
