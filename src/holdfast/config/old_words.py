"""Words of older versions in holdfast.toml: the lines that have them, and the file with the words of today.

There is no second spelling: a file with an old word is refused with the line as it has to be
(`home.understood`), and `holdfast config upgrade` rewrites it (`upgrade`)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from ..core.config import Locate
from ..core.errors import Problem
from .positions import line_numbers
from .toml_edits import quoted_like
from .toml_spans import Span, spans

RENAMED: Mapping[str, str] = {"ladder": "fallback"}
"""The old names of tables in holdfast.toml, and today's."""
UPGRADE = "holdfast config upgrade"


class OldLine(NamedTuple):
    """A line that has an old word. `number` counts from 1; `before` and `after` are its header, or the key
    before its value, which is never repeated."""

    number: int
    word: str
    before: str
    after: str


def old_lines(text: str) -> list[OldLine]:
    """Return the lines of a correct TOML text that have an old word."""
    number_of = line_numbers(text)
    return [_old_line(text, span, number_of(span.start)) for span in _old_spans(text)]


def _old_line(text: str, span: Span, number: int) -> OldLine:
    name, end, rest = span.names[0], span.names[-1].end, " = …"
    if span.is_header:
        end, rest = span.end, ""
    after = f"{text[span.start : name.start]}{_today(text, span)}{text[name.end : end]}{rest}"
    return OldLine(number, str(span.path[0]), text[span.start : end] + rest, after)


def rewritten(text: str) -> str:
    """Return `text` with the words of today; everything else stays as it is, to the byte."""
    pieces, at = [], 0
    for span in _old_spans(text):
        pieces += [text[at : span.names[0].start], _today(text, span)]
        at = span.names[0].end
    return "".join((*pieces, text[at:]))


def _old_spans(text: str) -> Iterator[Span]:
    """Yield the headers and keys that begin at the top of the document with an old word."""
    for span in spans(text):
        if span.names and span.names[0].position == 0 and span.path[0] in RENAMED:
            yield span


def _today(text: str, span: Span) -> str:
    """Return today's name for the first name of a span, in the same quotes."""
    today = RENAMED[str(span.path[0])]
    return quoted_like(text[span.names[0].start], today, today)


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
    return [Problem(line.word, _what(line, both), fix, f"{file}:{line.number}") for line in old_lines(text)]


def _what(line: OldLine, both: Collection[str]) -> str:
    """Return what to do about a line with an old word; `both` are those with a table under today's name that
    cannot be joined."""
    today = RENAMED[line.word]
    what = f"'{line.word}' is called '{today}' now"
    if line.word in both:
        return f"{what}, and there is a [{today}] too: move its rows into [{today}]"
    return f"{what}: write {line.after}"


def as_written(line_of: Locate, document: Mapping[str, Any]) -> Locate:
    """Return `line_of` for paths with the names of today, in a document that may have the old ones."""
    before = {new: old for old, new in RENAMED.items() if old in document and new not in document}

    def written(path: str) -> str:
        for name, old in before.items():
            if path == name or path.startswith(f"{name}."):
                return line_of(old + path.removeprefix(name))
        return line_of(path)

    return written
