"""Every store we ship keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.store.base import Store
from holdfast.store.contract import DurableStoreContract, StoreContract
from holdfast.store.memory import MemoryStore
from holdfast.store.sqlite import SqliteStore


class TestMemory(StoreContract):
    def open_store(self, clock: Callable[[], float]) -> Store:
        return MemoryStore(clock=clock)


class TestSqlite(DurableStoreContract):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "home" / "state.db"

    def open_store(self, clock: Callable[[], float]) -> Store:
        return SqliteStore(self.path, clock=clock)
