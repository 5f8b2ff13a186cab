"""The state file: made whole, recognised, never replaced, and every problem reported with its path and the
command."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.core.errors import StoreError
from holdfast.core.identity import Pin
from holdfast.core.session import ActiveFallback, Session
from holdfast.distribution import update_command
from holdfast.store import StaleSession, dbfile, migrations, sql, sqlite
from holdfast.store.base import StoreAway
from holdfast.store.dbfile import set_aside
from holdfast.store.journal_events import Event, SessionCreated, UnknownEvent
from holdfast.store.memory import MemoryStore
from holdfast.store.sqlite import SqliteStore
from holdfast.store.time_limit import time_limit
from holdfast.store.token import Token

INTO = f"INSERT INTO session ({', '.join(sql.SESSION_COLUMNS)}) VALUES"
SESSION = Session("s", Pin.parse("p/m"))
EVENT = Event(1.0, SessionCreated(), "s")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "home" / "state.db"


@pytest.fixture
def filled(state: Path) -> Path:
    """A store with content, closed."""
    with SqliteStore(state) as store:
        store.save_session(SESSION, None)
        store.record([EVENT] * 500)
    return state


def move(path: Path, to: Path) -> None:
    """Move a database with what lies beside it."""
    for name in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + name).replace(to.with_name(to.name + name))


def edit(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as plain, plain:
        for statement in statements:
            plain.execute(statement)


def test_the_file_is_for_its_owner_alone_and_so_is_its_directory(state: Path) -> None:
    before = os.umask(0)
    try:
        with SqliteStore(state) as store:
            store.record([EVENT])
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}
    assert stat.S_IMODE(state.parent.stat().st_mode) == 0o700


def test_a_path_with_signs_that_mean_something_in_a_uri_is_taken_as_it_is(tmp_path: Path) -> None:
    state = tmp_path / "a b?mode=memory&x=%41#ü" / "state.db"
    with SqliteStore(state) as store:
        store.save_session(SESSION, None)
    assert [path.name for path in state.parent.iterdir()] == ["state.db"]


@pytest.mark.parametrize("pins", ["p/m", '["p/m", 7]', '["no pin"]', "{}7"])
def test_a_token_whose_limits_cannot_be_read_is_good_for_nothing(filled: Path, pins: str) -> None:
    with SqliteStore(filled) as store:
        store.add_token(Token("t", "hash", "laptop", pins=(Pin.parse("p/m"),)))
        edit(filled, f"UPDATE token SET pins = '{pins}'")
        assert store.tokens() == []
        assert store.token("t") is None
        assert store.revoke_token("t") is True


def foreign_database(path: Path) -> None:
    edit(path, "CREATE TABLE session (id TEXT)", "PRAGMA user_version = 1")


def newer_schema(path: Path) -> None:
    SqliteStore(path).close()
    edit(path, f"PRAGMA user_version = {len(migrations.MIGRATIONS) + 8}")


def truncated(path: Path) -> None:
    SqliteStore(path).close()
    os.truncate(path, path.stat().st_size // 2 + 7)


def header_only(path: Path) -> None:
    SqliteStore(path).close()
    os.truncate(path, 60)


def page_overwritten(path: Path) -> None:
    SqliteStore(path).close()
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xa5" * 3900)


@pytest.mark.parametrize(
    ("put", "message"),
    [
        pytest.param(foreign_database, "another program", id="a foreign database"),
        pytest.param(
            newer_schema, r"newer Holdfast: it has schema \d+, this version knows \d+", id="a newer schema"
        ),
        pytest.param(
            lambda path: path.write_bytes(b"no database, but long enough to be one\n" * 9),
            "not a database",
            id="a text file",
        ),
        pytest.param(lambda path: path.write_bytes(b""), "cut off: it has 0 bytes", id="an empty file"),
        pytest.param(header_only, "cut off: it has 60 bytes", id="half a header"),
        pytest.param(truncated, "damaged", id="half a database"),
        pytest.param(page_overwritten, "damaged", id="a page overwritten"),
        pytest.param(lambda path: path.mkdir(), "directory", id="a directory"),
        pytest.param(
            lambda path: path.with_name("state.db-wal").write_bytes(b"changes"),
            "is gone, but state.db-wal",
            id="only the log is left",
        ),
    ],
)
def test_what_is_no_store_of_ours_is_refused_by_name_and_left_as_it_was(
    state: Path, put: Callable[[Path], object], message: str
) -> None:
    state.parent.mkdir()
    put(state)
    before = {path: path.read_bytes() for path in state.parent.iterdir() if path.is_file()}
    with pytest.raises(StoreError, match=message) as error, SqliteStore(state) as store:
        store.sessions()
    assert str(state) in str(error.value)
    assert error.value.next_step in {"holdfast doctor", update_command()}
    assert {path: path.read_bytes() for path in before} == before


def test_damage_that_shows_later_is_reported_when_it_is_met(filled: Path) -> None:
    size = filled.stat().st_size
    with filled.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    with pytest.raises(StoreError, match="damaged"), SqliteStore(filled) as store:
        store.sessions()


def test_set_aside_moves_the_store_with_all_it_has_and_overwrites_nothing(filled: Path) -> None:
    log = filled.with_name("state.db-wal")
    log.write_bytes(b"log")
    first = set_aside(filled)
    assert sorted(path.name for path in filled.parent.iterdir()) == [
        "state.db.aside-1",
        "state.db.aside-1-wal",
    ]
    with SqliteStore(filled) as store:
        assert store.sessions() == []
    second = set_aside(filled)
    first.with_name(first.name + "-wal").unlink()
    with SqliteStore(first) as store:
        assert [session.id for session in store.sessions()] == ["s"]
    assert first != second


def test_set_aside_that_cannot_be_done_says_so(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StoreError, match="cannot be moved aside: Permission denied"):
        set_aside(filled)


def test_a_file_system_without_hard_links_gets_its_store_too(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with SqliteStore(state) as store:
        store.save_session(SESSION, None)
    assert [path.name for path in state.parent.iterdir()] == ["state.db"]


def test_of_two_that_make_the_file_at_once_the_second_takes_the_first_ones(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = sqlite._build

    def while_another_is_faster(path: Path) -> None:
        monkeypatch.setattr(sqlite, "_build", build)
        with SqliteStore(state) as first:
            first.save_session(SESSION, None)
        build(path)

    monkeypatch.setattr(sqlite, "_build", while_another_is_faster)
    with SqliteStore(state) as second:
        assert second.session("s") == SESSION
    assert [path.name for path in state.parent.iterdir()] == ["state.db"]


def test_a_store_that_cannot_be_made_leaves_nothing_half_made(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sqlite, "MIGRATIONS", (*migrations.MIGRATIONS, ("CREATE TABLE half (a TEXT)", "no sql"))
    )
    with pytest.raises(StoreError, match="syntax error"):
        SqliteStore(state)
    assert list(state.parent.iterdir()) == []


def test_a_store_that_vanishes_while_it_is_opened_is_not_made_anew(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.parent.mkdir()
    monkeypatch.setattr(sqlite, "ensure", lambda path, build: None)
    with pytest.raises(StoreError, match="cannot be written"):
        SqliteStore(state)
    assert list(state.parent.iterdir()) == []


def test_a_file_that_takes_the_place_of_the_open_one_is_the_store_from_then_on(
    filled: Path, tmp_path: Path
) -> None:
    with SqliteStore(tmp_path / "copy.db") as copy:
        copy.save_session(replace(SESSION, id="copied"), None)
    with SqliteStore(filled) as store:
        before = store.revision()
        move(filled, tmp_path / "former.db")
        move(tmp_path / "copy.db", filled)
        for _ in range(2):
            assert [session.id for session in store.sessions()] == ["copied"]
        assert not store.revision().continues(before), "all that was read before is read again"
        store.save_session(replace(SESSION, id="new"), None)
        with SqliteStore(filled) as other:
            assert other.session("new") is not None


def test_a_backup_is_not_mixed_with_the_log_of_the_file_that_it_replaces(
    filled: Path, tmp_path: Path
) -> None:
    with SqliteStore(filled) as store:
        store.save_session(replace(SESSION, id="old"), None)
        store.record([EVENT] * 2_000)
        with SqliteStore(tmp_path / "copy.db") as copy:
            copy.save_session(replace(SESSION, id="copied"), None)
        (tmp_path / "copy.db").replace(filled)
        for call in (store.sessions, lambda: store.record([EVENT])):
            with pytest.raises(
                StoreAway, match=r"state\.db-wal of the file before[\s\S]+run: rm "
            ) as refused:
                call()
        for name in refused.value.next_step.split()[1:]:
            Path(name).unlink()
        assert [session.id for session in store.sessions()] == ["copied"]
        store.record([EVENT])
    with closing(sqlite3.connect(filled)) as plain:
        assert plain.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_store_that_was_moved_away_is_away_until_a_file_is_there(filled: Path, tmp_path: Path) -> None:
    with SqliteStore(filled) as store:
        revision = store.revision()
        move(filled, tmp_path / "moved.db")
        for call in (store.sessions, store.revision, lambda: store.record([EVENT])):
            with pytest.raises(StoreAway, match=r"is gone: it was moved or deleted[\s\S]+holdfast token new"):
                call()
        assert store.glance() is None, "no event loop waits for what follows"
        filled.touch()
        with pytest.raises(StoreAway, match="is cut off: it has 0 bytes"):
            store.sessions()
        move(tmp_path / "moved.db", filled)
        assert [session.id for session in store.sessions()] == ["s"]
        assert store.revision() == store.glance() == revision
    filled.unlink()
    with pytest.raises(StoreError):
        store.sessions()
    assert not filled.exists(), "a store that was closed makes no file"


def test_a_migration_that_fails_leaves_the_schema_before_it(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sqlite, "MIGRATIONS", (*migrations.MIGRATIONS, ("CREATE TABLE half (a TEXT)", "no sql"))
    )
    with pytest.raises(StoreError, match="syntax error"):
        SqliteStore(filled)
    monkeypatch.undo()
    with SqliteStore(filled) as store:
        assert store.session("s") == SESSION
        assert store._read("SELECT count(*) FROM sqlite_master WHERE name = 'half'", {}) == [(0,)]


def test_a_store_of_a_version_without_numbers_goes_on_as_it_was_and_that_version_beside_it(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what a version knows that has five steps is used for its part."""
    with monkeypatch.context() as older:
        older.setattr(sqlite, "MIGRATIONS", migrations.MIGRATIONS[: migrations.READABLE_BY])
        SqliteStore(state).close()
    edit(
        state,
        f"{INTO} ('s', 'p/m', 'eu', 'q/n', '429 on every key', 9e9, 'a', 1.0, 2.0, 7, '[\"p/old\"]')",
        "INSERT INTO evidence VALUES ('f', 'u', 1.0, 2.0, 'auth_rejected', 3.0)",
        "INSERT INTO token (id, hash, label, created_at) VALUES ('t', 'hash', 'laptop', 1.0)",
    )
    chosen = Session(
        "s",
        Pin.parse("p/m"),
        key="eu",
        active_fallback=ActiveFallback(Pin.parse("q/n"), "429 on every key", 9e9),
        kept_key="a",
        created_at=1.0,
        changed_at=2.0,
        version=7,
        former=(Pin.parse("p/old"),),
    )
    with SqliteStore(state) as store, closing(sqlite3.connect(state, isolation_level=None)) as older_one:
        assert store.session("s") == chosen
        assert [(known.last_ok, known.last_fault_at) for known in store.evidence()] == [(2.0, 3.0)]
        assert [token.id for token in store.tokens()] == ["t"]
        (needed,) = older_one.execute("PRAGMA user_version").fetchone()
        assert needed == migrations.READABLE_BY, "the older version opens it"
        before = store.revision()
        older_one.execute(
            "INSERT INTO evidence (fingerprint, url, first_ok, last_ok) VALUES ('g', 'u', 4, 4)"
        )
        older_one.execute("UPDATE counter SET value = value + 1 WHERE name = 'revision'")
        assert not store.revision().continues(before), "everything is read again"
        store.remove_session("s")
        assert older_one.execute("SELECT id FROM session WHERE id = 's'").fetchall() == []
        store.save_session(Session("s", Pin.parse("q/m")), None)
        assert older_one.execute("SELECT pin FROM session WHERE id = 's'").fetchall() == [("q/m",)]


@pytest.fixture
def powerless() -> Iterator[Path]:
    """A directory that we may read and not write, also as root."""
    folder = Path(tempfile.mkdtemp())
    SqliteStore(folder / "state.db").close()
    (folder / "state.db").chmod(0o444)
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield folder
    if is_root:
        os.seteuid(0)
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.mark.parametrize("name", ["state.db", "new.db", "deeper/state.db"])
def test_a_directory_that_cannot_be_written_is_reported_with_its_path(powerless: Path, name: str) -> None:
    with pytest.raises(StoreError, match=re.escape(f"{powerless / name}")) as error:
        SqliteStore(powerless / name)
    assert error.value.next_step == "holdfast doctor"
    assert error.value.exit_code == 2


def test_a_full_disk_refuses_choices_and_journal_loses_nothing_and_still_reads(filled: Path) -> None:
    with SqliteStore(filled) as store:
        (pages,) = store._writer.execute("PRAGMA page_count").fetchone()
        store._writer.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="disk is full"):
            store.record([Event(1.0, SessionCreated(imported="x" * 200_000), "s")])
        long = ActiveFallback(Pin.parse("q/m"), "x" * 200_000, 1.0)
        with pytest.raises(StoreError, match="disk is full") as error:
            store.save_session(Session("s", Pin.parse("q/m"), active_fallback=long, version=1), 0)
        assert not isinstance(error.value, StaleSession)
        assert store.session("s") == SESSION
        store._writer.execute("PRAGMA max_page_count = 1000000")
        store.save_session(Session("s", Pin.parse("q/m"), active_fallback=long, version=1), 0)
        assert len(store.journal(limit=1000)) == 500


def test_a_write_waits_for_other_processes_only_so_long_and_reads_do_not_wait(filled: Path) -> None:
    with SqliteStore(filled) as store, closing(sqlite3.connect(filled, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        before = store.revision()
        for seconds in (0.05, 0.02):
            with time_limit(seconds), pytest.raises(StoreError, match=f"kept it locked for {seconds} s"):
                store.remove_session("s")
        assert (store.session("s"), store.revision()) == (SESSION, before)
        other.execute("ROLLBACK")
        assert store.remove_session("s") is True


def test_a_file_system_without_locks_is_told_from_a_process_that_holds_one(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "USUAL_SECONDS", 0.01)
    with closing(sqlite3.connect(filled, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match=r"file system gives no locks[\s\S]+holdfast config edit"):
            sqlite._build(filled)  # of a new file nobody else knows


def test_writing_the_file_anew_may_take_long_and_waits_for_others_as_every_call_does(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "USUAL_SECONDS", 0.05)
    with SqliteStore(filled) as store, closing(sqlite3.connect(filled, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with time_limit(3_600), pytest.raises(StoreAway, match=r"locked for 0\.05 s"):
            store.vacuum()


def test_a_call_waits_for_other_threads_only_so_long(filled: Path) -> None:
    with SqliteStore(filled) as store, store._writing, time_limit(0.02):
        with pytest.raises(StoreError, match=r"others kept it locked for 0\.02 s"):
            store.remove_session("s")
        assert store.session("s") == SESSION


def test_rows_of_newer_software_or_of_a_hand_are_read_as_far_as_they_can_be(filled: Path) -> None:
    edit(
        filled,
        "INSERT INTO evidence VALUES ('f', 'u', 1.0, 2.0, 'a_class_of_tomorrow', 3.0, 1)",
        "INSERT INTO cooldown VALUES ('endpoint:u', 9e9, 1.0, 1, 'no json', 1)",
        "INSERT INTO cooldown VALUES ('endpoint:v', 9e9, 1.0, 1, '{\"kind\": \"transient\"}', 1)",
        (
            "INSERT INTO journal (at, kind, session, request, pin, detail) VALUES (5.0, "
            "'a-kind-of-tomorrow', 't', '', '', '{\"a\": 1}')"
        ),
        (
            "INSERT INTO journal (at, kind, session, request, pin, detail) VALUES (5.0, 'created', 't', '', "
            "'', 'no json')"
        ),
        (
            "INSERT INTO journal (at, kind, session, request, pin, detail) VALUES (5.0, 'created', 't', '', "
            "'', '[1]')"
        ),
        f"{INTO} ('fallback', 'p/m', NULL, 'custom/x', 'why', 9e9, NULL, 1.0, 1.0, 0, '')",
        f"{INTO} ('version', 'p/m', NULL, NULL, NULL, NULL, NULL, 1.0, 1.0, 'many', NULL)",
        f"{INTO} ('blob', x'ff', NULL, NULL, NULL, NULL, NULL, 1.0, 1.0, 0, NULL)",
    )
    with SqliteStore(filled) as store:
        assert [(evidence.last_ok, evidence.last_fault) for evidence in store.evidence()] == [
            (2.0, "unknown")
        ]
        assert [cooldown.subject for cooldown in store.cooldowns()] == ["endpoint:v"]
        assert [event.detail for event in store.journal(session="t")] == [
            UnknownEvent("a-kind-of-tomorrow", {"a": 1})
        ]
        assert store.session("fallback") == Session(
            "fallback", Pin.parse("p/m"), created_at=1.0, changed_at=1.0
        )
        assert {session.id for session in store.broken_sessions()} == {"version", "blob"}
        assert store.remove_session("version") is True


def test_the_application_id_is_where_other_tools_look_for_it(filled: Path) -> None:
    with closing(sqlite3.connect(filled)) as plain:
        assert plain.execute("PRAGMA application_id").fetchone() == (dbfile.APPLICATION_ID,)
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_sessions_row_holds_no_key_no_url_and_no_kind(filled: Path) -> None:
    with closing(sqlite3.connect(filled)) as plain:
        assert [name for _, name, *_ in plain.execute("PRAGMA table_info(session)")] == [
            "id",
            "pin",
            "chosen_key",
            "stand_in",
            "stand_in_reason",
            "stand_in_until",
            "kept_key",
            "created_at",
            "changed_at",
            "version",
            "former",
            "removed_at",
            "seq",
        ]


def test_a_forked_child_of_a_memory_store_goes_on_with_its_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    with MemoryStore() as store:
        store.save_session(SESSION, None)
        with store._writing:  # held by a thread that does not exist in the child
            monkeypatch.setattr(os, "getpid", lambda: -1)
            assert store.session("s") == SESSION
