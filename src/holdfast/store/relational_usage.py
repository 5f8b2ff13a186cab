"""`UsageSums` over any SQL engine. Rows are added in the order of their key, so that no two writers wait for
each other's."""

# Only constants are joined, every value is a parameter.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .batch import Batch
from .relational_upkeep import RelationalUpkeep
from .rows import Params
from .transaction import is_new
from .upkeep import PORTION
from .usage import USAGE_KEPT, Usage, day_of

_DAY = 86_400.0
_COLUMNS = {"day": "day", "session": "session", "key": "key", "pin": "model"}
_COUNTS = ("requests", "tokens_in", "tokens_out")
ADD = f"""INSERT INTO usage (day, session, key, model, requests, tokens_in, tokens_out)
    VALUES (:day, :session, :key, :pin, :requests, :tokens_in, :tokens_out)
    ON CONFLICT (day, session, key, model) DO UPDATE SET
        {", ".join(f"{name} = usage.{name} + excluded.{name}" for name in _COUNTS)}"""
ADD_BEGUN = """INSERT INTO begun (day, token, sessions) VALUES (:day, :token, :sessions)
    ON CONFLICT (day, token) DO UPDATE SET sessions = begun.sessions + excluded.sessions RETURNING sessions"""
OLD = """SELECT day, session, key, model, requests, tokens_in, tokens_out FROM usage
    WHERE day < :latest AND session <> '' ORDER BY day LIMIT :portion"""
REMOVE = "DELETE FROM usage WHERE day = :day AND session = :session AND key = :key AND model = :pin"
TAKE = f"{REMOVE} RETURNING requests, tokens_in, tokens_out"
FORGOTTEN = "SELECT day, session, key, model FROM usage WHERE day < :latest ORDER BY day LIMIT :portion"


class RelationalUsage(RelationalUpkeep):
    """`UsageSums` over an engine."""

    def add_usage(self, counted: Iterable[Usage], batch: Batch | None = None) -> None:
        lines = [sums._asdict() for sums in sorted(counted)]
        if lines:
            with self._write() as transaction:
                if is_new(transaction, batch, self.now()):
                    transaction.executemany(ADD, lines)

    def usage(self, by: Sequence[str] = (), *, session: str | None = None, since: str = "") -> list[Usage]:
        names = [_COLUMNS[name] if name in by else "''" for name in _COLUMNS]
        groups = ", ".join(_COLUMNS[name] for name in by)
        text = f"""SELECT {", ".join(names)}, SUM(requests), SUM(tokens_in), SUM(tokens_out) FROM usage
            WHERE day >= :since{" AND session = :session" if session is not None else ""}
            {f"GROUP BY {groups} ORDER BY {groups}" if groups else ""}"""
        params: Params = {"since": since, "session": session}
        return [Usage(*row[:4], *map(int, row[4:])) for row in self._read(text, params) if row[4] is not None]

    def add_begun(self, day: str, token_id: str, sessions: int) -> int:
        ((begun,),) = self._once(ADD_BEGUN, {"day": day, "token": token_id, "sessions": sessions})
        return int(begun)

    def shorten_usage(self, keep_days: float) -> int:
        newest = self.newest()
        bounds = {"latest": day_of(newest - keep_days * _DAY), "portion": PORTION}
        old = [Usage(*row) for row in self._read(OLD, bounds)]
        if old:
            with self._write() as transaction:
                for sums in sorted(old):  # another process may have taken it meanwhile
                    taken = transaction.execute(TAKE, sums._asdict()).fetchall()
                    for counts in taken:
                        added = Usage._make((sums.day, "", sums.key, sums.pin, *map(int, counts)))
                        transaction.execute(ADD, added._asdict())
            return len(old)
        forgotten = self._read(FORGOTTEN, bounds | {"latest": day_of(newest - USAGE_KEPT * _DAY)})
        if forgotten:
            with self._write() as transaction:
                transaction.executemany(REMOVE, [dict(zip(_COLUMNS, row, strict=True)) for row in forgotten])
        return len(forgotten)
