"""Lines at the head of a program's TOML file: added before the user's own, and removed again.

Each line is a comment or sets one name, which above the first header is one of the file and of no table."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

_BYTE_ORDER_MARK = "\ufeff"
Path = tuple[str, ...]


class MalformedToml(ValueError):
    """The text is not TOML; says in which line, and quotes nothing of it."""

    def __init__(self, error: tomllib.TOMLDecodeError) -> None:
        where = str(error).rpartition("(at ")[2].removesuffix(")")
        super().__init__(f"it cannot be read at {where}")


def put(text: str, lines: Sequence[str]) -> str:
    """Return the text with the lines at its head."""
    mark = _BYTE_ORDER_MARK * text.startswith(_BYTE_ORDER_MARK)
    return mark + "".join(f"{line}\n" for line in lines) + text.removeprefix(mark)


def taken(text: str, lines: Sequence[str]) -> list[str]:
    """Return the names of the lines that the text sets itself, or that would not go with it. Raises
    MalformedToml."""
    before = _parsed(text)
    own = [".".join(path) for path in names(lines) if _value(before, path) is not None]
    if own:
        return own
    try:
        _parsed(put(text, lines))
    except MalformedToml:  # a header `[model_providers]` of the user's, and our `model_providers.NAME`
        return [path[0] for path in names(lines) if path[0] in before]
    return []


def changed(text: str, lines: Sequence[str]) -> list[str]:
    """Return the names of the lines whose values are no longer those in the text. Raises MalformedToml."""
    document = _parsed(text)
    paths = [(line, _name(line)) for line in lines]
    return [".".join(path) for line, path in paths if path and _value(document, path) != _value_of(line)]


def without(text: str, lines: Sequence[str]) -> tuple[str, list[str]]:
    """Return the text without those of the lines that are still in it as they were, and the names of the
    others that it sets. Raises MalformedToml."""
    document, left = _parsed(text), [*lines]
    rest: list[str] = []
    for line in text.splitlines(keepends=True):
        written = line.rstrip("\r\n").removeprefix(_BYTE_ORDER_MARK)
        if written in left:
            left.remove(written)
            line = _BYTE_ORDER_MARK * line.startswith(_BYTE_ORDER_MARK)  # noqa: PLW2901
        rest.append(line)
    edited = [path for path in map(_name, left) if path and _value(document, path) is not None]
    return "".join(rest), [".".join(path) for path in edited]


def names(lines: Sequence[str]) -> tuple[Path, ...]:
    """Return the paths of the settings in the lines."""
    return tuple(path for path in map(_name, lines) if path)


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text.removeprefix(_BYTE_ORDER_MARK))
    except tomllib.TOMLDecodeError as error:
        raise MalformedToml(error) from None


def _name(line: str) -> Path:
    """Return the path that a line of ours sets; () for a comment. A table as the value has several names."""
    names: list[str] = []
    value: Any = _parsed(line)
    while isinstance(value, dict) and len(value) == 1:
        ((name, value),) = value.items()
        names.append(name)
    return (*names,)


def _value_of(line: str) -> object:
    return _value(_parsed(line), _name(line))


def _value(document: Any, path: Path) -> object:
    """Return the value at a path; where another value is in the place of a table above it, that one. None
    for none."""
    for name in path:
        if not isinstance(document, dict):
            return document
        document = document.get(name)
    return document
