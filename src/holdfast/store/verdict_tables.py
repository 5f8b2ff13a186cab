"""Evidence and cooldowns over any SQL engine, and the feed of changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from ..core.changes import Change, Cooldown, Evidence, KeyKept, subjects
from ..core.faults import Scope
from . import rows, sql
from .base import COOLDOWN_KEPT
from .feed import Changes
from .rows import Params, Row
from .transaction import SqlEngine

_PAGE = 1_000
"""Rows of a table that are read at a time."""


class VerdictTables(SqlEngine):
    """The verdicts of a `Store`."""

    def changes(self, after: int) -> Changes:
        most = _PAGE
        while True:
            of_kind: dict[str, list[Row]] = {}
            for row in self._read(sql.CHANGES, {"after": after, "most": most}):
                of_kind.setdefault(row[0], []).append(row)
            # A table that has more is known up to the number before the last one that was read.
            upto = min((of[-1][-1] - 1 for of in of_kind.values() if len(of) >= most), default=None)
            if upto is None or upto > after:
                return _changes(of_kind, upto)
            most *= 2

    def evidence(self) -> list[Evidence]:
        evidence: list[Evidence] = []
        last = {"fingerprint": "", "url": ""}
        while True:
            page = self._read(sql.EVIDENCE, {**last, "most": _PAGE})
            evidence += map(rows.evidence, page)
            if len(page) < _PAGE:
                return evidence
            last = {"fingerprint": page[-1][0], "url": page[-1][1]}

    def cooldowns(self) -> list[Cooldown]:
        return rows.readable(self._read(sql.COOLDOWNS, {"oldest": self.now() - COOLDOWN_KEPT}), rows.cooldown)

    def apply(self, changes: Iterable[Change], at: float) -> None:
        changes = list(changes)
        written = self.keep_first_keys((kept, at) for kept in changes if isinstance(kept, KeyKept))
        left = [change for change in changes if not (type(change) is KeyKept and change.session in written)]
        self._change(*(statement for change in left for statement in rows.statements(change, at)))

    def keep_first_keys(self, kept: Iterable[tuple[KeyKept, float]]) -> Collection[str]:
        last = {change.session: (change, at) for change, at in kept}
        first = [
            {"session": name, "label": change.label, "at": at} for name, (change, at) in sorted(last.items())
        ]
        return self._keep_first_keys(first)

    def forget(self, fingerprint: str) -> int:
        prefix, now = subjects(fingerprint)[Scope.KEY], self.now()
        cooldowns: Params = {"prefix": prefix, "size": len(prefix), "at": now}
        return self._change(
            (sql.FORGET_EVIDENCE, {"fingerprint": fingerprint, "at": now}), (sql.FORGET_COOLDOWNS, cooldowns)
        )

    def clear(self, subject: str) -> bool:
        return self._change((sql.CLEAR, {"subject": subject, "at": self.now()})) > 0

    def _keep_first_keys(self, kept: list[dict[str, Any]]) -> Collection[str]:
        """Write the keys of sessions that keep none yet. Return the ids of those that did not."""
        if not kept:
            return ()
        with self._write() as transaction:
            return {
                params["session"]
                for params in kept
                if transaction.execute(sql.KEEP_FIRST_KEY, params).rowcount
            }


def _changes(of_kind: dict[str, list[Row]], upto: int | None) -> Changes:
    evidence = [
        rows.evidence((*name.split(" ", 1), first_ok, last_ok, last_fault, last_fault_at))
        for _, name, last_fault, first_ok, last_ok, last_fault_at, *_ in of_kind.get("evidence", ())
    ]
    cooldowns = [
        (subject, until, since, level, fault)
        for _, subject, fault, until, since, _, level, _ in of_kind.get("cooldown", ())
    ]
    return Changes(
        evidence=evidence,
        cooldowns=rows.readable(cooldowns, rows.cooldown),
        sessions=[row[1].removeprefix("-") for row in of_kind.get("session", ())],
        tokens=[row[1] for row in of_kind.get("token", ())],
        provisions="provision" in of_kind,
        upto=upto,
    )
