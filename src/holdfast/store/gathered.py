"""Similar journal events, many in one row: those of requests that were answered at their first send.

Such an event has its request, its time and one value of its own; the rest it shares with the others. Written
one by one, these events would cost more than everything else that a request costs. A row holds events of one
session, one connection and one second: the first eight characters of a request's id, which are the time at
which it began. They are in the column `request`, so that the index finds a request. Readers of the journal
get exactly the events that were recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .journal_events import Attempted, Detail, Event, ModelDiffered, UsageCounted
from .stored_events import read, stored, stored_kind

Row = tuple[Any, ...]
KIND = "gathered"
_SECOND = 8
_OWN: Mapping[type, str] = {Attempted: "seconds", UsageCounted: "tokens", ModelDiffered: "answered"}
"""The types of events that are gathered, each with the field that is not shared."""
_encode = json.JSONEncoder(default=str).encode
Line = tuple[str, float, object]
"""What an event of a row has of its own: the end of its request's id, its time and its value."""


class Similar(NamedTuple):
    """Events that one row takes. Whoever knows that they are similar need not make each of them: `like` is an
    event that shares the rest with them, `lines` are what each has of its own."""

    like: Event[Detail]
    lines: Sequence[Line]


def second(request: str) -> str:
    """Return the part of a request's id under which its events are gathered."""
    return request[:_SECOND]


def rows(events: Iterable[Event[Detail] | Similar]) -> Iterator[Row]:
    """Yield the rows for these events, in the order of `sql.EVENT_COLUMNS`: a row for each group of similar
    events, and one for every other event."""
    groups: dict[tuple[object, ...], list[Event[Detail]]] = {}
    for event in events:
        if isinstance(event, Similar):
            yield _together(*event)
            continue
        shared = _shared(event)
        if shared is None:
            groups[len(groups),] = [event]
            continue
        group = groups.get(shared)
        if group is None:
            groups[shared] = [event]
        else:
            group.append(event)
    for group in groups.values():
        if len(group) > 1:
            own = _OWN[type(group[0].detail)]
            lines = [(event.request[_SECOND:], event.at, getattr(event.detail, own)) for event in group]
            yield _together(group[0], lines)
        else:
            yield _alone(group[0])


def _shared(event: Event[Detail]) -> tuple[object, ...] | None:
    """Return the values that an event shares with similar ones; None for an event that gets its own row.
    Every request passes here."""
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


def _together(like: Event[Detail], lines: Sequence[Line]) -> Row:
    own, began = _OWN[type(like.detail)], second(like.request)
    shared = stored(like.detail)
    if len(lines) == 1:
        ((rest, at, value),) = lines
        detail = _encode({**shared, own: value})
        return at, stored_kind(like.kind), like.session, began + rest, like.pin, detail
    del shared[own]
    at = max(at for _, at, _ in lines)
    return at, KIND, like.session, began, like.pin, _encode([like.kind, shared, own, lines])


def events(row: Row) -> list[Event[Detail]]:
    """Return the events of a row as they were recorded. Raises ValueError, KeyError or TypeError for a row
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
