"""Text of holdfast.toml: paths, values as TOML on one line, tables, line ends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LINE_FEED = re.compile(r"(?<!\r)\n")


def join(path: str, name: str) -> str:
    """Return the TOML path of `name` inside the table at `path`, quoted where TOML requires it."""
    if not _BARE.fullmatch(name):
        name = json.dumps(name, ensure_ascii=False)
    if not path:
        return name
    return f"{path}.{name}"


def provider_text(name: str, entry: Mapping[str, object]) -> str:
    """Return `[provider.NAME]` as TOML."""
    import tomlkit

    return tomlkit.dumps({"provider": {name: {key: item(value) for key, value in entry.items()}}})


def fallbacks_text(chains: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Return `[fallback]` with the fallbacks of each pin as TOML."""
    import tomlkit

    return tomlkit.dumps({"fallback": {pin: item({"then": list(then)}) for pin, then in chains}})


def item(value: object) -> Any:
    """Return a plain value as TOML on one line; a list of tables has a line for each."""
    import tomlkit

    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        table.update({name: item(inner) for name, inner in value.items()})
        return table
    if isinstance(value, list | tuple):
        array = tomlkit.array()
        array.extend(item(inner) for inner in value)
        array.multiline(_is_list_of_tables(value))
        return array
    return value


def _is_list_of_tables(values: Sequence[object]) -> bool:
    return sum(isinstance(value, Mapping) for value in values) > 1


def with_line_ends_of(before: str, after: str) -> str:
    """Return `after` with the line ends of `before`, if all of them are CRLF."""
    if "\r\n" in before and not _LINE_FEED.search(before):
        return _LINE_FEED.sub("\r\n", after)
    return after
