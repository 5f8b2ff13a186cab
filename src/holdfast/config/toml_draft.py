"""A TOML text and the document in it, changed together: every other byte of the text stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .toml_edits import EditedText, end_of, field_lines, header_of, quoted_like, rendered
from .toml_spans import Kind, Path, Span, spans
from .toml_text import join


class Draft(EditedText):
    """A text in which values are set, added, removed and renamed by their paths.

    Comments inside what is removed go with it, and so does the one beside it on its line; the others stay.
    """

    def __init__(self, text: str) -> None:
        import tomllib

        super().__init__(text)
        self.document: dict[str, Any] = tomllib.loads(text)

    def at(self, path: Path) -> Any:
        """Return the value at `path`. Raises KeyError when there is none."""
        value: Any = self.document
        for name in path:
            value = value[name]
        return value

    def is_right(self) -> bool:
        """Return whether the text says what the document says: False for a layout that is not edited well."""
        import tomllib

        try:
            return _without_empty(tomllib.loads(self.text)) == _without_empty(self.document)
        except tomllib.TOMLDecodeError:
            return False

    # --- changes ---

    def put(self, path: Path, value: object) -> None:
        """Set the value at `path`, which may be a new one."""
        span = self.span(path)
        if span is not None:
            self.splice(span.value, span.end, rendered(value))
        else:
            if any(part.is_within(path) for part in spans(self.text)):
                self.remove(path)
            self.insert(path[:-1], str(path[-1]), rendered(value))
        holder: Any = self.document
        for name in path[:-1]:
            if isinstance(holder, dict):
                holder.setdefault(name, {})
            holder = holder[name]
        holder[path[-1]] = value

    def append_table(self, path: tuple[str, ...], fields: Mapping[str, object]) -> None:
        """Write a new table with its own header at the end of the text, or into the inline table around
        it."""
        around = self.span(path[:-1])
        if around is not None:
            self.put(path, fields)
            return
        self.write_at_end("\n".join([f"[{header_of(path)}]", *field_lines(fields), ""]))
        holder = self.document
        for name in path[:-1]:
            holder = holder.setdefault(name, {})
        holder[path[-1]] = dict(fields)

    def has_tables(self, path: Path) -> bool:
        """Return whether the list at `path` is written as `[[tables]]`."""
        return bool(self.tables(path))

    def add(self, path: Path, value: object) -> None:
        """Add a value to the list at `path`; a list that is missing is made."""
        span, tables = self.span(path), self.tables(path)
        if span is None and not tables:
            self.put(path, [value])
            return
        if span is not None:
            self.add_item(span, rendered(value))
        elif isinstance(value, Mapping):
            last = tables[-1]
            header = self.text[last.start : last.end]
            self.write_table(last, last.path, [header, *field_lines(value)])
        self.at(path).append(value)

    def remove(self, path: Path) -> None:
        """Remove the value at `path` in every piece of the text that writes a part of it."""
        every = spans(self.text)
        was_table = any(span.kind is Kind.LIST_HEADER and span.path == path for span in every)
        pieces: list[tuple[Span, int]] = []
        for span in every:
            if not span.is_within(path) or (pieces and span.start < pieces[-1][1]):
                continue
            pieces.append((span, end_of(span, every)))
        for span, end in reversed(pieces):
            self.splice(*self.cut(span, end), "")
        del self.at(path[:-1])[path[-1]]
        if was_table and not self.at(path[:-1]):
            del self.at(path[:-2])[path[-2]]

    def replace_field(self, path: Path, name: str, value: object) -> None:
        """Replace a field by another one of the same table, in its place."""
        span = self.span(path)
        if span is None or not span.names:
            self.remove(path)
            self.put((*path[:-1], name), value)
            return
        self.splice(span.names[-1].start, span.end, f"{join('', name)} = {rendered(value)}")
        table = self.at(path[:-1])
        del table[path[-1]]
        table[name] = value

    def remove_field(self, path: Path) -> None:
        """Remove a field, but not the comment beside it."""
        span = self.span(path)
        if span is None or span.kind is not Kind.FIELD or self.beside(span.end) is None:
            self.remove(path)
            return
        self.splice(span.start, self.after_spaces(span.end), "")
        del self.at(path[:-1])[path[-1]]

    def rename(self, names: Mapping[Path, str], strings: Mapping[Path, str]) -> None:
        """Give other names to what is at some paths, and other values to some strings, in one pass. Quotes
        keep their kind."""
        for span in reversed(spans(self.text)):
            if span.path in strings:
                self._put_string(span.value, span.end, strings[span.path])
            for part in reversed(span.names):
                name = names.get(span.path[: part.position + 1])
                if name is not None:
                    text = quoted_like(self.text[part.start], join("", name), name)
                    self.splice(part.start, part.end, text)
        for path, string in strings.items():
            self.at(path[:-1])[path[-1]] = string
        for parent in {path[:-1] for path in names}:
            table = self.at(parent)
            before = dict(table)
            table.clear()
            table.update({names.get((*parent, name), name): value for name, value in before.items()})

    def _put_string(self, start: int, end: int, string: str) -> None:
        self.splice(start, end, quoted_like(self.text[start], rendered(string), string))


def _without_empty(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: table for name, table in document.items() if table}
