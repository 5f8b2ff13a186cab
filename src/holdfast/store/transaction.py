"""What the statements of a relational store run on: an engine's reading and its write transactions, as the
parts of `RelationalStore` see them."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from . import gathered, sql
from .batch import Batch
from .feed import Revision
from .journal_events import Detail, Event
from .rows import Params, Row, Statement


class Cursor(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int: ...

    def fetchall(self) -> list[Row]: ...


class Transaction(Protocol):
    """A write transaction."""

    def execute(self, text: str, parameters: Params, /) -> Cursor: ...

    def executemany(self, text: str, parameters: Iterable[Params], /) -> object: ...


class SqlEngine(ABC):
    """The part of a store that each engine has of its own, and what follows from it."""

    far = tells = False

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    @abstractmethod
    def revision(self) -> Revision: ...

    def glance(self) -> Revision | None:
        """Return the revision if that waits for nobody: never by a network."""
        return None

    def wait(self, seconds: float) -> None:
        """Wait for `seconds`: a store of this machine tells of no changes, since looking is cheap."""
        time.sleep(seconds)

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def _read(self, text: str, params: Params) -> list[Row]: ...

    @abstractmethod
    def _write(self) -> AbstractContextManager[Transaction]: ...

    def _numbered(self) -> AbstractContextManager[Transaction]:
        """Return a transaction while which no other takes a number; an engine whose transactions run side by
        side overrides this."""
        return self._write()

    def _durable(self) -> AbstractContextManager[Transaction]:
        """Return a numbered transaction that is on the disk when it ends; an engine whose ordinary
        transactions are not overrides this."""
        return self._numbered()

    def _alone(self) -> AbstractContextManager[Transaction]:
        """Return a transaction for a lease; an engine where it could be behind a batch overrides this."""
        return self._write()

    def _once(self, text: str, params: Params) -> list[Row]:
        """Run one statement in a transaction of its own. Return its rows."""
        with self._write() as transaction:
            return transaction.execute(text, params).fetchall()

    def now(self) -> float:
        return self._clock()

    def _change(self, *statements: Statement, events: Iterable[Event[Detail]] = ()) -> int:
        """Run statements in one transaction; if they changed anything, take the number that their rows carry
        and write the `events`. Return the number of changed rows."""
        if not statements:
            return 0
        with self._numbered() as transaction:
            changed = sum(transaction.execute(text, params).rowcount for text, params in statements)
            if changed:
                record_in(transaction, events)
                transaction.execute(sql.TAKE_NUMBER, {})
        return changed


def batch_params(batch: Batch, now: float) -> dict[str, Any]:
    """Return the parameters of `sql.take_batch` at a time (epoch seconds)."""
    return {**batch._asdict(), "now": now}


def is_new(transaction: Transaction, batch: Batch | None, now: float) -> bool:
    """Return whether a batch was not done before, and keep its number. One without a name is new."""
    return batch is None or transaction.execute(sql.TAKE_BATCH, batch_params(batch, now)).rowcount > 0


def journal_rows(events: Iterable[Event[Detail] | gathered.Similar]) -> list[Params]:
    """Return the journal's rows for these events."""
    return [dict(zip(sql.EVENT_COLUMNS, row, strict=True)) for row in gathered.rows(events)]


def record_in(transaction: Transaction, events: Iterable[Event[Detail]]) -> None:
    """Write events within a transaction."""
    lines = journal_rows(events)
    if lines:
        transaction.executemany(sql.RECORD, lines)
