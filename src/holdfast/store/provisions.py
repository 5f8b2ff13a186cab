"""Provisioning records as rows and back. A row that cannot be read (cut off, edited by hand, written by newer
software) is told to be broken and stays as it is: read as absent it would cost a second key."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from ..core.errors import HoldfastError
from ..core.identity import ProviderName
from ..core.model_roles import Role
from ..core.provisioning_state import Capability, Consent, Record, State

Row = tuple[Any, ...]
_FORMAT = 1
_UNREADABLE = (HoldfastError, AttributeError, KeyError, TypeError, ValueError)
_MADE: Mapping[str, Callable[[Any], Any]] = {
    "capability": Capability,
    "state": State,
    "consent": lambda told: (
        None if told is None else Consent(str(told["what"]), str(told["by"]), float(told["at"]))
    ),
    "settings": lambda told: dict(_table(told)),
    "bound": lambda told: {str(role): str(model) for role, model in _table(told).items()},
    "roles": lambda told: tuple(Role(str(one["name"]), tuple(map(str, one["patterns"]))) for one in told),
    "models": lambda told: tuple(map(str, told)),
    "gone": lambda told: tuple(map(str, told)),
}
_NUMBERS: Mapping[str, Callable[[Any], Any]] = {
    "epoch": int,
    "minted": int,
    "tries": int,
    "intent_at": float,
    "next_at": float,
    "since": float,
}
_PERHAPS = ("expires_at", "verified_at")
_TEXTS = ("kind", "reason", "told", "intent", "url", "key")


def params(record: Record) -> dict[str, object]:
    """The columns of a record."""
    told = {name: value for name, value in asdict(record).items() if name not in ("name", "version")}
    return {
        "name": str(record.name),
        "state": str(record.state),
        "version": record.version,
        "record": json.dumps({"format": _FORMAT, **told}),
    }


def record(row: Row) -> Record | tuple[str, str]:
    """The record of a row, or its name and what is wrong with it."""
    name, _, version, text = row
    try:
        told = json.loads(text)
        if told.pop("format") != _FORMAT:
            raise ValueError("it was written by a newer Holdfast")
        if set(told) != {one.name for one in fields(Record)} - {"name", "version"}:
            raise ValueError("it has other fields than a record has")
        made = {key: make(told[key]) for key, make in {**_MADE, **_NUMBERS}.items()}
        made |= {key: None if told[key] is None else float(told[key]) for key in _PERHAPS} | {
            key: str(told[key]) for key in _TEXTS
        }
        return Record(ProviderName(name), version=int(version), **made)
    except _UNREADABLE as error:
        return str(name), error.what if isinstance(error, HoldfastError) else str(error) or type(
            error
        ).__name__


def _table(told: Any) -> Mapping[Any, Any]:
    if not isinstance(told, dict):
        raise TypeError("not a table")
    return told
