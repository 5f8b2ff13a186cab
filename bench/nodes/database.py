"""The PostgreSQL server of the benchmark: its CPU time, and the statements that it was sent."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from ..gateway import cache

_PROGRAM = Path(__file__).parents[2] / "suites" / "postgres" / "server.py"
_TICK = float(os.sysconf("SC_CLK_TCK"))
_STATEMENT = re.compile(r"LOG:  (?:statement|execute [^:]*): (.*)")
_KINDS = {
    "new session": re.compile(r"INSERT INTO session"),
    "journal": re.compile(r"INSERT INTO journal|COPY journal"),
    "usage": re.compile(r"INSERT INTO usage"),
    "kept key": re.compile(r"UPDATE session SET kept_key"),
    "look for a session": re.compile(r"SELECT id, pin, .* FROM session"),
    "look for objects": re.compile(r"SELECT id, session, .* FROM account_object"),
    "poll for changes": re.compile(r"FROM counter AS seq"),
    "tokens": re.compile(r" (token|begun) "),
    "transaction": re.compile(r"BEGIN|COMMIT|ROLLBACK"),
}
"""The statements of a gateway, each by the first text that is found in it."""


class Database:
    """A server that runs, reached by `parameters`; `folder` holds its files."""

    def __init__(self, folder: Path, parameters: dict[str, str]) -> None:
        self._folder, self._parameters = folder, parameters

    def create(self, name: str) -> str:
        """Make a new database. Return it as a home's configuration names it."""
        self._run(f"CREATE DATABASE {name}")
        return f"postgresql://{self._parameters['user']}@/{name}?host={self._parameters['host']}"

    def drop(self, name: str) -> None:
        """Remove a database, and write what is behind to the disk, so that the next one is not charged."""
        self._run(f"DROP DATABASE {name} WITH (FORCE)")
        self._run("CHECKPOINT")

    def cpu(self) -> float:
        """Return the seconds that all processes of the server have worked, also those that have ended."""
        first = int((self._folder / "postmaster.pid").read_text("ascii").split()[0])
        ticks = sum(_fields(first)[11:15])
        for child in Path(f"/proc/{first}/task/{first}/children").read_text("ascii").split():
            try:
                ticks += sum(_fields(int(child))[11:13])
            except FileNotFoundError:  # it has just ended
                continue
        return ticks / _TICK

    def written(self) -> int:
        """Return the bytes of log that the server has written since its start."""
        ((position,),) = self._run("SELECT CAST(pg_current_wal_lsn() - '0/0' AS bigint)")
        return int(position)

    @contextmanager
    def statements(self) -> Iterator[Counter[str]]:
        """Count the statements that are sent meanwhile, by kind. It costs the server time."""
        log, sent = self._folder / "log", Counter[str]()
        self._log_statements("all")
        begin = log.stat().st_size
        yield sent
        time.sleep(0.2)
        self._log_statements("none")
        with log.open("rb") as lines:
            lines.seek(begin)
            sent.update(kinds(lines.read().decode("utf-8", "replace")))

    def _log_statements(self, which: str) -> None:
        self._run(f"ALTER SYSTEM SET log_statement = '{which}'")
        self._run("SELECT pg_reload_conf()")
        time.sleep(0.2)  # every backend reads it by itself

    def _run(self, statement: str) -> list[tuple[int]]:
        with psycopg.connect(**self._parameters, autocommit=True) as admin:  # type: ignore[arg-type]
            cursor = admin.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


def kinds(log: str) -> Counter[str]:
    """Return how many statements of each kind a log of the server has; its own administration is left out."""
    counted: Counter[str] = Counter()
    for text in _STATEMENT.findall(log):
        if text.startswith(("ALTER SYSTEM", "SELECT pg_")):
            continue
        kind = next((name for name, pattern in _KINDS.items() if pattern.search(text)), "other")
        counted[kind] += 1
    return counted


def _fields(pid: int) -> list[int]:
    """Return the fields of /proc/PID/stat from the state on; the state itself as 0."""
    text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    return [0, *map(int, text.rpartition(")")[2].split()[1:])]


@contextmanager
def database() -> Iterator[Database]:
    """Run a server of its own until the block ends. Raises `cache.NotInstalled`."""
    python = cache.environment_of("postgres") / "bin" / "python"
    # The path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="hf-pg-") as folder:
        command = [str(python), str(_PROGRAM), f"{folder}/data"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise cache.NotInstalled("PostgreSQL did not start")
            parameters = {name: str(value) for name, value in conninfo_to_dict(url).items() if value}
            try:
                yield Database(Path(folder) / "data", parameters)
            finally:
                process.stdin.close()
                process.wait(timeout=30)
