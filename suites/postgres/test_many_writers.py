"""Writers of one PostgreSQL take no turns that they need not take, and readers of changes miss nothing."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from holdfast.core.changes import Cooldown, CooldownStarted, KeyFailed, KeyKept
from holdfast.core.errors import StoreError
from holdfast.core.faults import Fault, FaultClass, Scope
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.store import postgres
from holdfast.store.feed import Changes, Follower
from holdfast.store.journal_events import Event, SessionCreated
from holdfast.store.postgres import PostgresStore
from holdfast.store.usage import Usage

if TYPE_CHECKING:
    import pytest

URL = "https://p.example/v1"
PIN = Pin.parse("p/m")
WRITERS = 4


@contextmanager
def counting(store: PostgresStore) -> Iterator[list[str]]:
    """Collect the statements that a store sends."""
    sent: list[str] = []
    execute = psycopg.Connection.execute

    def noted(self: Any, query: Any, *rest: Any, **named: Any) -> Any:
        sent.append(query.decode() if isinstance(query, bytes) else str(query))
        return execute(self, query, *rest, **named)

    psycopg.Connection.execute = noted  # type: ignore[method-assign]
    try:
        yield sent
    finally:
        psycopg.Connection.execute = execute  # type: ignore[method-assign]


def test_new_sessions_are_one_statement_however_many_with_their_lines(url: str) -> None:
    with PostgresStore(url) as store:
        line = Event(1.0, SessionCreated(), "", pin="p/m")
        assert store.session("s") is None
        for count in (1, 20, 501):
            new = [(Session(f"s{count}-{number}", PIN), ()) for number in range(count)]
            with counting(store) as sent:
                made = store.create_sessions((s, [line._replace(session=s.id)]) for s, _ in new)
            assert (len(made), len(sent)) == (count, 1)
        with counting(store) as sent:
            store.keep_first_keys((KeyKept(f"s20-{number}", "a"), 1.0 + number) for number in range(20))
            assert store.session("s20-7") == Session("s20-7", PIN, kept_key="a")
        assert len(sent) == 2
        assert len(store.journal(limit=9_999)) == 522
        assert store.revision().number == 0


def test_two_gateways_that_make_one_session_at_once_agree_on_its_pin(url: str) -> None:
    with PostgresStore(url) as first, PostgresStore(url) as second, ThreadPoolExecutor(2) as pool:
        for turn in range(100):
            ids = [f"s{turn}-{part}" for part in range(3)]

            def make(of: tuple[PostgresStore, str], ids: list[str] = ids) -> set[str]:
                store, provider = of
                order = ids if provider == "p" else ids[::-1]
                return store.create_sessions((Session(i, Pin.parse(f"{provider}/m")), ()) for i in order)

            by_first, by_second = pool.map(make, [(first, "p"), (second, "q")])
            assert by_first | by_second == set(ids)
            assert not by_first & by_second
            pins = {row.id: str(row.pin) for row in first.sessions_named(ids)}
            assert pins == {i: "p/m" if i in by_first else "q/m" for i in ids}


def test_a_reader_misses_no_change_of_writers_whose_commits_come_at_any_time(
    server: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while somebody keeps a transaction open that has written, in this database and in another one."""
    execute = postgres._Transaction.execute

    def slow(self: Any, text: str, parameters: Any) -> Any:
        if random.random() < 0.02:
            time.sleep(random.random() * 0.003)
        return execute(self, text, parameters)

    monkeypatch.setattr(postgres._Transaction, "execute", slow)
    each, at_once, seen, done = 100, 25, set[str](), threading.Event()

    def write(number: int) -> None:
        with PostgresStore(url) as store:
            for turn in range(each):
                name = f"{number}-{turn}"
                failed = [f"{name}-{key}" for key in range(at_once)]
                store.apply([KeyFailed(key, URL, FaultClass.AUTH_REJECTED, 1.0) for key in failed], 1.0)
                store.create_sessions([(Session(f"s{name}", PIN), ())])

    with PostgresStore(url) as reader, psycopg.connect(url) as idle, psycopg.connect(**server) as elsewhere:
        idle.execute("INSERT INTO lease (name, owner, fence, until) VALUES ('idle', 'x', 1, 0)")
        elsewhere.execute("CREATE TABLE written_and_open (id int)")

        def take(changes: Changes | None) -> None:
            rows = reader.evidence() if changes is None else changes.evidence
            seen.update(row.fingerprint for row in rows)

        follower = Follower(reader, take)
        follower.look()
        with ThreadPoolExecutor(WRITERS + 1) as pool:

            def read() -> None:
                while not done.is_set():
                    follower.look()
                    time.sleep(0.002)

            reading = pool.submit(read)
            list(pool.map(write, range(WRITERS)))
            done.set()
            reading.result()
        follower.look()
        idle.rollback()
        elsewhere.rollback()
        assert len(seen) == WRITERS * each * at_once == 10_000
        assert follower.revision is not None
        assert follower.revision.number == WRITERS * each, "no number is left out"


def test_a_reader_that_is_cut_off_again_and_again_ends_with_what_the_tables_hold(
    url: str, direct: str
) -> None:
    known: dict[str, float] = {}
    fault = Fault(FaultClass.RATE_LIMITED, Scope.KEY)
    with ExitStack() as stack:
        reader, writer = (stack.enter_context(PostgresStore(url)) for _ in range(2))
        admin = stack.enter_context(psycopg.connect(direct, autocommit=True))

        def take(changes: Changes | None) -> None:
            if changes is None:
                known.clear()
            for row in reader.cooldowns() if changes is None else changes.cooldowns:
                if row.level < 0:
                    known.pop(row.subject, None)
                else:
                    known[row.subject] = row.since

        follower = Follower(reader, take)
        for turn in range(20):
            now = writer.now()
            writer.apply(
                [CooldownStarted(Cooldown(f"k{turn + n}", now + 60, now, 0, fault)) for n in range(3)], now
            )
            writer.clear(f"k{turn - 1}")
            if turn % 2:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'holdfast' AND query LIKE 'SELECT%'"
                )
            try:
                follower.look()
            except StoreError:
                continue
        follower.look()
        stored = {row.subject: row.since for row in writer.cooldowns()}
        assert known == stored != {}
        admin.execute("UPDATE cooldown SET since = since - 1")
        admin.execute("UPDATE counter SET value = value - 3 WHERE name IN ('seq', 'revision')")
        follower.look()
        assert known == {subject: since - 1 for subject, since in stored.items()}, "a restored copy"


def test_a_lease_goes_by_the_clock_of_the_database(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with PostgresStore(url) as right, PostgresStore(url) as ahead:
        monkeypatch.setattr(ahead, "now", lambda: time.time() + 200 * 86_400)
        lease = right.lease("n", "right", 60)
        assert lease is not None
        assert abs(lease.until - time.time() - 60) < 5
        assert ahead.lease("n", "ahead", 60) is None
        assert ahead.holder("n") == lease
        right.release(lease)
        taken = ahead.lease("n", "ahead", 0.05)
        assert taken is not None
        assert taken.fence == lease.fence + 1
        assert not right.renew(lease, 60)
        time.sleep(0.06)
        assert not ahead.renew(taken, 60)
        again = right.lease("n", "right", 60)
        assert again is not None
        assert again.fence == taken.fence + 1
        assert ahead.holder("n") == again


def test_sums_that_many_writers_add_to_at_once_are_exact(url: str) -> None:
    """Each batch has the same rows in another order: writers that took them as they came would wait for each
    other in a circle."""
    turns, rows = 25, [Usage("2026-01-01", f"s{number}", "k", "p/m", 1, 2, 3) for number in range(40)]

    def add(number: int) -> None:
        order = random.Random(number)
        with PostgresStore(url) as store:
            for _ in range(turns):
                store.add_usage(order.sample(rows, len(rows)))

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(add, range(WRITERS)))
    with PostgresStore(url) as store:
        counted = {sums.session: sums[4:] for sums in store.usage(["session"])}
    assert counted == {row.session: tuple(WRITERS * turns * n for n in row[4:]) for row in rows}


SIDE_BY_SIDE: dict[str, Callable[[PostgresStore], object]] = {
    "a new session": lambda store: store.create_sessions([(Session("other", PIN), ())]),
    "a lease": lambda store: store.lease("other", "o", 5),
    "a line": lambda store: store.record([Event(1.0, SessionCreated(), "s")]),
    "a first key": lambda store: store.apply([KeyKept("s", "a")], 1.0),
    "a read": lambda store: store.changes(0),
}


def test_what_takes_no_number_waits_for_nobody_who_takes_one(url: str) -> None:
    with PostgresStore(url) as busy, PostgresStore(url) as store:
        store.create_sessions([(Session("s", PIN), ())])
        with busy._numbered() as transaction:
            transaction.execute("SELECT 1", {})
            for name, call in SIDE_BY_SIDE.items():
                began = time.monotonic()
                call(store)
                assert time.monotonic() - began < postgres.BUSY_SECONDS / 2, name
