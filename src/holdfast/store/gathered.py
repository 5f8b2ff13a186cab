"""Journal lines that are alike, many in one row: what requests leave that were answered at their first send.

Such a line is told by its request, its time and one value of its own; the rest it shares with its like.
Written one by one, these lines would cost more than all else that a request costs. A row holds lines of one
session, one connection and one second: the first eight characters of a request's id, which are the time at
which it began. They stand in the column `request`, so that a request is found by the index. Whoever reads the
journal gets the very events that were recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .journal_events import Attempted, Detail, Event, ModelDiffered, UsageCounted
from .stored_events import read, stored, stored_kind

Row = tuple[Any, ...]
KIND = "gathered"
_SECOND = 8
_OWN: Mapping[type, str] = {Attempted: "seconds", UsageCounted: "tokens", ModelDiffered: "answered"}
"""The events that are gathered, each with the field that is not shared."""
_encode = json.JSONEncoder(default=str).encode


def second(request: str) -> str:
    """Return where the lines of a request are gathered."""
    return request[:_SECOND]


def rows(events: Iterable[Event[Detail]]) -> Iterator[Row]:
    """Make the rows for these events, in the order of `sql.EVENT_COLUMNS`: lines that are alike in one, every
    other in its own."""
    groups: dict[tuple[object, ...], list[Event[Detail]]] = {}
    for event in events:
        place = _place(event)
        if place is None:
            groups[len(groups),] = [event]
            continue
        group = groups.get(place)
        if group is None:
            groups[place] = [event]
        else:
            group.append(event)
    for group in groups.values():
        yield _together(group) if len(group) > 1 else _alone(group[0])


def _place(event: Event[Detail]) -> tuple[object, ...] | None:
    """Return what an event shares with its like; None for an event that has a row of its own. Every request
    passes here."""
    _, detail, session, request, pin = event
    if len(request) <= _SECOND:
        return None
    if type(detail) is Attempted:
        number, key, url, dialect, _, probe, fault, then, more = detail
        if fault is not None or probe or then or more:
            return None
        return session, request[:_SECOND], pin, number, key, url, dialect
    if type(detail) is UsageCounted and not detail.more:
        return session, request[:_SECOND], pin
    if type(detail) is ModelDiffered and not detail.more:
        return session, request[:_SECOND], pin, detail.chosen
    return None


def _alone(event: Event[Detail]) -> Row:
    kind = stored_kind(event.kind)
    return event.at, kind, event.session, event.request, event.pin, _encode(stored(event.detail))


def _together(group: list[Event[Detail]]) -> Row:
    first = group[0]
    own = _OWN[type(first.detail)]
    shared = stored(first.detail)
    del shared[own]
    lines = [(event.request[_SECOND:], event.at, getattr(event.detail, own)) for event in group]
    detail = _encode([first.kind, shared, own, lines])
    return max(at for _, at, _ in lines), KIND, first.session, second(first.request), first.pin, detail


def events(row: Row) -> list[Event[Detail]]:
    """Return the events of one row, as they were recorded. Raises ValueError, KeyError or TypeError for a row
    that cannot be read."""
    at, kind, session, request, pin, detail = row
    values = json.loads(detail)
    if kind != KIND:
        return [Event(at=at, detail=read(kind, values), session=session, request=request, pin=pin)]
    of, shared, own, lines = values
    return [
        Event(
            at=at, detail=read(of, {**shared, own: value}), session=session, request=request + rest, pin=pin
        )
        for rest, at, value in lines
    ]
