"""What a provider's table says of what its endpoints take: `caps`, a table for each dialect, whose members
are those of `translate.caps.Caps`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from typing import Any

from ..core.config import INPUTS
from ..core.identity import Dialect, ProviderName
from ..translate.caps import LEVELS, Caps
from . import converters, schema
from .model_tables import Tables
from .toml_text import join

_WORDS = {
    "max_tokens": ("max_tokens", "max_completion_tokens"),
    "effort_off": ("", "none", "disabled"),
    "thinking": ("", "adaptive", "budget"),
    "call_id": ("", "mistral"),
}
_LISTS = {"efforts": LEVELS, "input": INPUTS}


def declared(
    tables: Tables, path: str, owner: ProviderName, value: Mapping[str, object]
) -> dict[tuple[ProviderName, Dialect], dict[str, Any]]:
    """Return the members that the table at `path` writes for each dialect of its provider. What is wrong is
    recorded."""
    written: dict[tuple[ProviderName, Dialect], dict[str, Any]] = {}
    for name, raw in value.items():
        here = join(path, name)
        dialect = tables.tried(here, partial(converters.dialect, name))
        if dialect is not None:
            written[owner, dialect] = tables.fields(here, raw, FIELDS)
    return written


def _converter(name: str, default: object) -> converters.Converter[Any]:
    """Return what checks a member and gives it the type that it has in Caps."""

    def checked(value: Any) -> Any:
        if name in _LISTS:
            known = _LISTS[name]
            if not isinstance(value, list) or not {*map(str, value)} <= {*known}:
                raise ValueError(f"must be a list of {', '.join(known)}")
            return tuple(entry for entry in known if entry in value)
        if name in _WORDS and value not in _WORDS[name]:
            raise ValueError(f"must be one of {', '.join(map(repr, _WORDS[name]))}")
        if isinstance(default, bool) and not isinstance(value, bool):
            raise ValueError("must be true or false")
        if isinstance(default, str) and not isinstance(value, str):
            raise ValueError("must be a string")
        if not isinstance(default, bool | str) and (type(value) is not int or value < 0):
            raise ValueError("must be a whole number")
        return value

    return converters.Converter(checked, _json_of(name, default))


def _json_of(name: str, default: object) -> Mapping[str, Any]:
    """Return the JSON Schema of a member."""
    if name in _LISTS:
        return {"type": "array", "items": {"enum": [*_LISTS[name]]}}
    if name in _WORDS:
        return {"enum": [*_WORDS[name]]}
    if isinstance(default, bool):
        return {"type": "boolean"}
    if isinstance(default, str):
        return {"type": "string"}
    return {"type": "integer", "minimum": 0}


FIELDS: schema.Fields = {field.name: _converter(field.name, field.default) for field in fields(Caps)}
