"""A server for all tests, a new database for each."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

ROOT = Path(__file__).parents[2]
_numbers = count(1)
# The suite's modules import each other by name, and so do the processes that they start.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def server() -> Iterator[dict[str, str]]:
    """How the server is reached, as libpq's parameters."""
    python = ROOT / ".venv-postgres" / "bin" / "python"
    # A socket's path must be short: not in pytest's own directory.
    with tempfile.TemporaryDirectory(prefix="hf-pg-") as folder:
        command = [str(python), str(Path(__file__).with_name("server.py")), f"{folder}/data"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url, "the server did not start; make test-postgres sets it up"
            yield {name: str(value) for name, value in conninfo_to_dict(url).items() if value}
            process.stdin.close()
            process.wait(timeout=30)


@pytest.fixture
def url(server: dict[str, str]) -> Iterator[str]:
    """A new database, as a home's configuration would name it."""
    name = f"holdfast_{next(_numbers)}"
    with psycopg.connect(**server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        yield f"postgresql://{server['user']}@/{name}?host={server['host']}"
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def direct(url: str) -> str:
    """The database as its administrator reaches it."""
    return url
