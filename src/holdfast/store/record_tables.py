"""The tables of models, objects of accounts and provisioning records, over any SQL engine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..core.config import ModelFacts
from ..core.errors import NotReady
from ..core.provisioning_state import Record
from . import provisions, rows, sql
from .base import MOST_OBJECTS, OBJECTS_KEPT, AccountObject, BrokenRecord
from .transaction import SqlEngine

_PORTION = 1000
"""Rows that are pruned at a time, so that no other writer waits long."""


class RecordTables(SqlEngine):
    """The small tables of a `Store`."""

    def save_models(self, provider: str, url: str, models: Mapping[str, ModelFacts], at: float) -> None:
        listed = {"provider": provider, "url": url, "models": rows.models_text(models), "at": at}
        with self._write() as transaction:
            transaction.execute(sql.MODELS_SAVE, listed)

    def save_objects(self, objects: Iterable[AccountObject]) -> None:
        objects = list(objects)
        lines = [rows.object_params(made) for made in objects]
        if lines:
            # Others may have in memory that a session has no object yet.
            first = [{"session": session} for session in sorted({made.session for made in objects})]
            with self._numbered() as transaction:
                touched = sum(transaction.execute(sql.SESSION_TOUCH, params).rowcount for params in first)
                transaction.executemany(sql.OBJECT_SAVE, lines)
                if touched:
                    transaction.execute(sql.TAKE_NUMBER, {})

    def account_object(self, object_id: str) -> AccountObject | None:
        return next(map(rows.account_object, self._read(sql.OBJECT, {"id": object_id})), None)

    def first_object(self, session_id: str) -> AccountObject | None:
        return next(map(rows.account_object, self._read(sql.FIRST_OBJECT, {"session": session_id})), None)

    def prune_objects(self) -> int:
        bounds = {"oldest": self.now() - OBJECTS_KEPT, "most": MOST_OBJECTS - 1, "portion": _PORTION}
        with self._write() as transaction:
            return transaction.execute(sql.OBJECTS_PRUNE, bounds).rowcount

    def provision(self, name: str) -> Record | None:
        for row in self._read(sql.PROVISION, {"name": name}):
            record = provisions.record(row)
            if isinstance(record, Record):
                return record
            what = f"the provisioning record of '{name}' cannot be read ({record.why}); it was not changed"
            step = f"holdfast provision repair {name} --discard   (deletes the record, not the key)"
            raise NotReady(what, reason="quarantined", next_step=step)
        return None

    def provisions(self) -> list[Record]:
        stored = map(provisions.record, self._read(sql.PROVISIONS, {}))
        return [record for record in stored if isinstance(record, Record)]

    def broken_provisions(self) -> list[BrokenRecord]:
        stored = map(provisions.record, self._read(sql.PROVISIONS, {}))
        return [broken for broken in stored if isinstance(broken, BrokenRecord)]

    def save_provision(self, record: Record, expect_version: int | None) -> bool:
        text, params = sql.PROVISION_INSERT, provisions.params(record)
        if expect_version is not None:
            text, params = sql.PROVISION_UPDATE, params | {"expect": expect_version}
        with self._durable() as transaction:
            changed = transaction.execute(text, params).rowcount
            if changed:
                transaction.execute(sql.PROVISIONS_CHANGED, {})
                transaction.execute(sql.TAKE_NUMBER, {})
        return changed > 0

    def remove_provision(self, name: str) -> bool:
        with self._numbered() as transaction:
            changed = transaction.execute(sql.PROVISION_DELETE, {"name": name}).rowcount
            if changed:
                transaction.execute(sql.PROVISIONS_CHANGED, {})
                transaction.execute(sql.TAKE_NUMBER, {})
        return changed > 0

    def models(self, provider: str, url: str) -> tuple[Mapping[str, ModelFacts], float] | None:
        for models, at in self._read(sql.MODELS, {"provider": provider, "url": url}):
            return rows.models(models), at
        return None
