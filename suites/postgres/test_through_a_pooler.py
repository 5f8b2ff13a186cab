"""PgBouncer in transaction mode may stand between: each transaction then has another connection to the
server. No change is missed, leases and sums are exact."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from programs import pooler, pooler_program
from test_many_writers import (
    test_a_lease_goes_by_the_clock_of_the_database,
    test_a_reader_misses_no_change_of_writers_whose_commits_come_at_any_time,
    test_a_reader_that_is_cut_off_again_and_again_ends_with_what_the_tables_hold,
    test_sums_that_many_writers_add_to_at_once_are_exact,
    test_two_gateways_that_make_one_session_at_once_agree_on_its_pin,
    test_what_takes_no_number_waits_for_nobody_who_takes_one,
)
from test_postgres import TestPostgres as ContractInPostgres

PROGRAM = pooler_program()
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="NOT DONE: PgBouncer was not put in front, since it is not installed"
)
__all__ = [
    "test_a_lease_goes_by_the_clock_of_the_database",
    "test_a_reader_misses_no_change_of_writers_whose_commits_come_at_any_time",
    "test_a_reader_that_is_cut_off_again_and_again_ends_with_what_the_tables_hold",
    "test_sums_that_many_writers_add_to_at_once_are_exact",
    "test_two_gateways_that_make_one_session_at_once_agree_on_its_pin",
    "test_what_takes_no_number_waits_for_nobody_who_takes_one",
]
_numbers = count(1)


@pytest.fixture(scope="module")
def pooled(server: dict[str, str]) -> Iterator[str]:
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(prefix="hf-pb-") as folder:
        owner = Path(server["host"], "postmaster.pid").stat()
        os.chown(folder, owner.st_uid, owner.st_gid)
        with pooler(PROGRAM, Path(folder), server) as address:
            yield address


@pytest.fixture
def url(server: dict[str, str], pooled: str) -> Iterator[str]:
    """A new database, behind the pooler."""
    name = f"pooled_{next(_numbers)}"
    with psycopg.connect(**server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        yield f"postgresql://{server['user']}@/{name}?{pooled}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def direct(server: dict[str, str], url: str) -> str:
    """The same database without the pooler."""
    return f"{url.partition('?')[0]}?host={server['host']}"


if os.environ.get("POOLED") == "all":

    class TestThroughAPooler(ContractInPostgres):
        """The whole contract, which takes as long as without the pooler."""
