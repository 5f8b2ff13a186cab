"""Changes of a TOML text that keep every other byte of it: where a new line, field or value goes, and what is
cut for one that is removed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .toml_spans import Kind, Path, Span, spans
from .toml_text import item, join

_COMMA = re.compile(r"(?:[ \t\r\n]|#[^\n]*\n)*,")
_NEXT_COMMA = re.compile(r"\s*,[ \t]*")
_COMMA_BEFORE = re.compile(r",[ \t]*\Z")
_REST_OF_LINE = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_BLANK_LINES = re.compile(r"(?:[ \t]*\r?\n)*")
_SPACES = re.compile(r"[ \t]*")
_EMPTY_LAST_LINE = re.compile(r"(?:\A|\n)[ \t]*\r?\n\Z")


class EditedText:
    """A TOML text that is changed piece by piece."""

    def __init__(self, text: str) -> None:
        self.text = text

    def splice(self, start: int, end: int, text: str) -> None:
        self.text = self.text[:start] + text + self.text[end:]

    def span(self, path: Path) -> Span | None:
        """Return the span of the value at `path`, if it is written in one piece."""
        return next((span for span in spans(self.text) if span.path == path and not span.is_header), None)

    def tables(self, path: Path) -> list[Span]:
        """Return the headers `[[path]]`."""
        return [span for span in spans(self.text) if span.kind is Kind.LIST_HEADER and span.path[:-1] == path]

    def _line(self, at: int) -> int:
        """Return where the line begins."""
        return self.text.rfind("\n", 0, at) + 1

    def _indent(self, at: int) -> str:
        """Return the blanks at the beginning of the line."""
        start = self._line(at)
        return self.text[start : self.after_spaces(start)]

    def after_spaces(self, at: int) -> int:
        return _after(_SPACES, self.text, at)

    def beside(self, at: int) -> str | None:
        """Return the comment in the rest of the line, if there is nothing else."""
        match = _REST_OF_LINE.match(self.text, at)
        if match is None:
            return None
        return match[0].strip() or None

    def _write_line(self, after: int, line: str) -> None:
        """Write a line below the one that contains `after`."""
        end = self.text.find("\n", after)
        if end == -1:
            self.text = f"{self.text}\n"
            end = len(self.text) - 1
        self.splice(end + 1, end + 1, f"{line}\n")

    def write_at_end(self, lines: str) -> None:
        """Write lines at the end of the text, below an empty one."""
        if self.text and not self.text.endswith("\n"):
            self.text += "\n"
        if self.text and not _EMPTY_LAST_LINE.search(self.text):
            self.text += "\n"
        self.text += lines

    def insert(self, table: Path, name: str, value: str) -> None:
        """Write a new field into a table: into an inline table, below the last field of its header, beside
        dotted keys with its name, or under a new header."""
        field = f"{join('', name)} = {value}"
        parts = [span for span in spans(self.text) if span.is_within(table)]
        whole = self.span(table)
        headers = [span for span in parts if span.is_header]
        own = [span for span in headers if span.path == table]
        dotted = [span for span in parts if span.names and _begins_in(span, table)]
        if whole is not None:
            self._add_member(whole, field)
        elif own:
            last = _last_field(own[0], spans(self.text))
            self._write_line(last.end, self._indent(last.start) + field)
        elif dotted:
            self._write_beside(dotted[-1], table, field)
        elif headers:
            self.write_table(headers[0], table, [f"[{header_of(table)}]", field])
        else:
            self.write_at_end(f"[{header_of(table)}]\n{field}\n")

    def _add_member(self, span: Span, field: str) -> None:
        inner = self.text[span.value + 1 : span.end - 1]
        at = span.value + 1 + len(inner.rstrip())
        if inner.strip():
            self.splice(at, at, f", {field}")
        else:
            self.splice(span.value, span.end, f"{{ {field} }}")

    def _write_beside(self, span: Span, table: Path, field: str) -> None:
        """Write a field below (in an inline table: after) a dotted key of the same table."""
        of_table = [name for name in span.names if name.position < len(table)]
        prefix = self.text[span.names[0].start : of_table[-1].end]
        if span.kind is Kind.MEMBER:
            self.splice(span.end, span.end, f", {prefix}.{field}")
        else:
            self._write_line(span.end, f"{self._indent(span.start)}{prefix}.{field}")

    def add_item(self, span: Span, value: str) -> None:
        """Write a value at the end of a list, on its own line if the list ends on one."""
        items = [part for part in spans(self.text) if part.kind is Kind.ITEM and part.path[:-1] == span.path]
        last, close = span.value + 1, span.end - 1
        if items:
            last = items[-1].end
        comma = _COMMA.match(self.text, last, close)
        if "\n" in self.text[last:close]:
            self.splice(self._line(close), self._line(close), f"{self._item_indent(span, items)}{value},\n")
            if items and comma is None:
                self.splice(last, last, ",")
        elif not items:
            self.splice(last, close, value)
        elif comma is not None:
            self.splice(comma.end(), comma.end(), f" {value}")
        else:
            self.splice(last, last, f", {value}")

    def _item_indent(self, span: Span, items: list[Span]) -> str:
        """Return the blanks before a new line of a list."""
        if items and self._line(items[-1].start) > span.value:
            return self._indent(items[-1].start)
        return f"{self._indent(span.start)}  "

    def write_table(self, like: Span, below: Path, lines: list[str]) -> None:
        """Write a table below everything that is written of the one at `below`, indented like a header."""
        every = spans(self.text)
        end = max(end_of(span, every) for span in every if span.is_within(below))
        indent = self._indent(like.start)
        self._write_line(end, "\n" + "\n".join(indent + line for line in lines))

    def cut(self, span: Span, end: int) -> tuple[int, int]:
        """Return the piece of the text to remove for a span that ends at `end`."""
        start, next_line = self._line(span.start), self._next_line(end)
        if span.is_header:
            return start, _after(_BLANK_LINES, self.text, next_line or end)
        if span.kind is Kind.FIELD:
            return start, next_line or end
        after_comma = _after(_NEXT_COMMA, self.text, end)
        before = self.text[start : span.start]
        next_line = self._next_line(after_comma)
        if span.kind is Kind.ITEM and not before.strip() and next_line is not None:
            return start, next_line
        comma_before = _COMMA_BEFORE.search(before)
        if after_comma > end or comma_before is None:
            return span.start, after_comma
        return start + comma_before.start(), end

    def _next_line(self, at: int) -> int | None:
        """Return where the next line begins, if the rest of this one is at most a comment."""
        match = _REST_OF_LINE.match(self.text, at)
        if match is None:
            return None
        return match.end()


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return where a match of the pattern that begins at `at` ends; `at` where there is none."""
    match = pattern.match(text, at)
    if match is None:
        return at
    return match.end()


def rendered(value: object) -> str:
    """Return a plain value as TOML on one line."""
    import tomlkit

    return str(tomlkit.item(item(value)).as_string())


def field_lines(table: Mapping[str, object]) -> list[str]:
    """Return a line for each field."""
    return [f"{join('', name)} = {rendered(value)}" for name, value in table.items()]


def quoted_like(quote: str, text: str, value: str) -> str:
    """Return `value` in the kind of quotes that it had before, if it can have them, else `text`: `value` as
    it is written in TOML."""
    if quote == "'" and "'" not in value:
        return f"'{value}'"
    if quote == '"' and text == value:
        return f'"{value}"'
    return text


def header_of(path: Path) -> str:
    """Return a path as it is written in a header."""
    text = ""
    for name in path:
        text = join(text, str(name))
    return text


def _begins_in(span: Span, table: Path) -> bool:
    """Return whether the key of a span names `table` and something in it."""
    return span.kind in (Kind.FIELD, Kind.MEMBER) and span.names[0].position < len(table) < len(span.path)


def _last_field(header: Span, every: list[Span]) -> Span:
    """Return the last field below a header, or the header if it has none."""
    last = header
    for span in every:
        if span.start <= header.start or span.kind not in (Kind.FIELD, Kind.HEADER, Kind.LIST_HEADER):
            continue
        if span.is_header:
            break
        last = span
    return last


def end_of(span: Span, every: list[Span]) -> int:
    """Return where a span ends; for a header with the fields below it."""
    if span.is_header:
        return _last_field(span, every).end
    return span.end
