"""Provisioning records as rows and back. A row that cannot be read (truncated, edited by hand, written by a
newer version) is reported as broken and stays as it is: taken for absent it would cost a second key."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from ..core.errors import HoldfastError
from ..core.identity import ProviderName
from ..core.model_roles import Role
from ..core.provisioning_state import Capability, Consent, Record, State
from .base import BrokenRecord

Row = tuple[Any, ...]
_FORMAT = 1
_UNREADABLE = (HoldfastError, AttributeError, KeyError, TypeError, ValueError)
_COLUMNS = frozenset({"name", "version"})
"""Fields that have columns of their own."""
_DETAIL = "told"
"""The stored name of `detail`."""


def params(record: Record) -> dict[str, object]:
    """Return the columns of a record."""
    values = {name: value for name, value in asdict(record).items() if name not in _COLUMNS}
    values[_DETAIL] = values.pop("detail")
    return {
        "name": str(record.name),
        "state": str(record.state),
        "version": record.version,
        "record": json.dumps({"format": _FORMAT, **values}),
    }


def record(row: Row) -> Record | BrokenRecord:
    """Return the record of a row, or what is wrong with it."""
    name, _, version, text = row
    try:
        stored = json.loads(text)
        if stored.pop("format") != _FORMAT:
            raise ValueError("it was written by a newer Holdfast")
        if _DETAIL in stored:
            stored["detail"] = stored.pop(_DETAIL)
        if set(stored) != {field.name for field in fields(Record)} - _COLUMNS:
            raise ValueError("its fields are not those of a record")
        values = {field: read(stored[field]) for field, read in _READ.items()}
        return Record(ProviderName(name), version=int(version), **values)
    except _UNREADABLE as error:
        # HoldfastErrors carry their sentence in `what`.
        why = getattr(error, "what", "") or str(error) or type(error).__name__
        return BrokenRecord(str(name), why, _kind(text))


def _kind(text: str) -> str:
    """Return the kind in a record that cannot be read as a whole; "" where there is none."""
    try:
        return str(json.loads(text)["kind"])
    except _UNREADABLE:
        return ""


def _consent(value: Any) -> Consent | None:
    if value is None:
        return None
    return Consent(str(value["what"]), str(value["by"]), float(value["at"]))


def _bound(value: Any) -> dict[str, str]:
    return {str(role): str(model) for role, model in _table(value).items()}


def _role(value: Any) -> Role:
    return Role(str(value["name"]), _texts(value["patterns"]), bool(value.get("fixed", False)))


def _roles(value: Any) -> tuple[Role, ...]:
    return tuple(map(_role, value))


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value))


def _times(value: Any) -> dict[str, float]:
    """Return names with their times; a list of names is of an older version, which kept no times."""
    if not isinstance(value, dict):
        value = dict.fromkeys(value, 0.0)
    return {str(name): float(at) for name, at in value.items()}


def _time(value: Any) -> float | None:
    if value is None:
        return None
    return float(value)


def _table(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise TypeError("not a table")
    return dict(value)


_READ: Mapping[str, Callable[[Any], Any]] = {
    "kind": str,
    "capability": Capability,
    "state": State,
    "reason": str,
    "detail": str,
    "epoch": int,
    "intent": str,
    "intent_at": float,
    "minted": int,
    "consent": _consent,
    "settings": _table,
    "url": str,
    "key": str,
    "expires_at": _time,
    "roles": _roles,
    "bound": _bound,
    "models": _texts,
    "gone": _times,
    "tries": int,
    "next_at": float,
    "since": float,
    "verified_at": _time,
}
"""The functions that read the stored values of a record's fields."""
