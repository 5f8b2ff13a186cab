"""A server that hangs, restarts, loses connections or is read-only for a while: each call ends in time, and
nothing has to be started anew."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import pytest

from holdfast.core.errors import StoreError
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.store.batch import new_writer
from holdfast.store.postgres import PostgresStore
from holdfast.store.postgres_line import Line, Watchdog
from holdfast.store.postgres_opening import Silent
from holdfast.store.time_limit import time_limit
from holdfast.store.usage import Usage


def processes(server: dict[str, str]) -> list[int]:
    """All processes of the server."""
    first = int((Path(server["host"]) / "postmaster.pid").read_text().split()[0])
    return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]


@contextmanager
def hanging(server: dict[str, str]) -> Iterator[None]:
    """The server hangs meanwhile."""
    stopped = processes(server)
    for each in stopped:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in stopped:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGCONT)


def end_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE application_name = 'holdfast'"
        )


def add(store: PostgresStore, name: str) -> None:
    store.save_session(Session(name, Pin.parse("p/m")), None)


def seconds_of(call: Callable[[], object], and_says: str = r"\n") -> float:
    """How long a call takes that the hanging server does not answer."""
    began = time.monotonic()
    with time_limit(0.5), pytest.raises(StoreError, match=r"gave no answer within 0\.5 s" + and_says):
        call()
    return time.monotonic() - began


def test_a_call_to_a_server_that_hangs_ends_in_time_and_the_next_one_needs_no_restart(
    server: dict[str, str], url: str
) -> None:
    with PostgresStore(url) as store:
        add(store, "before")
        assert store.sessions()
        with hanging(server):
            assert seconds_of(store.sessions) < 1
            assert seconds_of(lambda: add(store, "meanwhile"), "; what was to be stored may be stored") < 1
            assert seconds_of(lambda: add(store, "by-a-new-connection")) < 1
        began = time.monotonic()
        add(store, "after")
        assert time.monotonic() - began < 1
        assert {"before", "after"} <= {session.id for session in store.sessions()}
        # Whoever asks again for what was told to have failed, whether it was stored or not, gets one row.
        made = store.create_sessions([(Session("meanwhile", Pin.parse("p/m")), ())])
        assert made <= {"meanwhile"}
        assert store.session("meanwhile") == Session("meanwhile", Pin.parse("p/m"))
        # Sums that are sent again because nobody knows are added once.
        used, batch = [Usage("2026-12-01", "s", "k", "p/m", 1, 2, 3)], new_writer().after()
        with hanging(server):
            assert seconds_of(lambda: store.add_usage(used, batch), "; what was to be stored may") < 1
        for _ in range(3):
            store.add_usage(used, batch)
        assert store.usage() == [Usage("", "", "", "", 1, 2, 3)]


def test_a_name_that_is_looked_up_for_long_holds_nobody_longer_than_was_allowed(url: str) -> None:
    resolved, opened = Event(), list[float]()

    def connect(seconds: float) -> psycopg.Connection[tuple[Any, ...]]:
        opened.append(seconds)
        assert resolved.wait(30)
        return psycopg.connect(url, autocommit=True)

    line = Line(connect, b"SELECT 1", Watchdog())
    for _ in range(2):
        began = time.monotonic()
        with time_limit(0.1), pytest.raises(Silent, match=r"no answer within 0\.\d+ s"), line.use():
            pass
        assert time.monotonic() - began < 5
    resolved.set()
    with line.use() as connection:
        assert connection.execute("SELECT 2").fetchone() == (2,)
    assert len(opened) == 1, "the second waited for the connection of the first"
    line.close()


def test_a_call_under_way_does_not_keep_the_store_from_being_closed(server: dict[str, str], url: str) -> None:
    store = PostgresStore(url)
    assert not store.sessions()
    with hanging(server):
        failed: list[StoreError] = []

        def wait() -> None:
            with time_limit(60):
                try:
                    store.sessions()
                except StoreError as error:
                    failed.append(error)

        thread = Thread(target=wait)
        thread.start()
        while not store._reader._lock.locked():
            time.sleep(0.001)
        began = time.monotonic()
        store.close()
        thread.join(10)
        assert time.monotonic() - began < 2
    assert len(failed) == 1


def test_connections_that_the_server_ended_are_replaced_before_anything_is_sent(url: str) -> None:
    with PostgresStore(url) as store:
        add(store, "s0")
        assert store.sessions()
        files = len(list(Path("/proc/self/fd").iterdir()))
        for number in range(1, 4):
            end_connections(url)
            add(store, f"s{number}")
            assert len(store.sessions()) == number + 1
            lease = store.lease(f"l{number}", "me", 5.0)
            assert lease is not None
        assert len(list(Path("/proc/self/fd").iterdir())) <= files + 2, "one more connection, for leases"


def test_a_connection_that_became_read_only_is_replaced(url: str) -> None:
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with PostgresStore(url) as store, psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
        end_connections(url)
        for _ in range(2):
            with pytest.raises(StoreError, match="read-only transaction"):
                add(store, "s")
        with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off") as writer:
            writer.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
        with suppress(StoreError):
            add(store, "s")
        add(store, "t")
        assert "t" in {session.id for session in store.sessions()}


def test_of_several_servers_the_one_that_can_be_written_is_used(server: dict[str, str], url: str) -> None:
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("CREATE ROLE reader SUPERUSER LOGIN")
        admin.execute("ALTER ROLE reader SET default_transaction_read_only = on")
    nowhere = f"{server['host']}/nowhere"
    with PostgresStore(f"postgresql://{server['user']}@/{name}?host={nowhere},{server['host']}") as store:
        add(store, "s")
    with pytest.raises(StoreError, match="read-only"):
        PostgresStore(f"postgresql://reader@/{name}?host={nowhere},{server['host']}")
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("DROP ROLE reader")
