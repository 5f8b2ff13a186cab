"""Rows to values and back: the one place that knows in which column something stands. Both engines share it.

What was written by newer software or by hand and cannot be read never becomes something else: a session is
told to be broken, a verdict or a journal line is left out, a fault class we do not know reads as `unknown`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from ..core.changes import (
    Change,
    Cooldown,
    CooldownStarted,
    Evidence,
    FallbackEnded,
    FallbackStarted,
    KeyFailed,
    KeyKept,
    KeySucceeded,
    cleared_by,
)
from ..core.errors import IdentityError
from ..core.faults import FaultClass
from ..core.identity import Pin
from ..core.session import ActiveFallback, Session
from . import sql
from .base import BrokenSession, Lease, Token
from .stored_faults import dump_fault, load_fault

Row = tuple[Any, ...]
Params = Mapping[str, object]
Statement = tuple[str, Params]
T = TypeVar("T")
_UNREADABLE = (IdentityError, AttributeError, KeyError, TypeError, ValueError)


def session(row: Row) -> Session | BrokenSession:
    """A session, or what is wrong with its row. A stand-in that cannot be read has ended: the choice is the
    pin."""
    session_id, pin, key, fallback, reason, until, kept_key, created_at, changed_at, version = row
    try:
        return Session(
            session_id,
            Pin.parse(pin),
            key,
            _active_fallback(fallback, reason, until),
            kept_key,
            float(created_at),
            float(changed_at),
            int(version),
        )
    except _UNREADABLE as error:
        why = error.what if isinstance(error, IdentityError) else str(error)
        return BrokenSession(str(session_id), dict(zip(sql.SESSION_COLUMNS, row, strict=True)), why)


def _active_fallback(fallback: Any, reason: Any, until: Any) -> ActiveFallback | None:
    try:
        return None if fallback is None else ActiveFallback(Pin.parse(fallback), str(reason), float(until))
    except _UNREADABLE:
        return None


def session_params(session: Session) -> dict[str, object]:
    active_fallback = session.active_fallback
    fallback = (
        (str(active_fallback.fallback), active_fallback.reason, active_fallback.until)
        if active_fallback is not None
        else (None, None, None)
    )
    row = (
        session.id,
        str(session.pin),
        session.key,
        *fallback,
        session.kept_key,
        session.created_at,
        session.changed_at,
        session.version,
    )
    return dict(zip(sql.SESSION_COLUMNS, row, strict=True))


def evidence(row: Row) -> Evidence:
    fingerprint, url, first_ok, last_ok, last_fault, last_fault_at = row
    known = FaultClass._value2member_map_
    kind = (
        None if last_fault is None else FaultClass(last_fault) if last_fault in known else FaultClass.UNKNOWN
    )
    return Evidence(fingerprint, url, first_ok, last_ok, kind, last_fault_at)


def cooldown(row: Row) -> Cooldown:
    subject, until, since, level, fault = row
    return Cooldown(subject, until, since, level, load_fault(json.loads(fault)))


def lease(row: Row) -> Lease:
    return Lease(*row)


def token(row: Row) -> Token:
    return Token(*row)


def token_params(token: Token) -> Params:
    return {name: getattr(token, name) for name in sql.TOKEN_COLUMNS}


def readable(rows: Iterable[Row], make: Callable[[Row], T]) -> list[T]:
    """The values of those rows that can be read."""
    values = []
    for row in rows:
        try:
            values.append(make(row))
        except _UNREADABLE:
            continue
    return values


def statements(change: Change, at: float) -> Iterator[Statement]:
    """What a change of the core writes; nothing for a `Worked` that the store knows already."""
    match change:
        case KeySucceeded(fingerprint, url, durable=True):
            yield sql.WORKED, {"fingerprint": fingerprint, "url": url, "at": change.at}
            for name in cleared_by(change):
                yield sql.REFUTED, {"subject": name, "at": change.at}
        case KeyFailed():
            yield sql.FAILED, change._asdict()
        case CooldownStarted(cooldown):
            fault = json.dumps(dump_fault(cooldown.fault))
            yield (
                sql.COOLED,
                {
                    "subject": cooldown.subject,
                    "until": cooldown.until,
                    "since": cooldown.since,
                    "level": cooldown.level,
                    "fault": fault,
                },
            )
        case FallbackStarted():
            until: Params = {"stand_in_until": change.until, "stand_in_reason": change.reason}
            yield sql.STAND_IN, {"session": change.session, "stand_in": change.fallback, **until, "at": at}
        case FallbackEnded(session_id):
            yield sql.STAND_IN_END, {"session": session_id, "at": at}
        case KeyKept(session_id, label):
            yield sql.KEEP_KEY, {"session": session_id, "label": label, "at": at}
        case _:
            return
