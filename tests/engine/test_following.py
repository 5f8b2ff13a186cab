"""A process learns from the rows that changed, however much is stored, and goes on with what it knows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.core.changes import Cooldown, CooldownStarted, Evidence, FallbackStarted, KeyKept, KeySucceeded
from holdfast.core.errors import StoreError
from holdfast.core.faults import Fault, FaultClass, Scope
from holdfast.core.identity import Endpoint, Pin
from holdfast.core.session import Session
from holdfast.engine import known_sessions
from holdfast.engine.change_writer import ChangeWriter
from holdfast.engine.following import Following
from holdfast.engine.known_sessions import KnownSessions
from holdfast.engine.shared_health import SharedHealth
from holdfast.store.base import COOLDOWN_KEPT, EVIDENCE_KEPT
from holdfast.store.feed import REFUTED_LEVEL
from holdfast.store.memory import MemoryStore
from holdfast.store.sqlite import SqliteStore

URL = "https://p.example/v1"
HERE = Endpoint(URL)
PIN = Pin.parse("p/m")
FAULT = Fault(FaultClass.RATE_LIMITED, Scope.KEY)
NOW = 1_750_000_000.0


class Objects:
    """`AccountObjects` as far as it is followed."""

    def __init__(self) -> None:
        self.forgotten: list[Any] = []

    def forget(self, sessions: Any) -> None:
        self.forgotten.append(sessions if sessions is None else list(sessions))


class Counting(SqliteStore):
    """A store that counts the rows it reads, and the statements."""

    rows = statements = 0

    def _read(self, text: str, params: Any) -> Any:
        read = super()._read(text, params)
        self.rows, self.statements = self.rows + len(read), self.statements + 1
        return read


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Counting]:
    with Counting(tmp_path / "state.db") as store:
        yield store


def following(store: Any, warn: Callable[[Exception], None] | None = None) -> Following:
    def fail(error: Exception) -> None:
        raise error

    changes = ChangeWriter(store, warn or fail)
    return Following(store, Objects(), changes, warn or fail)  # type: ignore[arg-type]


def verdict(subject: str, *, since: float = NOW, level: int = 1) -> Cooldown:
    return Cooldown(subject, since + 60, since, level, FAULT)


def worked(fingerprint: str, at: float = NOW) -> KeySucceeded:
    return KeySucceeded(fingerprint, URL, "m", "", at=at, durable=True)


def test_what_a_change_costs_does_not_grow_with_what_is_stored(store: Counting, tmp_path: Path) -> None:
    costs = set()
    with SqliteStore(tmp_path / "state.db") as other:
        for count in (10, 1_000, 4_000):
            store.apply([worked(f"{count}-{number}") for number in range(count)], NOW)
            store.apply([CooldownStarted(verdict(f"key:{count}-{number}")) for number in range(count)], NOW)
            store.create_sessions((Session(f"s{count}-{number}", PIN), ()) for number in range(count))
            here = following(store)
            here.look()
            for number in range(10):
                assert here.sessions.get(f"s{count}-{number}") is not None
            store.rows = store.statements = 0
            other.apply([worked("new", NOW + count), CooldownStarted(verdict("key:new"))], NOW)
            other.save_session(Session(f"s{count}-1", Pin.parse("q/m"), version=count), 0)
            other.save_session(Session(f"s{count}-99999", PIN), None)
            here.look()
            assert here.health.evidence("new", HERE).last_ok == NOW + count
            assert here.health.cooled("key:new") == verdict("key:new")
            row = here.sessions.get(f"s{count}-1")
            assert row is not None
            assert str(row.pin) == "q/m"
            costs.add((store.rows, store.statements))
            here.look()
            costs.add((store.rows, store.statements))
    assert costs == {(4, 2)}, "the changed rows in one query, and the session that is in memory"


def test_a_known_session_costs_no_statement_and_a_new_one_two(store: Counting) -> None:
    here = following(store)
    here.look()
    store.statements = 0
    assert here.sessions.get("s") is None
    store.create_sessions([(Session("s", PIN), ())])
    here.sessions.add(Session("s", PIN), here.sessions.turn)
    assert store.statements == 1
    for _ in range(3):
        here.sessions.get("s")
        here.look()
    assert store.statements == 1


def test_a_store_that_is_away_costs_no_session_that_is_known(tmp_path: Path) -> None:
    class Away(MemoryStore):
        away = False

        def _read(self, text: str, params: Any) -> Any:
            if self.away:
                raise StoreError("gone", next_step="wait")
            return super()._read(text, params)

    errors: list[Exception] = []
    with Away() as store:
        here = following(store, errors.append)
        store.create_sessions([(Session("s", PIN), ()), (Session("t", PIN), ())])
        store.apply([worked("k")], NOW)
        here.look()
        assert here.sessions.get("s") == Session("s", PIN)
        store.save_session(Session("s", Pin.parse("q/m"), version=1), 0)
        store.away = True
        here.look()
        assert errors
        assert here.sessions.get("s") == Session("s", PIN)
        assert here.health.evidence("k", HERE).last_ok == NOW
        with pytest.raises(StoreError):
            here.sessions.get("t")
        store.away = False
        here.look()
        assert here.sessions.get("s") == Session("s", Pin.parse("q/m"), version=1)


def test_a_number_that_went_down_or_a_change_without_one_makes_it_read_everything(
    store: Counting, tmp_path: Path
) -> None:
    here = following(store)
    store.create_sessions([(Session("s", PIN), ()), (Session("t", PIN), ())])
    store.apply([worked("gone"), worked("kept"), CooldownStarted(verdict("key:gone"))], NOW)
    here.look()
    assert {here.sessions.get(name) is not None for name in "st"} == {True}
    for statements in (
        # As a version without numbers writes.
        (
            "DELETE FROM evidence WHERE fingerprint = 'gone'",
            "DELETE FROM cooldown",
            "DELETE FROM session WHERE id = 's'",
            "UPDATE session SET pin = 'q/m', version = 1 WHERE id = 't'",
            "UPDATE counter SET value = value + 1 WHERE name = 'revision'",
        ),
        # As a restored copy is.
        (
            "UPDATE session SET pin = 'r/m' WHERE id = 't'",
            "DELETE FROM evidence WHERE fingerprint = 'kept'",
            "UPDATE counter SET value = value - 1 WHERE name IN ('seq', 'revision')",
        ),
    ):
        with store._write() as transaction:
            for text in statements:
                transaction.execute(text, {})
        here.look()
    assert here.sessions.get("s") is None
    assert str(getattr(here.sessions.get("t"), "pin", "")) == "r/m"
    assert here.health.cooled("key:gone") is None
    assert [here.health.evidence(name, HERE).last_ok for name in ("gone", "kept")] == [None, None]


def test_versions_without_numbers_learn_of_every_numbered_change(store: Counting) -> None:
    def counted() -> int:
        return int(store._read("SELECT value FROM counter WHERE name = 'revision'", {})[0][0])

    before = counted()
    store.apply([worked("k")], NOW)
    store.remove_session("none")
    assert counted() == before + 1


def test_what_this_process_learnt_since_stays_when_an_older_row_arrives() -> None:
    health = SharedHealth()
    health.apply(CooldownStarted(verdict("key:k", since=NOW + 5)))
    health.learn([], [verdict("key:k", level=2)])
    assert health.cooled("key:k") == verdict("key:k", since=NOW + 5), "not stored yet"
    health.learn([], [verdict("key:k", level=REFUTED_LEVEL)])
    assert health.cooled("key:k") is not None
    health.learn([], [verdict("key:k", since=NOW + 6, level=REFUTED_LEVEL)])
    assert health.cooled("key:k") is None
    subject = f"key:k@{URL}"
    health.apply(CooldownStarted(verdict(subject)))
    health.apply(worked("k", NOW + 1))
    health.learn([], [verdict(subject)])
    assert health.cooled(subject) is None, "a good answer that is not stored yet has refuted it"
    health.learn([], [verdict(subject, since=NOW + 2)])
    assert health.cooled(subject) is not None
    health.learn([], [verdict(subject, since=NOW - 3600)])
    assert health.cooled(subject) == verdict(subject, since=NOW - 3600), "the clock was set back"
    health.learn([Evidence("k", URL, 1.0, NOW - 9)], [])
    assert health.evidence("k", HERE).last_ok == NOW + 1
    health.learn([Evidence("k", URL, last_fault_at=NOW)], [])
    assert health.evidence("k", HERE).untested


def test_what_ended_long_ago_leaves_memory() -> None:
    health = SharedHealth()
    long_ago = Evidence("old", URL, 1.0, NOW - EVIDENCE_KEPT - 1)
    health.load(
        [long_ago, Evidence("new", URL, 1.0, NOW)],
        [verdict("ended", since=NOW - COOLDOWN_KEPT - 90), verdict("lately", since=NOW - 90)],
    )
    health.forget()
    assert health.evidence("old", HERE).untested
    assert health.evidence("new", HERE).last_ok == NOW
    assert [health.cooled(name) is not None for name in ("ended", "lately")] == [False, True]


def test_sessions_in_memory_are_bounded_and_those_in_use_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_sessions, "_MOST", 20)
    with MemoryStore() as store:
        store.create_sessions((Session(f"s{number}", PIN), ()) for number in range(100))
        sessions = KnownSessions(store, ChangeWriter(store, print))
        for number in range(100):
            assert sessions.get(f"s{number}") is not None
            assert sessions.get("s0") is not None
            assert sessions.get(f"none-{number}") is None
        assert sessions.knows("s0")
        assert sum(sessions.knows(f"s{number}") for number in range(100)) <= 20


def test_an_absent_session_is_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with MemoryStore() as store:
        sessions = KnownSessions(store, ChangeWriter(store, print))
        assert sessions.get("s") is None
        store.create_sessions([(Session("s", PIN), ())])
        sessions.look_for("s")
        assert sessions.get("s") == Session("s", PIN)
        monkeypatch.setattr(known_sessions, "_ABSENT_FOR", 0.0)
        assert sessions.get("t") is None
        store.create_sessions([(Session("t", PIN), ())])
        assert sessions.get("t") is not None


def test_what_a_request_changes_of_its_session_is_known_before_it_is_stored() -> None:
    with MemoryStore() as store:
        store.create_sessions([(Session("s", PIN, changed_at=NOW), ())])
        sessions = KnownSessions(store, ChangeWriter(store, print))
        assert sessions.get("s") is not None
        for at, expected in ((NOW - 1, (None, False)), (NOW + 1, ("a", True))):
            sessions.change([KeyKept("s", "a")], at)
            sessions.change([FallbackStarted("s", "q/m", "why", NOW + 60)], at)
            row = sessions.get("s")
            assert row is not None
            assert (row.kept_key, row.active_fallback is not None) == expected


def test_a_far_store_is_followed_by_a_thread_and_no_request_looks(store: Counting, tmp_path: Path) -> None:
    seen, goes_on = threading.Event(), threading.Event()

    class Far(SqliteStore):
        far = True

        looks = 0

        def revision(self) -> Any:
            self.looks += 1
            if self.looks == 3:
                raise RuntimeError("whatever it may be")
            if self.looks > 3:
                goes_on.set()
            return super().revision()

        def changes(self, after: int) -> Any:
            seen.set()
            return super().changes(after)

    with Far(tmp_path / "state.db") as far:
        here = following(far, lambda _: None)
        here.look()
        here.start()
        assert here.polls
        assert goes_on.wait(10), "an error ends no thread"
        store.apply([worked("k")], NOW)
        assert seen.wait(10)
        here.close()
        assert not here.polls
    near = following(store)
    near.start()
    assert not near.polls
