"""What is done with many sessions costs by their number, in short transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from holdfast.core.errors import StoreError
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.store import relational_sessions
from holdfast.store.listing import PartlyRenamed
from holdfast.store.sqlite import SqliteStore
from holdfast.store.time_limit import time_limit
from holdfast.store.upkeep import PORTION
from holdfast.store.usage import Usage

ROW = """INSERT INTO session (id, pin, created_at, changed_at, version) VALUES (?, 'old/m', 1.0, ?, 0)"""


def filled(path: Path, count: int) -> SqliteStore:
    store = SqliteStore(path / f"state-{count}.db")
    with store._write() as transaction:
        transaction.executemany(ROW, [(f"s{number:06}", float(number)) for number in range(count)])  # type: ignore[misc]
    return store


@contextmanager
def statements(store: SqliteStore) -> Iterator[list[str]]:
    """Collect the statements that are run."""
    run: list[str] = []
    for connection in (store._writer, store._reader):
        connection.set_trace_callback(run.append)
    yield run
    for connection in (store._writer, store._reader):
        connection.set_trace_callback(None)


def test_a_rename_changes_no_more_than_a_portion_at_once_and_looks_at_each_session_once(
    tmp_path: Path,
) -> None:
    for count in (0, 1, PORTION, 2 * PORTION + 1):
        with filled(tmp_path, count) as store:
            with statements(store) as run:
                assert len(store.rename_provider("old", "new")) == count
            assert sum("UPDATE session" in text for text in run) == -(-count // PORTION)
            assert sum(text == "BEGIN IMMEDIATE" for text in run) == 2 + -(-count // PORTION)
            assert {str(session.pin) for session in store.sessions()} <= {"new/m"}
            assert [len(store.journal(limit=9_999)), len(store.sessions())] == [count, count]
            _scans_nothing(store, relational_sessions.RENAMED, ":after", ":old", ":size", ":limit")


def test_others_write_between_the_portions_of_a_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled(tmp_path, 2 * PORTION + 1) as store, SqliteStore(store.path) as other:
        made: list[str] = []

        def write_at_once(seconds: float) -> None:
            assert seconds >= 0.02, "SQLite's writers ask again after so long"
            made.append(f"new{len(made)}")
            with time_limit(0):
                other.save_session(Session(made[-1], Pin.parse("p/m")), None)

        monkeypatch.setattr(relational_sessions.time, "sleep", write_at_once)
        store.rename_provider("old", "new")
        assert len(made) == 2
        assert {each.id for each in store.sessions_using("p")} == {*made}


def test_a_rename_that_breaks_off_says_how_far_it_came_and_goes_on_with_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled(tmp_path, 2 * PORTION) as store:
        write, times = store._write, iter(range(9))

        @contextmanager
        def breaks() -> Iterator[object]:
            if next(times) == 2:  # the names, the first portion
                raise StoreError("the disk is full", next_step="df")
            with write() as transaction:
                yield transaction

        monkeypatch.setattr(store, "_write", breaks)
        with pytest.raises(
            PartlyRenamed, match=f"the disk is full; {PORTION} sessions were renamed"
        ) as error:
            store.rename_provider("old", "new")
        assert error.value.next_step == "holdfast provider rename old new"
        assert len(store.sessions_using("new")) == len(store.sessions_using("old")) == PORTION
        assert len(store.rename_provider("old", "new")) == PORTION
        assert len(store.sessions_using("new")) == 2 * PORTION


def test_sessions_are_forgotten_in_portions(tmp_path: Path) -> None:
    with filled(tmp_path, PORTION + 3) as store:
        assert [store.forget_sessions(1e9) for _ in range(3)] == [PORTION, 3, 0]
        assert store.sessions() == []


def test_who_looks_for_unused_sessions_keeps_no_writer_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relational_sessions, "_LOOKED_AT_ONCE", 7)
    with filled(tmp_path, 40) as store, SqliteStore(store.path) as other:
        used = [
            Usage("2026-01-02", f"s{number:06}", "k", "p/m", 1, 1, 1) for number in range(40) if number % 4
        ]
        store.add_usage(used)
        now = 1_767_312_000.0  # 2026-01-02
        with statements(store) as run:
            assert [store.forget_sessions(before) for before in (-1.0, 0.0)] == [0, 0]
        assert not any("BEGIN" in text for text in run)
        write = store._numbered

        def used_meanwhile() -> object:
            other.add_usage([Usage("2026-01-02", "s000008", "k", "p/m", 1, 1, 1)])
            return write()

        monkeypatch.setattr(store, "_numbered", used_meanwhile)
        assert store.forget_sessions(now) == 9
        assert len(store.sessions()) == 31
        assert store.session("s000008") is not None
        _scans_nothing(store, relational_sessions.NOT_CHANGED, ":before", ":day", ":at", ":last", ":limit")


def test_a_page_and_the_search_for_sessions_go_by_an_index(tmp_path: Path) -> None:
    with filled(tmp_path, 10) as store:
        _scans_nothing(store, relational_sessions.PAGE, ":at", ":id", ":limit")
        _scans_nothing(store, relational_sessions.LAST_CHANGE, ":latest")
        _scans_nothing(store, relational_sessions.LAST_LINE, ":latest")
        with statements(store) as run:
            store.session_page(3)
            store.stored_session("s000003")
        assert len(run) == 2


def _scans_nothing(store: SqliteStore, text: str, *names: str) -> None:
    """Check that SQLite finds the rows by an index, in order, and sorts nothing."""
    plan = store._reader.execute(f"EXPLAIN QUERY PLAN {text}", {name[1:]: 1 for name in names}).fetchall()
    steps = [step for *_, step in plan]
    assert steps, text
    assert not any("SORT" in step or "B-TREE" in step for step in steps), steps
    assert all("INDEX" in step for step in steps if "SUBQUERY" not in step), steps
