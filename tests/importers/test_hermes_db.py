"""The file of Hermes's sessions: read without a trace, healed or left exactly as it was, restored byte for
byte."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.core.errors import ConfigError, HoldfastError
from holdfast.importers import hermes_db, hermes_running
from importers.homes import CONFIG, A, B, add, billed, configs, everything, hermes_home
from importers.homes import names as listing

CHANGE = {"s1": (None, '{"provider": "custom:team-b"}')}
HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1])
connection.execute("INSERT INTO messages (session_id, role, timestamp) VALUES ('s1', 'user', 1)")
connection.commit()
print("ready", flush=True)
time.sleep(60)
"""


def fine(rows: object) -> str:
    return ""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return hermes_home(tmp_path / "hermes", CONFIG, billed("s1", B), billed("s2", A))


@pytest.fixture
def holder(home: Path) -> subprocess.Popen[str]:
    """Another program that has the file open, with a row in the write-ahead log."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home / "state.db")], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    yield child  # type: ignore[misc]
    child.kill()
    child.communicate()


def test_reading_changes_and_creates_nothing(home: Path) -> None:
    before, names = everything(home), listing(home)
    assert [row["id"] for row in hermes_db.read(home / "state.db")] == ["s1", "s2"]
    assert (everything(home), listing(home)) == (before, names)


def test_reading_works_in_a_home_that_may_not_be_written(home: Path) -> None:
    (home / "state.db").chmod(0o400)
    home.chmod(0o500)
    try:
        assert len(hermes_db.read(home / "state.db")) == 2
    finally:
        home.chmod(0o700)


def test_rows_only_in_the_write_ahead_log_are_read_and_nothing_is_touched(home: Path) -> None:
    with closing(sqlite3.connect(home / "state.db")) as writer:
        add(writer, billed("s3", B))
        before = everything(home)
        assert {row["id"] for row in hermes_db.read(home / "state.db")} == {"s1", "s2", "s3"}
        assert everything(home) == before


def test_a_home_without_sessions_has_none(tmp_path: Path) -> None:
    assert hermes_db.read(tmp_path / "state.db") == []


@pytest.mark.parametrize("content", [b"this is no database, and long enough for sqlite to say so" * 20, b""])
def test_a_file_that_is_no_database_is_reported_as_such(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.db").write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be read as Hermes's sessions"):
        hermes_db.read(tmp_path / "state.db")


def test_a_pipe_is_not_waited_for_and_a_computation_not_begun(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="is not a regular file"):
        hermes_db.read(tmp_path / "pipe")
    endless = (
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n AS id, 'm' AS model FROM t"
    )
    with closing(sqlite3.connect(tmp_path / "view.db")) as database:
        database.execute(f"CREATE VIEW sessions AS {endless}")
    with pytest.raises(ConfigError, match="no table of sessions"):
        hermes_db.read(tmp_path / "view.db")


def test_an_older_schema_is_read_by_the_columns_it_has(tmp_path: Path) -> None:
    home = hermes_home(tmp_path / "hermes", CONFIG, {"id": "s1"}, old=True)
    assert hermes_db.read(home / "state.db") == [
        {"id": "s1", "source": "tui", "model": "big", "model_config": None, "started_at": 1000.0}
    ]


def test_healing_writes_what_was_decided_and_keeps_a_private_backup_beside_the_file(home: Path) -> None:
    before = (home / "state.db").read_bytes()
    backup = hermes_db.heal(home, CHANGE, fine)
    assert configs(home) == {"s1": {"provider": "custom:team-b"}, "s2": None}
    assert (backup.parent, backup.stat().st_mode & 0o777, backup.read_bytes()) == (home, 0o600, before)


def test_undo_restores_byte_for_byte_and_once(home: Path) -> None:
    (home / "state.db").chmod(0o640)
    before = (home / "state.db").read_bytes()
    backup = hermes_db.heal(home, CHANGE, fine)
    assert hermes_db.undo(home) == (backup, ["s1"])
    assert ((home / "state.db").read_bytes(), (home / "state.db").stat().st_mode & 0o777) == (before, 0o640)
    with pytest.raises(ConfigError, match="there is no backup of ours"):
        hermes_db.undo(home)


def test_a_restore_that_a_full_disk_stops_is_reported_and_changes_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hermes_db.heal(home, CHANGE, fine)
    before = everything(home)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ConfigError, match="No space left on device; nothing was changed"):
            hermes_db.undo(home)
    assert everything(home) == before
    assert hermes_db.undo(home)[1] == ["s1"]


def test_undo_refuses_when_hermes_wrote_meanwhile(home: Path) -> None:
    hermes_db.heal(home, CHANGE, fine)
    with closing(sqlite3.connect(home / "state.db")) as connection:
        add(connection, billed("s9", A))
    before = everything(home)
    with pytest.raises(ConfigError, match="was written since it was healed"):
        hermes_db.undo(home)
    assert everything(home) == before


def test_undo_refuses_a_file_that_is_no_database_any_more(home: Path) -> None:
    hermes_db.heal(home, CHANGE, fine)
    (home / "state.db").write_bytes(b"something else" * 100)
    with pytest.raises(ConfigError, match="was written since"):
        hermes_db.undo(home)
    assert (home / "state.db").read_bytes() == b"something else" * 100


def test_a_healing_that_failed_at_its_end_leaves_the_one_before_undoable(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (home / "state.db").read_bytes()
    hermes_db.heal(home, CHANGE, fine)
    write = hermes_db.write_private

    def full(path: Path, text: str) -> None:
        write(path, text)
        raise ConfigError("No space left on device")

    monkeypatch.setattr(hermes_db, "write_private", full)
    with pytest.raises(ConfigError, match="No space"):
        hermes_db.heal(home, {"s2": (None, "{}")}, fine)
    assert hermes_db.undo(home)[1] == ["s1"]
    assert (home / "state.db").read_bytes() == before


def test_undo_refuses_a_backup_that_is_not_the_one_it_made(home: Path) -> None:
    backup = hermes_db.heal(home, CHANGE, fine)
    backup.write_bytes(b"something else")
    with pytest.raises(ConfigError, match="is not the backup that was made"):
        hermes_db.undo(home)


@pytest.mark.parametrize("proc", [True, False], ids=["told by the system", "told by the lock alone"])
def test_nothing_is_healed_while_another_program_has_the_file_open(
    home: Path, holder: subprocess.Popen[str], proc: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not proc:
        monkeypatch.setattr(hermes_running, "_pids", list)
    before, names = everything(home), listing(home)
    with pytest.raises(hermes_db.InUse, match=r"has .*state\.db open; nothing was changed") as refusal:
        hermes_db.heal(home, CHANGE, fine)
    assert (str(holder.pid) in str(refusal.value)) == proc
    assert (
        {name: content for name, content in everything(home).items() if not name.endswith("-shm")},
        listing(home),
    ) == (
        {name: content for name, content in before.items() if not name.endswith("-shm")},
        names,
    )


def test_a_gateway_that_runs_is_recognised_by_its_pid_file_and_a_dead_one_is_not(home: Path) -> None:
    (home / "gateway.pid").write_text(f'{{"pid": {os.getpid()}, "kind": "gateway"}}')
    with pytest.raises(hermes_db.InUse, match="the gateway runs"):
        hermes_db.heal(home, CHANGE, fine)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    used_again = f'{{"pid": {os.getpid()}, "start_time": 1}}'
    for text in (
        f'{{"pid": {gone.pid}}}',
        used_again,
        "rubbish",
        '{"pid": "x"}',
        '{"pid": 99999999999999999999}',
    ):
        (home / "gateway.pid").write_text(text)
        assert hermes_running.running(home) == ""


def test_what_a_killed_hermes_left_in_its_log_is_healed_too(
    home: Path, holder: subprocess.Popen[str]
) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (home / "state.db-wal").stat().st_size
    hermes_db.heal(home, CHANGE, fine)
    with closing(sqlite3.connect(home / "state.db")) as connection:
        assert connection.execute("SELECT count(*) FROM messages").fetchone() == (1,)
    assert configs(home)["s1"] == {"provider": "custom:team-b"}


@pytest.mark.parametrize(
    ("changes", "check", "message"),
    [
        ({**CHANGE, "s2": ("{}", "{}")}, fine, "session s2 has changed meanwhile"),
        ({**CHANGE, "gone": (None, "{}")}, fine, "session gone has changed meanwhile"),
        (
            CHANGE,
            lambda rows: "session s1 would not resume",
            "session s1 would not resume; nothing was changed",
        ),
    ],
)
def test_healing_happens_wholly_or_not_at_all(
    home: Path, changes: dict[str, tuple[str | None, str]], check: object, message: str
) -> None:
    before, names = (home / "state.db").read_bytes(), listing(home)
    with pytest.raises(HoldfastError, match=message) as refusal:
        hermes_db.heal(home, changes, check)  # type: ignore[arg-type]
    assert (refusal.value.next_step or "").startswith(f"holdfast heal hermes --home {home}")
    assert ((home / "state.db").read_bytes(), listing(home)) == (before, names)


def test_a_home_without_room_for_a_backup_is_not_repaired(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    before = (home / "state.db").read_bytes()
    monkeypatch.setattr(hermes_db, "_backup", full)
    with pytest.raises(ConfigError, match="No space left on device; nothing was changed"):
        hermes_db.heal(home, CHANGE, fine)
    assert (home / "state.db").read_bytes() == before


def test_a_linked_database_is_healed_where_it_stands(home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (home / "state.db").rename(elsewhere / "real.db")
    (home / "state.db").symlink_to(elsewhere / "real.db")
    assert hermes_db.heal(home, CHANGE, fine).parent == elsewhere
    assert (home / "state.db").is_symlink()
    assert configs(home)["s1"] == {"provider": "custom:team-b"}
    hermes_db.undo(home)
    assert (home / "state.db").is_symlink()
    assert configs(home)["s1"] is None


@pytest.mark.parametrize("on", ["sessions", "SESSIONS"])
def test_a_table_whose_changes_change_something_else_is_not_healed(home: Path, on: str) -> None:
    with closing(sqlite3.connect(home / "state.db")) as connection:
        connection.execute(f"CREATE TRIGGER watch AFTER UPDATE ON {on} BEGIN DELETE FROM messages; END")
    before = everything(home)
    with pytest.raises(ConfigError, match=r"trigger 'watch'.*nothing was changed"):
        hermes_db.heal(home, CHANGE, fine)
    assert everything(home) == before
