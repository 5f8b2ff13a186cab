"""Several processes on one file: nothing is lost, one acts alone, the dead do no harm."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from children import Popen
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.store.migrations import MIGRATIONS
from holdfast.store.sqlite import SqliteStore, steps_taken

CHILD = Path(__file__).with_name("child.py")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "home" / "state.db"


class Children:
    """Child processes that wait until all of them are ready, and are gone when the test is."""

    def __init__(self) -> None:
        self.running: list[subprocess.Popen[str]] = []

    def start(self, job: str, state: Path, *args: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(CHILD), job, str(state), *args]
        child = Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.running.append(child)
        return child

    def together(self, job: str, state: Path, count: int) -> None:
        """Run `count` of them at the same time; each must end well."""
        children = [self.start(job, state, str(number)) for number in range(count)]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
        for child in children:
            _, errors = child.communicate(timeout=40)
            assert child.returncode == 0, errors


@pytest.fixture
def children() -> Iterator[Children]:
    children = Children()
    yield children
    for child in children.running:
        child.kill()
        child.communicate()


def test_four_processes_write_a_thousand_changes_and_lose_none(state: Path, children: Children) -> None:
    with SqliteStore(state) as store:
        store.save_session(Session("shared", Pin.parse("p/0")), None)
        before = store.revision()
        children.together("upserts", state, 4)
        evidence = {row.fingerprint: row.last_fault_at for row in store.evidence()}
        assert len(evidence) == 4 * 250 + 1
        assert evidence["shared"] == 249.0
        assert len(store.journal(limit=1000)) == 200
        counted = store.session("shared")
        assert counted is not None
        assert (counted.version, str(counted.pin)) == (200, "p/200")
        assert store.revision() == (before.number + 1200, before.epoch)


def test_a_lease_is_held_by_one_process_at_a_time(state: Path, children: Children) -> None:
    children.together("alone", state, 4)
    with SqliteStore(state) as store:
        assert store.holder("one") is None
        lease = store.lease("one", "last", 1)
        assert lease is not None
        assert lease.fence == 81


def test_a_process_killed_in_the_middle_leaves_a_whole_store_and_its_lease_ends(
    state: Path, children: Children
) -> None:
    ttl = 1.0
    child = children.start("until_killed", state, str(ttl))
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    with SqliteStore(state) as store:
        held = store.holder("refresh")
        time.sleep(0.2)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        assert held is not None
        assert store.lease("refresh", "the living", 5) is None
        written = {row.fingerprint for row in store.evidence()}
        assert len(written) > 10
        assert {cooldown.subject for cooldown in store.cooldowns()} == {
            f"key:{name}@https://plan.example/v1" for name in written
        }
        time.sleep(max(0.0, held.until - time.time()) + 0.01)
        lease = store.lease("refresh", "the living", 5)
        assert lease is not None
        assert lease.fence == held.fence + 1
    with closing(sqlite3.connect(state)) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_processes_that_start_at_once_make_one_store(state: Path, children: Children) -> None:
    children.together("first_start", state, 4)
    with SqliteStore(state) as store:
        assert {session.id for session in store.sessions()} == {"s0", "s1", "s2", "s3"}
    assert [path.name for path in state.parent.iterdir()] == ["state.db"]


def test_processes_that_migrate_at_once_do_each_step_once(state: Path, children: Children) -> None:
    SqliteStore(state).close()
    children.together("migrates", state, 3)
    with closing(sqlite3.connect(state)) as plain:
        assert plain.execute("SELECT number, more FROM done").fetchall() == [(200000, None)]
        assert steps_taken(plain) == len(MIGRATIONS) + 2
        assert plain.execute("SELECT count(*) FROM session").fetchone() == (3,)


def test_a_forked_child_goes_on_with_connections_of_its_own(state: Path, children: Children) -> None:
    child = children.start("forks", state, "")
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 0, errors


def test_no_thread_is_inside_the_store_while_its_process_forks(state: Path, children: Children) -> None:
    """SQLite's own locks would stay held in the child, which then waits for ever to open the store."""
    child = children.start("forks_beside_a_writer", state, "")
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 0, errors
