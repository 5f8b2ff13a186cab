"""The events of the journal as they are stored, a kind and a JSON object, and back. The types themselves say
which fields there are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple, get_type_hints

from ..core.faults import Fault, FaultClass
from ..core.identity import Dialect
from .journal_events import KINDS, Attempted, Detail, Event, EventKind, UnknownEvent
from .stored_faults import dump_fault, load_fault

_STORED_KINDS: Mapping[str, str] = {EventKind.FELL_BACK: "stood-in"}
"""Kinds that keep the word of older versions in the database."""


def stored_kind(kind: str) -> str:
    """Return the word under which the database keeps events of this kind."""
    return _STORED_KINDS.get(kind, str(kind))


_TYPES: Mapping[str, type] = {stored_kind(kind): made for made, kind in KINDS.items()}


class _Form(NamedTuple):
    """How the values of one type are stored: those of the `plain` types as they are, others by `write`.
    `read` raises KeyError, TypeError or ValueError. `absent` stands for what is not recorded, `unreadable`
    for what cannot be read."""

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


class _Field(NamedTuple):
    """One field of an event: how it is stored, and whether it also is where it says nothing."""

    name: str
    form: _Form
    always: bool


@cache
def _fields(made: type) -> tuple[_Field, ...]:
    """Return the fields of a type, as its constructor takes them; `more` is none of them."""
    types = get_type_hints(made)
    taken = [one for one in inspect.signature(made).parameters.values() if one.name != "more"]
    return tuple(_Field(one.name, _FORMS[types[one.name]], one.default is one.empty) for one in taken)


def stored(detail: Detail) -> dict[str, object]:
    """Return the JSON values of what an event tells."""
    if isinstance(detail, Attempted):
        return _stored_attempt(detail)
    if isinstance(detail, UnknownEvent):
        return dict(detail.values)
    made: type = type(detail)
    values: dict[str, object] = {}
    for name, form, always in _fields(made):
        value = getattr(detail, name)
        if value is not None and form.write is not None:
            values[name] = form.write(value)
        elif always or value != form.absent:
            values[name] = value
    values.update(detail.more)
    return values


def _stored_attempt(detail: Attempted) -> dict[str, object]:
    """Do what `stored` does, without asking for the fields: every request passes here."""
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
    """Return what an event of this stored kind tells. Whatever cannot be read, of this release or another, is
    kept in `more`. Raises TypeError or ValueError where the values are no JSON object."""
    more = dict(values)
    made = _TYPES.get(kind)
    if made is None:
        return UnknownEvent(kind, more)
    found: dict[str, object] = {}
    for name, form, _ in _fields(made):
        value = more.pop(name, None)
        if value is None:
            found[name] = form.absent
        elif type(value) in form.plain:
            found[name] = value
        else:
            found[name] = loaded = _read_value(form, value)
            if form.write is None or loaded is None or form.write(loaded) != value:
                more[name] = value
    detail: Detail = made(**found, more=tuple(more.items()))
    return detail


def _read_value(form: _Form, value: object) -> object:
    """Return a value that is not stored as it is, or what stands for one that cannot be read."""
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
