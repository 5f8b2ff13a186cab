"""One of several processes on one store; started by `test_processes.py` as `child.py JOB STATE [ARG]`, starts
on a line of its stdin."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from holdfast.core.changes import Cooldown, CooldownStarted, KeyFailed
from holdfast.core.errors import StoreError
from holdfast.core.faults import Fault, FaultClass, Scope
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.store import StaleSession, sqlite
from holdfast.store.journal_events import Event, SessionResumed
from holdfast.store.sqlite import SqliteStore

URL = "https://plan.example/v1"
FAULT = Fault(FaultClass.AUTH_REJECTED, Scope.KEY)


def say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def wait_for_go() -> None:
    say_ready()
    sys.stdin.readline()


def upserts(state: Path, arg: str) -> None:
    """250 changes of rows of its own, of a row that all share, and of a session that all count up."""
    with SqliteStore(state) as store:
        wait_for_go()
        for number in range(250):
            store.apply(
                [
                    KeyFailed(f"{arg}-{number}", URL, FaultClass.AUTH_REJECTED, 1.0),
                    KeyFailed("shared", URL, FaultClass.AUTH_REJECTED, float(number)),
                ],
                1.0,
            )
            if number % 5 == 0:
                store.record([Event(1.0, SessionResumed(), f"s{arg}")])
                _count_up(store)


def _count_up(store: SqliteStore) -> None:
    while True:
        session = store.session("shared")
        assert session is not None
        try:
            return store.save_session(
                session.choose(Pin.parse(f"p/{session.version + 1}"), 1.0), session.version
            )
        except StaleSession:
            continue


def alone(state: Path, arg: str) -> None:
    """Take the lease 20 times; while it is held, a file exists that no other process may find."""
    mark = state.with_name("somebody-is-in")
    with SqliteStore(state) as store:
        wait_for_go()
        turns, last = 0, 0
        while turns < 20:
            lease = store.lease("one", arg, 30)
            if lease is None:
                time.sleep(0.0005)
                continue
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            assert lease.fence > last
            last, turns = lease.fence, turns + 1
            time.sleep(0.001)
            mark.unlink()
            store.release(lease)


def until_killed(state: Path, arg: str) -> None:
    """Holds a lease and writes pairs until somebody kills it."""
    with SqliteStore(state) as store:
        store.lease("refresh", "the dead", float(arg))
        say_ready()
        number = 0
        while True:
            number += 1
            cooldown = Cooldown(f"key:{number}@{URL}", 9e9, 1.0, 1, FAULT)
            store.apply(
                [KeyFailed(str(number), URL, FaultClass.AUTH_REJECTED, 1.0), CooldownStarted(cooldown)], 1.0
            )


def first_start(state: Path, arg: str) -> None:
    """Opens a store that is not there yet."""
    wait_for_go()
    with SqliteStore(state) as store:
        store.save_session(Session(f"s{arg}", Pin.parse("p/m")), None)


def migrates(state: Path, arg: str) -> None:
    """Knows two more schema steps, slow ones that cannot be done twice."""
    slow = (
        "INSERT INTO done SELECT count(*) FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
        "FROM n WHERE i < 200000) SELECT i FROM n)"
    )
    sqlite.MIGRATIONS = (
        *sqlite.MIGRATIONS,
        ("CREATE TABLE done (number BIGINT)", slow),
        ("ALTER TABLE done ADD COLUMN more TEXT",),
    )
    wait_for_go()
    with SqliteStore(state) as store:
        store.save_session(Session(f"s{arg}", Pin.parse("p/m")), None)


def forks(state: Path, arg: str) -> None:
    """Forks with an open store while another thread writes; parent and child both go on."""
    with SqliteStore(state) as store:
        store.save_session(Session("before", Pin.parse("p/m")), None)
        inherited = (store._writer, store._reader)
        with (
            store._writing,
            store._reading,
        ):  # as that thread would hold them: in the child no thread is left to release them
            child = os.fork()
        if child == 0:
            try:
                store.save_session(Session("child", Pin.parse("p/m")), None)
                assert not {store._writer, store._reader} & set(inherited)
                store.close()
                os._exit(0)
            except (AssertionError, StoreError):
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        store.save_session(Session("parent", Pin.parse("p/m")), None)
        assert {session.id for session in store.sessions()} == {"before", "child", "parent"}


def forks_beside_a_writer(state: Path, arg: str) -> None:
    """Forks while another thread is inside SQLite, whose own locks that thread may hold."""
    inside = threading.Event()
    with SqliteStore(state) as store:

        def write() -> None:
            with store._write():
                inside.set()
                time.sleep(0.2)
                inside.clear()

        for _ in range(3):
            thread = threading.Thread(target=write)
            thread.start()
            inside.wait()
            child = os.fork()
            if child == 0:
                os._exit(inside.is_set())
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            thread.join()


JOBS: dict[str, Callable[[Path, str], None]] = {
    job.__name__: job
    for job in (upserts, alone, until_killed, first_start, migrates, forks, forks_beside_a_writer)
}

if __name__ == "__main__":
    JOBS[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
