"""`Upkeep` over any SQL engine. No transaction deletes more than `PORTION` rows of a table."""

# Only constants are joined, every value is a parameter.
# ruff: noqa: S608

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from math import inf

from . import sql
from .base import COOLDOWN_KEPT, EVIDENCE_KEPT
from .feed import TOLD_FOR
from .relational_sessions import RelationalSessions
from .rows import Params
from .token import TOKEN_KEPT
from .upkeep import LINES_KEPT, PORTION, Portion, StoreStatus, TableStatus
from .usage import day_of

_DAY = 86_400.0
_OLD = "SELECT id FROM journal WHERE at < :oldest ORDER BY at LIMIT :portion"
_FIRST = """SELECT id FROM journal WHERE id <= (SELECT MAX(id) FROM journal) - :least
    ORDER BY id LIMIT :portion"""
COUNT_OLD = "SELECT COUNT(*) FROM journal WHERE at < :oldest"
NEWEST_EVIDENCE = """SELECT MAX(CASE WHEN COALESCE(last_fault_at, 0) > COALESCE(last_ok, 0)
    THEN last_fault_at ELSE last_ok END) FROM evidence"""
# The row of what ended before its time tells others of it, for a day.
_ENDED = "(level >= 0 AND (until <= :ended OR since < :known) OR level < 0 AND until < :told)"
_REMOVED = "removed_at < :told"
_UNKNOWN = "COALESCE(last_ok, 0) < :known AND COALESCE(last_fault_at, 0) < :known"
_GONE = "instance IS NOT NULL AND (revoked_at < :tokens OR expires_at < :tokens)"
_OF_NOBODY = "until <= :now AND substr(name, 1, 6) = 'probe:'"
_PAST = "day < :yesterday"
_DONE = "at < :told"
SMALL: Mapping[str, str] = {
    f"SELECT subject FROM cooldown WHERE {_ENDED} LIMIT :portion": (
        f"DELETE FROM cooldown WHERE subject = :first AND {_ENDED}"
    ),
    # What is known of keys that nobody uses any more, such as the former values of a file that is rewritten.
    f"SELECT fingerprint, url FROM evidence WHERE {_UNKNOWN} LIMIT :portion": (
        f"DELETE FROM evidence WHERE fingerprint = :first AND url = :second AND {_UNKNOWN}"
    ),
    f"SELECT id FROM session WHERE {_REMOVED} LIMIT :portion": (
        f"DELETE FROM session WHERE id = :first AND {_REMOVED}"
    ),
    f"SELECT id FROM token WHERE {_GONE} LIMIT :portion": f"DELETE FROM token WHERE id = :first AND {_GONE}",
    f"SELECT day, token FROM begun WHERE {_PAST} LIMIT :portion": (
        f"DELETE FROM begun WHERE day = :first AND token = :second AND {_PAST}"
    ),
    f"SELECT writer FROM written WHERE {_DONE} LIMIT :portion": (
        f"DELETE FROM written WHERE writer = :first AND {_DONE}"
    ),
    # The row of a key that is still in use stays, so that the fence of its lease only grows.
    f"""SELECT name FROM lease WHERE {_OF_NOBODY}
        AND substr(name, 7) NOT IN (SELECT fingerprint || '@' || url FROM evidence) LIMIT :portion""": (
        f"DELETE FROM lease WHERE name = :first AND {_OF_NOBODY}"
    ),
}
"""For each table what finds its old rows, and what deletes one. They are looked for beside the writers, which
wait for the deletion only."""
TABLES: Mapping[str, str] = {
    "session": "changed_at",
    "evidence": "COALESCE(last_ok, last_fault_at)",
    "cooldown": "since",
    "journal": "at",
    "usage": "NULL",
    "account_object": "at",
    "token": "created_at",
    "provision": "NULL",
    "models": "at",
    "lease": "NULL",
}
"""The tables that grow, each with the time of a row."""


class RelationalUpkeep(RelationalSessions):
    """`Upkeep` over an engine that knows its size."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self._portion = Portion()

    @abstractmethod
    def _bytes(self) -> tuple[int, int, bool]:
        """Return the store's size, its free bytes, and whether these go back to the file system."""
        ...

    def _used(self) -> int:
        """Return the bytes that the rows take. An engine whose deleted rows do not become free at once
        estimates them."""
        size, free, _ = self._bytes()
        return size - free

    def prune(self, keep_days: float) -> int:
        most = self._portion.rows
        deleted = self._delete_lines(_OLD, {"oldest": self.newest() - keep_days * _DAY, "portion": most})
        if deleted == most:  # there are more
            return deleted
        now = self.now()
        of_evidence = [at for (at,) in self._read(NEWEST_EVIDENCE, {}) if at is not None]
        times = {
            "portion": PORTION,
            "now": now,
            "ended": now - COOLDOWN_KEPT,
            "known": min([now, *of_evidence]) - EVIDENCE_KEPT,
            "tokens": now - TOKEN_KEPT,
            "yesterday": day_of(now - _DAY),
            "told": now - TOLD_FOR,
        }
        for search, delete in SMALL.items():
            old = self._read(search, times)
            if old:
                with self._write() as transaction:
                    rows = [times | {"first": row[0], "second": row[-1]} for row in old]
                    transaction.executemany(delete, rows)
            deleted += len(old)
        return deleted + self._change((sql.VOID_COOLDOWNS, {"at": now, "ever": inf}))

    def prune_to_size(self, most: int) -> int:
        if self._used() <= most:
            return 0
        return self._delete_lines(_FIRST, {"least": LINES_KEPT, "portion": self._portion.rows})

    def _delete_lines(self, search: str, params: Params) -> int:
        if not self._read(search, {**params, "portion": 1}):
            return 0
        with self._write() as transaction:
            began = self.now()
            deleted = transaction.execute(f"DELETE FROM journal WHERE id IN ({search})", params).rowcount
        self._portion.took(self.now() - began)
        return deleted

    def count_old(self, keep_days: float) -> int:
        ((count,),) = self._read(COUNT_OLD, {"oldest": self.newest() - keep_days * _DAY})
        return int(count)

    def compact(self) -> int:
        return 0

    def status(self) -> StoreStatus:
        return StoreStatus(*self._bytes(), tuple(self._table(name, at) for name, at in TABLES.items()))

    def _table(self, name: str, at: str) -> TableStatus:
        ((count, oldest, newest),) = self._read(f"SELECT COUNT(*), MIN({at}), MAX({at}) FROM {name}", {})
        return TableStatus(name, int(count), oldest, newest)
