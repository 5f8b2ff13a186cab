"""Those who create sessions at the same time share a statement, and each is told what became of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from holdfast.core.errors import StoreError
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.engine import new_sessions
from holdfast.engine.new_sessions import NewSessions
from holdfast.store.base import NewSession, StoreAway
from holdfast.store.memory import MemoryStore

PIN = Pin.parse("p/m")


class Slow(MemoryStore):
    """A store whose first call goes on only when it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.goes_on = threading.Event(), threading.Event()
        self.batches: list[int] = []
        self.error: StoreError | None = None

    def create_sessions(self, new: Iterable[NewSession]) -> set[str]:
        batch = [*new]
        self.batches.append(len(batch))
        self.begun.set()
        assert self.goes_on.wait(10)
        if self.error is not None:
            raise self.error
        return super().create_sessions(batch)


def created(waiting: NewSessions, name: str) -> bool:
    return waiting.create((Session(name, PIN), ()))


def test_sessions_that_come_while_one_is_stored_share_a_statement_and_an_id_is_given_once() -> None:
    with Slow() as store, ThreadPoolExecutor(8) as pool:
        waiting = NewSessions(store, print)
        first = pool.submit(created, waiting, "s0")
        assert store.begun.wait(10)
        others = [pool.submit(created, waiting, f"s{number}") for number in (0, 1, 2, 2, 3, 4)]
        while waiting._worker.waiting < len(others):
            threading.Event().wait(0.001)
        store.goes_on.set()
        assert first.result(10)
        assert sorted(each.result(10) for each in others) == [False, False, True, True, True, True]
        assert store.batches == [1, 6]
        waiting.close()


def test_one_who_waited_too_long_is_refused_and_no_session_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_sessions, "PATIENCE", 0.01)
    monkeypatch.setattr(new_sessions, "_MARGIN", 0.0)
    with Slow() as store:
        waiting = NewSessions(store, print)
        for name in ("under-way", "behind-it"):
            with pytest.raises(StoreAway, match="did not take the session within"):
                created(waiting, name)
        store.goes_on.set()
        waiting._worker.flush()
        assert store.session("behind-it") is None
        waiting.close()


def test_all_who_share_a_statement_that_fails_are_told_why() -> None:
    with Slow() as store, ThreadPoolExecutor(4) as pool:
        store.error = StoreError("the disk is full", next_step="holdfast doctor")
        waiting = NewSessions(store, print)
        asked: list[Any] = [pool.submit(created, waiting, f"s{number}") for number in range(3)]
        store.goes_on.set()
        for each in asked:
            with pytest.raises(StoreAway, match="the disk is full"):
                each.result(10)
        waiting.close()


def test_only_so_many_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_sessions, "_MOST", 0)
    with MemoryStore() as store, pytest.raises(StoreAway, match="wait for the store already"):
        created(NewSessions(store, print), "s")
