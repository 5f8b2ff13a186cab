"""The store is kept small in the background, by one process at a time, in small portions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.core.config import StoreSettings
from holdfast.core.errors import StoreError
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.engine import upkeep
from holdfast.engine.upkeep import StoreUpkeep
from holdfast.store import relational_upkeep
from holdfast.store.journal_events import Event, SessionCreated, SessionRemoved
from holdfast.store.memory import MemoryStore
from holdfast.store.sqlite import SqliteStore
from holdfast.store.upkeep import PORTION
from holdfast.testing import FakeClock

DAY = 86400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> Iterator[MemoryStore]:
    with MemoryStore(clock=clock) as store:
        yield store


def kept(
    store: MemoryStore | SqliteStore,
    owner: str = "me",
    *,
    settings: StoreSettings = StoreSettings(),  # noqa: B008
    wait: Callable[[float], bool] = bool,
) -> StoreUpkeep:
    """The upkeep of a store; `wait` ends it by True, and 0 seconds are no wait."""
    return StoreUpkeep(store, lambda: settings, owner, tell=pytest.fail, wait=lambda _: wait(0.0))


def old_lines(store: MemoryStore | SqliteStore, count: int, days: float = 100) -> None:
    now = store.now()
    lines = [
        Event(now - days * DAY - n, SessionCreated(), f"s{n % 7}", pin="p/" + "m" * 400) for n in range(count)
    ]
    for at in range(0, count, 1000):
        store.record(lines[at : at + 1000])
    store.record([Event(now - back * DAY, SessionCreated(), "now") for back in (3, 0)])


def test_a_round_deletes_all_that_is_old_in_portions_with_pauses(store: MemoryStore) -> None:
    old_lines(store, 5 * PORTION + 1)
    pauses: list[float] = []
    assert kept(store, wait=pauses.append).round() == 5 * PORTION + 1  # type: ignore[arg-type]
    assert len(pauses) == 6
    assert [event.session for event in store.journal()] == ["now", "now"]


def test_another_process_repeats_no_round_soon_and_takes_over_one_that_broke_off(
    store: MemoryStore, clock: FakeClock
) -> None:
    old_lines(store, 2 * PORTION)
    assert kept(store, wait=lambda _: True).round() == PORTION, "its process ended"
    assert kept(store, "other").round() == PORTION
    old_lines(store, 1)
    assert kept(store, "third").round() == 0
    clock.advance(upkeep._EVERY)
    assert kept(store, "third").round() == 1


def test_the_oldest_lines_go_where_the_store_is_larger_than_it_may_be(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relational_upkeep, "LINES_KEPT", 100)
    old_lines(store, 12 * PORTION, days=10)
    size, free, _ = store._bytes()
    most = (size - free) * 2 // 3
    kept(store, settings=StoreSettings(max_size=most)).round()
    size, free, _ = store._bytes()
    assert most * 0.7 < size - free <= most
    left = len(store.journal(limit=9_999))
    assert 100 < left < 12 * PORTION
    assert store.journal(limit=1)[0].session == "now"
    kept(store, "other", settings=StoreSettings(max_size=1)).round()
    assert len(store.journal(limit=9_999)) == left, "not so soon"


def test_sessions_that_nobody_uses_are_forgotten_where_the_configuration_says_so(store: MemoryStore) -> None:
    old_lines(store, 0)
    for name, days in (("old", 40), ("new", 20)):
        changed = store.now() - days * DAY
        store.save_session(Session(name, Pin.parse("p/m"), changed_at=changed), None)
    assert kept(store).round() == 0
    store.release(store.holder("upkeep"))  # type: ignore[arg-type]
    assert kept(store, settings=StoreSettings(forget_sessions=30 * DAY)).round() == 1
    assert [session.id for session in store.sessions()] == ["new"]
    assert [event.detail for event in store.journal(session="old")] == [SessionRemoved()]


def test_a_process_whose_clock_is_200_days_ahead_deletes_nothing_before_or_after_it_writes(
    store: MemoryStore, clock: FakeClock
) -> None:
    old_lines(store, 5, days=50)
    for _ in range(2):
        clock.advance(200 * DAY)
        assert kept(store).round() == 0
        store.record([Event(clock.now, SessionCreated(), "ahead")])
        clock.advance(-200 * DAY)
    assert len(store.journal()) == 9


def test_a_round_that_fails_gives_the_lease_back(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: float) -> int:
        raise StoreError("the disk is full", next_step="df")

    monkeypatch.setattr(store, "prune", fails)
    with pytest.raises(StoreError):
        kept(store).round()
    assert store.holder("upkeep") is None


def test_a_portion_that_takes_long_is_followed_by_smaller_ones_until_they_do_not(
    store: MemoryStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other writers of a file wait for a portion, and SQLite's ask again only after ever longer pauses."""
    old_lines(store, 3 * PORTION)
    slow, delete = True, MemoryStore._delete_lines
    sizes: list[int] = []

    def deletes(self: MemoryStore, search: str, params: Any) -> int:
        write = self._write

        @contextmanager
        def takes_time() -> Iterator[Any]:
            with write() as transaction:
                yield transaction
                sizes.append(params["portion"])
                clock.advance(params["portion"] * (0.00015 if slow else 0.00001))

        monkeypatch.setattr(self, "_write", takes_time)
        try:
            return delete(self, search, params)
        finally:
            monkeypatch.setattr(self, "_write", write)

    monkeypatch.setattr(MemoryStore, "_delete_lines", deletes)
    for _ in range(5):
        store.prune(90)
    slow = False
    while store.prune(90):
        pass
    assert sizes == [PORTION, 100, 50, 50, 50, 50, 70, 90]


def test_a_file_shrinks_by_what_was_deleted_and_its_log_stays_short(tmp_path: Path, clock: FakeClock) -> None:
    with SqliteStore(tmp_path / "state.db", clock=clock) as store:
        old_lines(store, 20 * PORTION)
        before = (tmp_path / "state.db").stat().st_size + (tmp_path / "state.db-wal").stat().st_size
        run: list[str] = []
        store._writer.set_trace_callback(run.append)
        assert kept(store).round() == 20 * PORTION
        store._writer.set_trace_callback(None)
        deletions = [text for text in run if "DELETE FROM journal" in text]
        assert len(deletions) == 20
        assert all(f"LIMIT {PORTION}" in text for text in deletions)
        size, free, shrinks = store._bytes()
        assert (free, shrinks) == (0, True)
        assert size < before / 5
        assert (tmp_path / "state.db-wal").stat().st_size < 9 * 1024**2
    assert (tmp_path / "state.db").stat().st_size == size


def test_rounds_follow_what_is_written_every_ten_minutes_and_a_clock_that_is_set_back(
    store: MemoryStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[float] = []
    owner = StoreUpkeep(store, StoreSettings, "me", tell=pytest.fail, clock=clock)
    monkeypatch.setattr(owner._worker, "submit", lambda _: begun.append(clock.now - start))
    start = clock.now
    for seconds, set_back in ((0, False), (599, False), (1, False), (10, True), (599, False), (1, False)):
        clock.advance(seconds)
        owner.wrote(set_back)
    assert begun == [0, 600, 610, 1210]


def test_a_home_prunes_beside_what_it_does_and_ends_in_the_middle_of_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "holdfast.toml").write_text('[provider.p]\nurl = "http://127.0.0.1:9/v1"\nauth = "none"\n')
    with SqliteStore(home / "state.db") as store:
        old_lines(store, 4 * PORTION)
    monkeypatch.setattr(upkeep, "PAUSE", 60.0)
    begun = threading.Event()
    prune = SqliteStore.prune

    def noted(self: SqliteStore, keep: float) -> int:
        begun.set()
        return prune(self, keep)

    monkeypatch.setattr(SqliteStore, "prune", noted)
    with holdfast.open(home) as held:
        held.engine.journal(Event(1.0, SessionCreated(), "s"))
        held.engine.journal_writer.flush()
        assert begun.wait(10)
    with SqliteStore(home / "state.db") as store:
        assert store.count_old(90) in (3 * PORTION, 3 * PORTION + 1)
        assert store.holder("upkeep") is None
