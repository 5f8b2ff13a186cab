"""The store in PostgreSQL keeps the contract of every store, also for several processes and when its server
goes away."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import jobs
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

import holdfast
from holdfast.core.errors import StoreError
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.store.base import Store, StoreAway
from holdfast.store.batch import new_writer
from holdfast.store.contract import DurableStoreContract
from holdfast.store.journal_events import Event, SessionCreated
from holdfast.store.migrations import MIGRATIONS, READABLE_BY, SCHEMA
from holdfast.store.opening import open_store
from holdfast.store.postgres import PostgresStore
from holdfast.store.usage import Usage

PROCESSES = 4


class TestPostgres(DurableStoreContract):
    @pytest.fixture(autouse=True)
    def place(self, url: str) -> None:
        self.url = url

    def open_store(self, clock: Callable[[], float]) -> Store:
        return PostgresStore(self.url, clock=clock)


def _together(job: Callable[[str, int], Any], url: str, count: int = PROCESSES) -> list[Any]:
    with ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(job, [url] * count, range(count)))


def test_processes_that_write_at_once_lose_nothing(url: str) -> None:
    with PostgresStore(url) as store:
        store.save_session(Session("shared", Pin.parse("p/0")), None)
        _together(jobs.count_up, url)
        assert len(store.evidence()) == len(store.journal(limit=1_000)) == PROCESSES * jobs.ROUNDS
        counted = store.session("shared")
        assert counted is not None
        assert (counted.version, str(counted.pin)) == (
            PROCESSES * jobs.ROUNDS,
            f"p/{PROCESSES * jobs.ROUNDS}",
        )


def test_a_lease_is_held_by_one_process_at_a_time(url: str) -> None:
    held = _together(jobs.act_alone, url)
    with PostgresStore(url) as store:
        lease = store.lease("one", "last", 1.0)
        assert lease is not None
        assert lease.fence == sum(held) + 1


def test_processes_that_start_at_once_make_one_schema(url: str) -> None:
    _together(jobs.start, url)
    with PostgresStore(url) as store, psycopg.connect(url) as plain:
        assert {session.id for session in store.sessions()} == {f"s{number}" for number in range(PROCESSES)}
        assert plain.execute("SELECT count(*) FROM holdfast_schema").fetchall() == [(READABLE_BY,)]
        assert store.claim(SCHEMA, "none") == str(len(MIGRATIONS))


def test_a_forked_child_goes_on_with_connections_of_its_own(url: str) -> None:
    assert _together(jobs.fork, url, 1) == [0]


def test_a_store_of_a_newer_version_is_left_alone(url: str) -> None:
    PostgresStore(url).close()
    with psycopg.connect(url, autocommit=True) as plain:
        plain.execute("INSERT INTO holdfast_schema (number) SELECT generate_series(6, 99)")
    with pytest.raises(StoreError, match="newer Holdfast"):
        PostgresStore(url)


def test_a_role_that_may_make_no_table_uses_those_that_are_there(server: dict[str, str], url: str) -> None:
    name = f"guest_{conninfo_to_dict(url)['dbname']}"
    guest = url.replace(f"{server['user']}@", f"{name}@")
    with PostgresStore(url) as store, psycopg.connect(url, autocommit=True) as admin:
        store.save_session(Session("s", Pin.parse("p/m")), None)
        admin.execute(f"CREATE ROLE {name} LOGIN".encode())
        with pytest.raises(StoreError, match="permission denied"):
            PostgresStore(guest)
        admin.execute(
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}".encode()
        )
        with PostgresStore(guest) as allowed:
            allowed.save_session(Session("mine", Pin.parse("p/m")), None)
            allowed.add_usage([Usage("2026-12-01", "s", "k", "p/m", 1, 2, 3)], new_writer().after())
            allowed.record([Event(1.0, SessionCreated(), "s")], new_writer().after())
        admin.execute(f"ALTER ROLE {name} SET default_transaction_read_only = on".encode())
        with PostgresStore(guest) as reader:  # as one on a server that only follows another
            assert {session.id for session in reader.sessions()} == {"s", "mine"}
            with pytest.raises(StoreAway, match="read-only"):
                reader.save_session(Session("no", Pin.parse("p/m")), None)
        admin.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


def test_a_server_that_is_not_there_is_named_without_its_user(url: str) -> None:
    with pytest.raises(StoreError, match=r"postgresql://127\.0\.0\.1:9/db failed") as refused:
        PostgresStore("postgresql://somebody@127.0.0.1:9/db")
    assert "somebody@" not in refused.value.what


def test_a_home_remembers_in_the_database_that_its_configuration_names(url: str, tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text(
        f'[provider.p]\nurl = "http://127.0.0.1:9/v1"\nauth = "none"\n[gateway]\nstore = "{url}"\n'
    )
    with holdfast.open(tmp_path) as hf:
        hf.session("s", "p/m")
    with open_store(url, tmp_path) as store:
        assert [str(session.pin) for session in store.sessions()] == ["p/m"]
    for command, output in (
        (["session", "list"], "p/m"),
        (["why", "s"], "created on p/m"),
        (["doctor"], "the database answers"),
    ):
        ran = subprocess.run(
            [sys.executable, "-P", "-m", "holdfast", *command],
            check=False,
            env=os.environ | {"HOLDFAST_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert output in ran.stdout, f"{ran.stdout}{ran.stderr}"
    assert not (tmp_path / "state.db").exists()


def test_a_home_with_another_pepper_is_refused_and_doctor_says_so(url: str, tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("first", "second")]
    for home in homes:
        home.mkdir(mode=0o700)
        (home / "holdfast.toml").write_text(f'[gateway]\nstore = "{url}"\n')
    holdfast.open(homes[0]).close()
    with pytest.raises(StoreError, match="homes with another pepper"):
        holdfast.open(homes[1])

    def run(*command: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-P", "-m", "holdfast", *command],
            check=False,
            env=os.environ | {"HOLDFAST_HOME": str(homes[1])},
            capture_output=True,
            text=True,
        )
        return f"{ran.stdout}{ran.stderr}"

    assert "homes with another pepper" in run("doctor")
    assert "belongs to homes with this home's pepper" in run("store", "pepper", "--replace")
    holdfast.open(homes[1]).close()
    shutil.copy(homes[1] / "pepper", homes[0] / "pepper")
    holdfast.open(homes[0]).close()
