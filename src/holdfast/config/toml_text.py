"""Changes of the text of holdfast.toml: values as TOML on one line, renamed providers, kept comments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .positions import Section
from .toml_lines import join


def provider_text(name: str, entry: Mapping[str, object]) -> str:
    """Return `[provider.NAME]` as TOML."""
    import tomlkit

    return tomlkit.dumps({"provider": {name: {key: item(value) for key, value in entry.items()}}})


def fallback_text(pin: str, then: Sequence[str]) -> str:
    """Return `[fallback]` with the fallbacks of a pin as TOML."""
    import tomlkit

    return tomlkit.dumps({"fallback": {pin: item({"then": list(then)})}})


def item(value: object) -> Any:
    """Return a plain value as TOML on one line."""
    import tomlkit

    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        table.update({name: item(inner) for name, inner in value.items()})
        return table
    if isinstance(value, list | tuple):
        array = tomlkit.array()
        array.extend(item(inner) for inner in value)
        return array
    return value


def put(table: Any, name: str, value: object) -> None:
    """Set a value. A new one is written before the blank lines and comments at the end of the table, which
    belong to the next table."""
    body, trailing = table.value.body, []
    while name not in table and body and body[-1][0] is None:
        trailing.append(body.pop())
    table[name] = value
    body.extend(reversed(trailing))


def section_renamed(section: Section, old: str, new: str) -> str:
    """Return the text of a section with the new name of a provider in its header and in its pins."""
    text = "".join(section.lines)
    if section.path[:2] == ("provider", old):
        header = rf"""(\[\s*provider\s*\.\s*)(["']?){re.escape(old)}\2"""
        return re.sub(header, rf"\g<1>{join('', new)}", text, count=1)
    if section.path[:1] == ("fallback",):
        return re.sub(rf"""(["']){re.escape(old)}/""", rf"\g<1>{new}/", text)
    return text


def document_renamed(document: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """Return the document with a provider under its new name, in the same order."""
    providers = {}
    for name, entry in document["provider"].items():
        if name == old:
            providers[new] = entry
        else:
            providers[name] = entry
    fallbacks = {}
    for pin, row in document.get("fallback", {}).items():
        then = [_pin_renamed(fallback, old, new) for fallback in row["then"]]
        fallbacks[_pin_renamed(pin, old, new)] = {**row, "then": then}
    return {**document, "provider": providers, "fallback": fallbacks}


def _pin_renamed(pin: str, old: str, new: str) -> str:
    provider, _, model = pin.partition("/")
    if provider == old:
        return f"{new}/{model}"
    return pin


def last_comment(section: Section) -> str:
    """Return the comment right above the next header, which belongs to that header."""
    kept: list[str] = []
    for line in reversed(section.lines):
        if not line.lstrip().startswith("#"):
            break
        kept.insert(0, line)
    return "".join(kept)
