"""Rows to values and back: the only place that knows the columns. Both engines share it.

A row of a newer version or edited by hand that cannot be read never becomes something else: a session is
reported as broken, a cooldown or a journal event is left out, an unknown fault class is read as `unknown`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    Owner,
    refuted,
)
from ..core.config import INPUTS, ModelFacts
from ..core.errors import IdentityError
from ..core.faults import FaultClass
from ..core.identity import Pin
from ..core.session import ActiveFallback, Session
from . import sql
from .base import AccountObject, Lease
from .listing import BrokenSession
from .stored_faults import dump_fault, load_fault
from .token import Token

Row = tuple[Any, ...]
Params = Mapping[str, object]
Statement = tuple[str, Params]
T = TypeVar("T")
_UNREADABLE = (IdentityError, AttributeError, KeyError, TypeError, ValueError)


def session(row: Row) -> Session | BrokenSession:
    """Return a session, or what is wrong with its row. An active fallback that cannot be read is dropped: the
    choice is the pin. So are former choices."""
    session_id, pin, key, fallback, reason, until, kept_key, created_at, changed_at, version, former = row
    try:
        return Session(
            id=session_id,
            pin=Pin.parse(pin),
            key=key,
            active_fallback=_active_fallback(fallback, reason, until),
            kept_key=kept_key,
            created_at=float(created_at),
            changed_at=float(changed_at),
            version=int(version),
            former=_former(former),
        )
    except _UNREADABLE as error:
        # HoldfastErrors carry their sentence in `what`.
        why = getattr(error, "what", "") or str(error)
        return BrokenSession(str(session_id), dict(zip(sql.SESSION_COLUMNS, row, strict=True)), why)


def _active_fallback(fallback: Any, reason: Any, until: Any) -> ActiveFallback | None:
    if fallback is None:
        return None
    try:
        return ActiveFallback(Pin.parse(fallback), str(reason), float(until))
    except _UNREADABLE:
        return None


def _former(text: Any) -> tuple[Pin, ...]:
    try:
        return _pins(text)
    except _UNREADABLE:
        return ()


def session_params(session: Session) -> dict[str, object]:
    """Return the columns of a session."""
    fallback: tuple[object, object, object] = (None, None, None)
    active_fallback = session.active_fallback
    if active_fallback is not None:
        fallback = (str(active_fallback.fallback), active_fallback.reason, active_fallback.until)
    row = (
        session.id,
        str(session.pin),
        session.key,
        *fallback,
        session.kept_key,
        session.created_at,
        session.changed_at,
        session.version,
        pins_text(session.former),
    )
    return dict(zip(sql.SESSION_COLUMNS, row, strict=True))


def is_choice_at(session: Session, at: float) -> bool:
    """Return whether the session's choice is not later than the time `at`, as `sql.its_choice` asks."""
    return session.changed_at <= at or session.changed_at > at + sql.LONGEST_REQUEST


def evidence(row: Row) -> Evidence:
    fingerprint, url, first_ok, last_ok, last_fault, last_fault_at = row
    kind = None
    if last_fault is not None:
        kind = FaultClass.UNKNOWN
        if last_fault in FaultClass._value2member_map_:
            kind = FaultClass(last_fault)
    return Evidence._make((fingerprint, url, first_ok, last_ok, kind, last_fault_at, None))


def cooldown(row: Row) -> Cooldown:
    subject, until, since, level, fault = row
    return Cooldown(
        subject=subject, until=until, since=since, level=level, fault=load_fault(json.loads(fault))
    )


def lease(row: Row) -> Lease:
    return Lease(*row)


def token(row: Row) -> Token:
    """Return a token. Raises IdentityError or ValueError for limits that cannot be read."""
    columns: dict[str, Any] = dict(zip(sql.TOKEN_COLUMNS, row, strict=True))
    limits = {"pins": _pins(columns["pins"]), "strict": bool(columns["strict"])}
    return Token(**(columns | limits))


def token_params(token: Token) -> Params:
    """Return the columns of a token."""
    values = {name: getattr(token, name) for name in sql.TOKEN_COLUMNS}
    return values | {"pins": pins_text(token.pins), "strict": int(token.strict)}


def pins_text(pins: Sequence[Pin]) -> str | None:
    """Return a list of pins as it is stored; None for an empty one."""
    if not pins:
        return None
    return json.dumps([str(pin) for pin in pins])


def renamed_pins(text: str, old: str, new: str) -> str:
    """Return a stored list of pins with the prefix `new` for `old`. Raises ValueError if it is none."""
    pins = [str(pin) for pin in json.loads(text)]
    return json.dumps([new + pin.removeprefix(old) if pin.startswith(old) else pin for pin in pins])


def _pins(text: Any) -> tuple[Pin, ...]:
    if text is None:
        return ()
    return tuple(map(Pin.parse, json.loads(text)))


def account_object(row: Row) -> AccountObject:
    object_id, session_id, *owner, at = row
    return AccountObject(object_id, session_id, Owner(*owner), at)


def object_params(made: AccountObject) -> Params:
    row = (made.id, made.session, *made.owner, made.at)
    return dict(zip(sql.OBJECT_COLUMNS, row, strict=True))


def readable(rows: Iterable[Row], make: Callable[[Row], T]) -> list[T]:
    """Return the values of the rows that can be read."""
    values = []
    for row in rows:
        try:
            values.append(make(row))
        except _UNREADABLE:
            continue
    return values


def session_names(names: Sequence[str]) -> Params:
    """Return the parameters of `sql.SESSIONS_NAMED`, for `sql.NAMED_AT_ONCE` names at most."""
    return _numbered("id", names, sql.NAMED_AT_ONCE)


def _numbered(name: str, values: Sequence[str], count: int) -> dict[str, object]:
    """Return `count` numbered parameters; the first value stands for those that are too few."""
    return {f"{name}{number}": values[number if number < len(values) else 0] for number in range(count)}


def statements(change: Change, at: float) -> Iterator[Statement]:
    """Yield the statements for a change of the core; none for a `KeySucceeded` that is not durable, or a
    `KeyFailed` of one model."""
    match change:
        case KeySucceeded(fingerprint, url, durable=True):
            yield sql.WORKED, {"fingerprint": fingerprint, "url": url, "at": change.at}
            yield sql.REFUTED, {"at": change.at} | _numbered("subject", refuted(change), sql.MOST_REFUTED)
        case KeyFailed(model=""):
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
            params = {"session": change.session, "stand_in": change.fallback, **until, "at": at}
            yield sql.START_FALLBACK, params
        case FallbackEnded(session_id):
            yield sql.END_FALLBACK, {"session": session_id, "at": at}
        case KeyKept(session_id, label):
            yield sql.KEEP_KEY, {"session": session_id, "label": label, "at": at}
        case _:
            return


def models_text(models: Mapping[str, ModelFacts]) -> str:
    """Return listed models as they are stored: an object, whose members older software reads as their
    names."""
    return json.dumps(models)


def models(text: str) -> dict[str, ModelFacts]:
    """Return stored models in their order, with what is known of each. Older rows have names only."""
    stored = json.loads(text)
    if not isinstance(stored, Mapping):
        return {name: {} for name in stored}
    return {name: _facts(raw) for name, raw in stored.items()}


def _facts(raw: object) -> ModelFacts:
    """Return what is known of a model, without what could be no fact."""
    facts = ModelFacts()
    if not isinstance(raw, Mapping):
        return facts
    if _is_limit(raw.get("context")):
        facts["context"] = raw["context"]
    if _is_limit(raw.get("output")):
        facts["output"] = raw["output"]
    if isinstance(raw.get("reasoning"), bool):
        facts["reasoning"] = raw["reasoning"]
    kinds = raw.get("input")
    if isinstance(kinds, list):
        facts["input"] = tuple(kind for kind in INPUTS if kind in kinds)
    return facts


def _is_limit(value: object) -> bool:
    return isinstance(value, int) and value is not True and value > 0
