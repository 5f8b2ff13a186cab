"""The events of the journal as they are stored, a kind and a JSON object, and back. The fields come from the
types."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple, get_type_hints

from ..core.faults import Fault, FaultClass
from ..core.identity import Dialect
from .journal_events import KINDS, Attempted, Detail, Event, EventKind, ProvisioningChanged, UnknownEvent
from .stored_faults import dump_fault, load_fault

_STORED_KINDS: Mapping[str, str] = {EventKind.FELL_BACK: "stood-in"}
"""Kinds that have their older word in the database."""


def stored_kind(kind: str) -> str:
    """Return the word for events of this kind in the database."""
    return _STORED_KINDS.get(kind, str(kind))


_TYPES: Mapping[str, type] = {stored_kind(kind): made for made, kind in KINDS.items()}


class _Form(NamedTuple):
    """The stored form of a type's values: `plain` types as they are, others by `write`. `read` raises
    KeyError, TypeError or ValueError. `absent` replaces a value that is not recorded, `unreadable` one that
    cannot be read."""

    absent: object
    plain: tuple[type, ...] = ()
    read: Callable[[Any], object] | None = None
    write: Callable[[Any], object] | None = None
    unreadable: object = None


def _counts(value: Any) -> Mapping[str, int]:
    """Read numbers by name."""
    if not all(type(count) is int for count in value.values()):
        raise TypeError
    return dict(value)


_FORMS: Mapping[object, _Form] = {
    str: _Form("", (str,)),
    str | None: _Form(None, (str,)),
    int: _Form(0, (int,)),
    float | None: _Form(None, (float, int)),
    bool: _Form(absent=False, plain=(bool,)),
    Mapping[str, int]: _Form({}, read=_counts, write=dict, unreadable={}),
    Dialect | None: _Form(None, read=Dialect, write=str),
    FaultClass | None: _Form(None, read=FaultClass, write=str, unreadable=FaultClass.UNKNOWN),
    Fault | None: _Form(None, read=load_fault, write=dump_fault, unreadable=Fault(FaultClass.UNKNOWN)),
}


_STORED_NAMES: Mapping[tuple[type, str], str] = {(ProvisioningChanged, "message"): "told"}
"""Fields that have their older word in the database."""


class _Field(NamedTuple):
    """A field of an event: its name in the database, its stored form, and `always` if it is stored also with
    its default."""

    name: str
    stored_name: str
    form: _Form
    always: bool


@cache
def _fields(made: type) -> tuple[_Field, ...]:
    """Return the fields of a type in the order of its constructor, without `more`."""
    types = get_type_hints(made)
    taken = [field for field in inspect.signature(made).parameters.values() if field.name != "more"]
    return tuple(
        _Field(
            field.name,
            _STORED_NAMES.get((made, field.name), field.name),
            _FORMS[types[field.name]],
            always=field.default is field.empty,
        )
        for field in taken
    )


def stored(detail: Detail) -> dict[str, object]:
    """Return the details of an event as JSON values."""
    if isinstance(detail, Attempted):
        return _stored_attempt(detail)
    if isinstance(detail, UnknownEvent):
        return dict(detail.values)
    made: type = type(detail)
    values: dict[str, object] = {}
    for name, stored_name, form, always in _fields(made):
        value = getattr(detail, name)
        if value is not None and form.write is not None:
            values[stored_name] = form.write(value)
        elif always or value != form.absent:
            values[stored_name] = value
    values.update(detail.more)
    return values


def _stored_attempt(detail: Attempted) -> dict[str, object]:
    """Return the JSON values of an attempt, without the look-up of fields: every request passes here."""
    number, key, url, dialect, seconds, probe, fault, then, more = detail
    named = None if dialect is None else str(dialect)
    values: dict[str, object] = {
        "number": number,
        "key": key,
        "url": url,
        "dialect": named,
        "seconds": seconds,
    }
    if probe:
        values["probe"] = True
    if fault is not None:
        values["fault"] = dump_fault(fault)
    if then:
        values["then"] = then
    if more:
        values.update(more)
    return values


def read(kind: str, values: Mapping[str, object]) -> Detail:
    """Return the details of an event of this stored kind. Values that cannot be read, of this release or
    another, are kept in `more`. Raises TypeError or ValueError if the values are no JSON object."""
    more = dict(values)
    made = _TYPES.get(kind)
    if made is None:
        return UnknownEvent(kind, more)
    fields: dict[str, object] = {}
    for name, stored_name, form, _ in _fields(made):
        value = more.pop(stored_name, None)
        if value is None:
            fields[name] = form.absent
        elif type(value) in form.plain:
            fields[name] = value
        else:
            fields[name] = loaded = _read_value(form, value)
            if form.write is None or loaded is None or form.write(loaded) != value:
                more[stored_name] = value
    detail: Detail = made(**fields, more=tuple(more.items()))
    return detail


def _read_value(form: _Form, value: object) -> object:
    """Return a value that is not stored as it is, or the replacement for one that cannot be read."""
    if form.read is None:
        return form.absent
    try:
        return form.read(value)
    except (AttributeError, KeyError, TypeError, ValueError):
        return form.unreadable


def event_values(event: Event[Detail]) -> dict[str, object]:
    """Return an event as JSON values, for programs that read the journal."""
    return {
        "at": event.at,
        "kind": str(event.kind),
        "session": event.session,
        "request": event.request,
        "pin": event.pin,
        "detail": stored(event.detail),
    }
