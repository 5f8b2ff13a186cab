"""`SessionLists` over any SQL engine: lists of sessions, and the changes of many sessions at once.

No transaction touches more than `PORTION` sessions."""

# Only constants are joined, every value is a parameter.
# ruff: noqa: S608

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

from ..core.errors import IdentityError, StoreError
from ..core.identity import Pin, ProviderName
from ..core.session import Session, is_session_id
from . import rows, sql
from .journal_events import Detail, Event, ProviderRenamed, SessionRemoved
from .listing import BrokenSession, Choice, PartlyRenamed, SessionPage
from .rows import Params, Row
from .transaction import SqlEngine, Transaction, record_in
from .upkeep import PAUSE, PORTION
from .usage import day_of

_DAY = 86_400.0
_JUMP = 7 * _DAY
"""Seconds without a line after which a day of lines tells that time went on, and no clock was ahead."""
_LARGEST = 9e18
"""Above every number of a row. SQLite sorts texts and bytes above numbers, wherever a column has one."""

_COLUMNS = ", ".join(sql.SESSION_COLUMNS)
_ALL = f"SELECT {_COLUMNS} FROM session WHERE removed_at IS NULL"
_NEWEST_FIRST = "ORDER BY changed_at DESC, id"
_USES = "removed_at IS NULL AND (substr(pin, 1, :size) = :old OR substr(stand_in, 1, :size) = :old)"
LAST_CHANGE = "SELECT MAX(changed_at) FROM session WHERE changed_at <= :latest"
LAST_LINE = "SELECT MAX(at) FROM journal WHERE at <= :latest"
PAGE = f"""{_ALL} AND changed_at <= :at AND (changed_at < :at OR id > :id)
    {_NEWEST_FIRST} LIMIT :limit"""
USING = f"{_ALL} AND {_USES} {_NEWEST_FIRST}"
ON_FALLBACK = f"{_ALL} AND pin = :pin AND stand_in IS NOT NULL {_NEWEST_FIRST}"
ON_CHOICE = f"""{_ALL} AND pin = :pin AND COALESCE(chosen_key, '') = :key
    {_NEWEST_FIRST} LIMIT :limit"""
_SOUND = "version < :most AND created_at < :most AND changed_at < :most"
CHOICES = f"""SELECT pin, COALESCE(chosen_key, ''), COUNT(*) FROM session
    WHERE removed_at IS NULL AND {_SOUND} GROUP BY 1, 2 ORDER BY 1, 2"""
PINS = "SELECT DISTINCT pin FROM session WHERE removed_at IS NULL"
ON_PIN = f"{_ALL} AND pin = :pin {_NEWEST_FIRST}"
ODD = f"{_ALL} AND NOT ({_SOUND}) {_NEWEST_FIRST}"
RENAMED = f"SELECT id, pin FROM session WHERE id > :after AND {_USES} ORDER BY id LIMIT :limit"
RENAME = f"""UPDATE session SET version = version + 1, changed_at = :now, seq = {sql.NEXT},
    pin = CASE WHEN substr(pin, 1, :size) = :old THEN :new || substr(pin, :size + 1) ELSE pin END,
    stand_in = CASE WHEN substr(stand_in, 1, :size) = :old THEN :new || substr(stand_in, :size + 1)
        ELSE stand_in END
    WHERE id > :after AND id <= :last AND {_USES}"""
_NOT_ASKED = """NOT EXISTS
    (SELECT 1 FROM journal WHERE journal.session = session.id AND journal.at >= :before)
    AND NOT EXISTS (SELECT 1 FROM usage WHERE usage.session = session.id AND usage.day >= :day)"""
UNUSED = f"""SELECT id, pin FROM session
    WHERE removed_at IS NULL AND changed_at < :before AND id > :after AND {_NOT_ASKED}
    ORDER BY id LIMIT :limit"""
NOT_CHANGED = f"""SELECT id, changed_at, {_NOT_ASKED} FROM session
    WHERE removed_at IS NULL AND changed_at < :before AND changed_at >= :at
    AND (changed_at > :at OR id < :last) ORDER BY changed_at, id DESC LIMIT :limit"""
STILL_UNUSED = f"""SELECT id, pin FROM session
    WHERE removed_at IS NULL AND changed_at < :before AND {_NOT_ASKED}
    AND id IN ({", ".join(f":id{number}" for number in range(sql.NAMED_AT_ONCE))}) ORDER BY id"""
_LOOKED_AT_ONCE = 1_000
"""Sessions that are looked at by one query, while other readers wait."""


class RelationalSessions(SqlEngine):
    """`SessionLists` over an engine."""

    def newest(self) -> float:
        now = self.now()
        last = self._last(now)
        if last is None:
            return now
        before = self._last(last - _DAY)
        if before is not None and last - before > _JUMP:
            return before
        return last

    def _last(self, latest: float) -> float | None:
        """Return the last time, `latest` at most, at which a line or a change was written; None where there
        is none."""
        params: Params = {"latest": latest}
        times = [at for (at,) in (*self._read(LAST_LINE, params), *self._read(LAST_CHANGE, params))]
        return max((at for at in times if at is not None), default=None)

    def stored_session(self, session_id: str) -> Session | BrokenSession | None:
        return next(map(rows.session, self._read(sql.SESSION, {"id": session_id})), None)

    def session_page(self, limit: int, after: str = "") -> SessionPage:
        at, last = _place(after)
        matches = self._read(PAGE, {"at": at, "id": last, "limit": limit + 1})
        following = ""
        if len(matches) > limit:
            *_, changed_at, _, _ = matches[limit - 1]
            following = f"{changed_at!r},{matches[limit - 1][0]}"
        return SessionPage(_readable(matches[:limit]), following)

    def sessions_using(self, provider: str) -> list[Session]:
        return _readable(self._read(USING, _named(f"{provider}/")))

    def sessions_on_fallback(self, pin: Pin) -> list[Session]:
        return _readable(self._read(ON_FALLBACK, {"pin": str(pin)}))

    def sessions_on(self, choice: Choice, limit: int) -> list[Session]:
        params: Params = {"pin": str(choice.pin), "key": choice.key, "limit": limit}
        return _readable(self._read(ON_CHOICE, params))

    def choices(self) -> list[Choice]:
        return rows.readable(self._read(CHOICES, {"most": _LARGEST}), _choice)

    def broken_sessions(self) -> list[BrokenSession]:
        matches = self._read(ODD, {"most": _LARGEST})
        for (pin,) in self._read(PINS, {}):
            if not _is_pin(pin):
                matches += self._read(ON_PIN, {"pin": pin})
        read = {str(row[0]): rows.session(row) for row in matches}
        return [session for session in read.values() if isinstance(session, BrokenSession)]

    def rename_provider(self, old: str, new: str) -> list[str]:
        named = _named(f"{old}/") | {"new": f"{ProviderName(new)}/"}
        with self._numbered() as transaction:
            names: Params = {"old": old, "new": new, "at": self.now()}
            steps = (sql.RENAMED_FOLLOW, sql.RENAMED_SAVE, sql.RENAMED_BACK, sql.RENAMED_PRUNE)
            for text in (*steps, sql.OBJECTS_RENAME):
                transaction.execute(text, names)
            _rename_in_tokens(transaction, f"{old}/", f"{new}/")
            transaction.execute(sql.TAKE_NUMBER, {})
        renamed: list[str] = []
        try:
            while portion := self._rename_portion(named, renamed[-1] if renamed else ""):
                renamed += portion
                if len(portion) == PORTION:
                    time.sleep(PAUSE)
        except StoreError as error:
            what = f"{error.what}; {len(renamed)} sessions were renamed before, and no other was changed"
            raise PartlyRenamed(what, next_step=f"holdfast provider rename {old} {new}") from error
        return renamed

    def _rename_portion(self, named: dict[str, object], after: str) -> list[str]:
        """Rename the provider of the next sessions by id. Return the ids, sorted; none when all is done."""
        with self._numbered() as transaction:
            portion = {**named, "after": after, "limit": PORTION, "now": self.now()}
            matches = transaction.execute(RENAMED, portion).fetchall()
            if matches:
                portion["last"] = matches[-1][0]
                transaction.execute(RENAME, portion)
                transaction.execute(sql.TAKE_NUMBER, {})
                record_in(transaction, _renamed(matches, portion))
        return [str(session_id) for session_id, _ in matches]

    def unused_sessions(self, before: float, limit: int, after: str = "") -> list[str]:
        params: Params = {"before": before, "day": day_of(before), "after": after, "limit": limit}
        return [str(session_id) for session_id, _ in self._read(UNUSED, params)]

    def forget_sessions(self, before: float) -> int:
        # They are looked for beside the writers, and looked at once more where no other writes.
        unused = self._unused(before)
        if not unused:
            return 0
        with self._numbered() as transaction:
            matches: list[Row] = []
            for first in range(0, len(unused), sql.NAMED_AT_ONCE):
                names = rows.session_names(unused[first : first + sql.NAMED_AT_ONCE])
                still = {**names, "before": before, "day": day_of(before)}
                matches += transaction.execute(STILL_UNUSED, still).fetchall()
            if matches:
                now = self.now()
                leaving = [{"id": session_id, "now": now} for session_id, _ in matches]
                transaction.executemany(sql.SESSION_LEAVES, leaving)
                transaction.executemany(sql.SESSION_DELETE, leaving)
                transaction.execute(sql.TAKE_NUMBER, {})
                record_in(
                    transaction,
                    (Event(now, SessionRemoved(), session_id, pin=str(pin)) for session_id, pin in matches),
                )
        return len(matches)

    def _unused(self, before: float) -> list[str]:
        """Return the ids of a portion of the sessions that nobody has used since `before`."""
        unused: list[str] = []
        at, last = -1e308, ""
        while len(unused) < PORTION:
            page = {"before": before, "day": day_of(before), "at": at, "last": last}
            looked_at = self._read(NOT_CHANGED, {**page, "limit": _LOOKED_AT_ONCE})
            unused += [str(session_id) for session_id, _, is_unused in looked_at if is_unused]
            if len(looked_at) < _LOOKED_AT_ONCE:
                break
            last, at, _ = looked_at[-1]
        return unused[:PORTION]


def _named(prefix: str) -> dict[str, object]:
    """Return the parameters of a statement about the pins of one provider."""
    return {"old": prefix, "size": len(prefix)}


def _place(after: str) -> tuple[float, str]:
    """Return the time and the id after which a page begins. Raises IdentityError."""
    if not after:
        return math.inf, ""
    at, _, last = after.partition(",")
    try:
        changed_at = float(at)
    except ValueError:
        changed_at = math.nan
    if math.isnan(changed_at) or not is_session_id(last):
        what = f"'{after[:40]}' continues no list of sessions"
        raise IdentityError(what, next_step="holdfast session list")
    return changed_at, last


def _readable(matches: Iterable[Row]) -> list[Session]:
    return [session for session in map(rows.session, matches) if isinstance(session, Session)]


def _choice(row: Row) -> Choice:
    pin, key, count = row
    return Choice(Pin.parse(pin), key, int(count))


def _is_pin(value: object) -> bool:
    """Return whether a stored value can be read as a pin."""
    try:
        return isinstance(value, str) and bool(Pin.parse(value))
    except IdentityError:
        return False


def _rename_in_tokens(transaction: Transaction, old: str, new: str) -> None:
    """Replace the prefix `old` by `new` in the pins of tokens. A list that cannot be read stays as it is."""
    for token_id, text in transaction.execute(sql.TOKEN_PINS, {}).fetchall():
        with suppress(ValueError):
            pins = rows.renamed_pins(str(text), old, new)
            if pins != text:
                transaction.execute(sql.TOKEN_SET_PINS, {"id": token_id, "pins": pins})


def _renamed(matches: Iterable[Row], portion: Params) -> Iterator[Event[Detail]]:
    """Yield an event for each session whose pin began with `old` and begins with `new` now."""
    old, new, now = str(portion["old"]), str(portion["new"]), portion["now"]
    for session_id, pin in matches:
        before = str(pin)
        if before.startswith(old):
            detail = ProviderRenamed(before=before)
            yield Event(float(str(now)), detail, session=session_id, pin=new + before.removeprefix(old))
