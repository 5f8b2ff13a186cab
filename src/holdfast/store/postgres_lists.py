"""Statements of PostgreSQL that take many rows at once: each column is a list, and each list a parameter."""

# Only constants are joined, every value is a parameter.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import gathered, sql
from .base import NewSession
from .journal_events import Detail, Event
from .rows import Params, session_params
from .usage import Usage


def _unnested(columns: Mapping[str, str], prefix: str = "") -> str:
    """Return a table of parameters that are lists, one for each column, given with its type."""
    return f"""unnest({", ".join(f"CAST(:{prefix}{name} AS {kind}[])" for name, kind in columns.items())})
        WITH ORDINALITY AS given({", ".join(columns)}, place)"""


_NUMBERS = dict.fromkeys(("at", "stand_in_until", "created_at", "changed_at"), "float8")
_SESSION = {name: _NUMBERS.get(name, "text") for name in sql.SESSION_COLUMNS} | {"version": "bigint"}
_EVENT = {name: _NUMBERS.get(name, "text") for name in sql.EVENT_COLUMNS}
_NO_LINE = (None,) * len(_EVENT)
# In the order of their ids, so that two who create the same sessions do not wait for each other in a circle.
CREATE = f"""WITH made AS (INSERT INTO session ({", ".join(_SESSION)})
        SELECT {", ".join(_SESSION)} FROM {_unnested(_SESSION)} ORDER BY id
        ON CONFLICT (id) DO NOTHING RETURNING id),
    noted AS (INSERT INTO journal ({", ".join(_EVENT)})
        SELECT {", ".join(_EVENT)} FROM {_unnested(_EVENT, "line_")}
        WHERE session IN (SELECT id FROM made) ORDER BY place)
    SELECT id FROM made"""
_KEPT = {"session": "text", "label": "text", "at": "float8"}
KEEP_FIRST_KEYS = f"""UPDATE session SET kept_key = given.label FROM {_unnested(_KEPT)}
    WHERE id = given.session AND kept_key IS NULL AND {sql.its_choice("given.at")}
    RETURNING id"""
# A crash of the server may cost the last lines of the journal and the last sums: nobody waits for the disk.
_SOON = "SELECT set_config('synchronous_commit', 'off', true) AS set"
SOON = f"WITH behind AS MATERIALIZED ({_SOON}) "
"""Begins `RECORD` and `ADD_USAGE`."""
ONCE = f"""WITH soon AS MATERIALIZED ({_SOON}), behind AS ({sql.take_batch("soon")} RETURNING writer) """
"""Begins them where they are parts of a batch, which is done once."""
RECORD = f"""INSERT INTO journal ({", ".join(_EVENT)})
    SELECT {", ".join(_EVENT)} FROM behind CROSS JOIN {_unnested(_EVENT)} ORDER BY place"""
_KEY = dict.fromkeys(("day", "session", "key", "model"), "text")
_COUNTS = dict.fromkeys(("requests", "tokens_in", "tokens_out"), "bigint")
# In the order of their keys, so that no two writers wait for each other's.
ADD_USAGE = f"""INSERT INTO usage ({", ".join(_KEY | _COUNTS)})
    SELECT {", ".join(_KEY | _COUNTS)} FROM behind CROSS JOIN {_unnested(_KEY | _COUNTS)}
    ORDER BY {", ".join(_KEY)}
    ON CONFLICT ({", ".join(_KEY)}) DO UPDATE SET
        {", ".join(f"{name} = usage.{name} + excluded.{name}" for name in _COUNTS)}"""


def create(new: Iterable[NewSession]) -> Params | None:
    """Return the parameters of `CREATE`: of sessions with one id the first is meant. None for no session."""
    sessions: dict[str, NewSession] = {}
    for session, events in new:
        sessions.setdefault(session.id, (session, events))
    if not sessions:
        return None
    created = columns([session_params(session) for session, _ in sessions.values()])
    lines = [*gathered.rows(event for _, events in sessions.values() for event in events)] or [_NO_LINE]
    return {**created, **_lists(_EVENT, lines, "line_")}


def record(events: Iterable[Event[Detail] | gathered.Similar]) -> Params | None:
    """Return the parameters of `RECORD`; None for no event."""
    lines = [*gathered.rows(events)]
    return _lists(_EVENT, lines) if lines else None


def add_usage(counted: Iterable[Usage]) -> Params | None:
    """Return the parameters of `ADD_USAGE`, in which each row of the table is named once; None for no sum."""
    sums: dict[tuple[str, ...], list[int]] = {}
    for usage in counted:
        of_key = sums.setdefault(usage[:4], [0, 0, 0])
        for number, count in enumerate(usage[4:]):
            of_key[number] += count
    lines = [(*key, *counts) for key, counts in sorted(sums.items())]
    return _lists(_KEY | _COUNTS, lines) if lines else None


def columns(lines: Sequence[Params]) -> dict[str, list[Any]]:
    """Return the values of rows by their columns."""
    return {name: [line[name] for line in lines] for name in lines[0]}


def _lists(names: Iterable[str], lines: Sequence[Sequence[Any]], prefix: str = "") -> dict[str, list[Any]]:
    return {prefix + name: list(values) for name, values in zip(names, zip(*lines, strict=True), strict=True)}
