"""What the statements of a relational store run on: an engine's reading and its write transactions, as the
parts of `RelationalStore` see them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from . import gathered, sql
from .journal_events import Detail, Event
from .rows import Params, Row


class Cursor(Protocol):
    """The result of a statement."""

    @property
    def rowcount(self) -> int: ...

    def fetchall(self) -> list[Row]: ...


class Transaction(Protocol):
    """A write transaction that began before its first read: no other writer runs until it ends."""

    def execute(self, text: str, parameters: Params, /) -> Cursor: ...

    def executemany(self, text: str, parameters: Iterable[Params], /) -> object: ...


class SqlEngine(ABC):
    """The engine under a part of a store."""

    @abstractmethod
    def now(self) -> float: ...

    @abstractmethod
    def _read(self, text: str, params: Params) -> list[Row]: ...

    @abstractmethod
    def _write(self) -> AbstractContextManager[Transaction]: ...


def journal_rows(events: Iterable[Event[Detail]]) -> list[Params]:
    """Return the journal's rows for these events."""
    return [dict(zip(sql.EVENT_COLUMNS, row, strict=True)) for row in gathered.rows(events)]


def record_in(transaction: Transaction, events: Iterable[Event[Detail]]) -> None:
    """Write events within a transaction."""
    lines = journal_rows(events)
    if lines:
        transaction.executemany(sql.RECORD, lines)
