"""What the database holds keeps the words of 6f19264, whatever the code and its users call it today."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.core.changes import FallbackStarted
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.store.sqlite import SqliteStore


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def test_a_fallback_in_use_keeps_its_columns_in_the_database(state: Path) -> None:
    session = Session("s", Pin.parse("p/m"))
    with SqliteStore(state) as store:
        store.save_session(session, None)
        store.apply([FallbackStarted("s", "q/m", "transient", 600.0)], 1.0)
    with closing(sqlite3.connect(state)) as plain:
        columns = plain.execute("SELECT stand_in, stand_in_reason, stand_in_until FROM session").fetchall()
    assert columns == [("q/m", "transient", 600.0)]
