"""Journal lines that are alike, many in one row: what requests leave that were answered at their first send.

Such a line is told by its request, its time and one value of its own; the rest it shares with its like.
Written one by one, these lines would cost more than all else that a request costs. A row holds lines of one
session, one connection and one second: the first eight characters of a request's id, which are the time at
which it began. They stand in the column `request`, so that a request is found by the index. Whoever reads the
journal gets the very events that were recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from .events import Event, EventKind

Row = tuple[Any, ...]
KIND = "gathered"
_SECOND = 8
# Of what a line must consist to be gathered, and of nothing else; the last value is its own.
_ATTEMPT = ("number", "key", "url", "dialect", "seconds")
_USAGE = ("tokens",)
_DIFFERS = ("chosen", "answered")
_A, _U, _D = EventKind.ATTEMPT, EventKind.USAGE, EventKind.MODEL_DIFFERS
_encode = json.JSONEncoder(default=str).encode


def second(request: str) -> str:
    """Where the lines of a request are gathered."""
    return request[:_SECOND]


def rows(events: Iterable[Event]) -> Iterator[Row]:
    """The rows for these events, in the order of `sql.EVENT_COLUMNS`: lines that are alike in one, every
    other in its own."""
    groups: dict[tuple[object, ...], list[Event]] = {}
    for event in events:
        _, kind, session, request, pin, detail = event
        # By identity: the hash of an enum's member is computed in Python, and every request passes here.
        shape = _ATTEMPT if kind is _A else _USAGE if kind is _U else _DIFFERS if kind is _D else None
        if shape is None or len(request) <= _SECOND or tuple(detail) != shape:
            groups[len(groups),] = [event]
            continue
        place = (session, request[:_SECOND], pin, *detail.values())[:-1]
        group = groups.get(place)
        if group is None:
            groups[place] = [event]
        else:
            group.append(event)
    for group in groups.values():
        yield _together(group) if len(group) > 1 else (*group[0][:5], _encode(dict(group[0].detail)))


def _together(group: list[Event]) -> Row:
    *shared, own = group[0].detail
    told = [(event.request[_SECOND:], event.at, event.detail[own]) for event in group]
    first = group[0]
    detail = _encode([first.kind, {name: first.detail[name] for name in shared}, own, told])
    return max(at for _, at, _ in told), KIND, first.session, second(first.request), first.pin, detail


def events(row: Row) -> list[Event]:
    """The events of one row, as they were recorded. Raises ValueError, KeyError or TypeError for a row that
    cannot be read."""
    at, kind, session, request, pin, detail = row
    if kind != KIND:
        return [Event(at, EventKind(kind), session, request, pin, json.loads(detail))]
    of, shared, own, told = json.loads(detail)
    return [
        Event(at, EventKind(of), session, request + rest, pin, {**shared, own: value})
        for rest, at, value in told
    ]
