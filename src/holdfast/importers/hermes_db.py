"""The file in which Hermes keeps its sessions: read without a change, healed in one transaction, restored
byte for byte.

Reading opens the file as immutable, or a private copy while there is a write-ahead log, so that not even a
companion file appears. Healing needs the file for itself: SQLite's exclusive lock is refused while any
program has it open, and keeps all others out until we are done."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .._files import cannot, creating, quoted, replacing, write_private
from ..core.errors import ConfigError, HoldfastError
from .hermes_home import heal_command
from .hermes_running import STOP_HERMES, InUse, refuse_while_running
from .names import numbered
from .read_files import mapping, table_of

_COLUMNS = (
    *("id", "source", "title", "model", "model_config", "started_at"),
    *("billing_provider", "billing_base_url", "billing_mode"),
)
_MARK = "holdfast-backup"
_CHUNK = 1024 * 1024  # bytes

Changes = Mapping[str, tuple[str | None, str]]
"""Session ids with `model_config` as it was and as it should be."""
Check = Callable[[Sequence[Mapping[str, Any]]], str]
"""Looks at all rows before the commit; returns what is wrong with them, "" for nothing."""


def read(database: Path) -> list[dict[str, Any]]:
    """Return the sessions, the oldest first; none when there is no file. Changes and creates nothing beside
    the file. Raises ConfigError when it cannot be read."""
    if not database.exists():
        return []
    if not database.is_file():  # a pipe would be waited for, a device has no end
        raise ConfigError(f"{database} is not a regular file", next_step=f"ls -ld {quoted(database)}")
    try:
        with (
            _at_rest(database) as file,
            closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro&immutable=1", uri=True)) as connection,
        ):
            return _rows(connection)
    except sqlite3.Error as error:
        raise ConfigError(
            f"{database} cannot be read as Hermes's sessions: {error}",
            next_step="hermes sessions list   (shows if hermes itself can read them)",
        ) from None
    except OSError as error:
        step = f"ls -l {quoted(database)}"
        raise ConfigError(f"cannot read {database}: {error.strerror}", next_step=step) from None


def heal(home: Path, changes: Changes, check: Check) -> Path:
    """Write `model_config` of each session in `changes`, all or none; return the path of the backup.

    Raises InUse while hermes runs or when a row has changed meanwhile, HoldfastError when `check` finds a
    mistake, ConfigError when the file cannot be written. After an error the file is unchanged, unless the
    error says that only the receipt could not be written."""
    refuse_while_running(home)
    database = _database_of(home)
    try:
        with ExitStack() as open_files:
            # Closing any handle of a file drops this process's locks on it (POSIX), so ours is closed after
            # SQLite's.
            original = open_files.enter_context(database.open("rb"))
            connection = open_files.enter_context(closing(_connect_alone(database)))
            _refuse_triggers(connection, database)
            backup = _backup(original, database)
            _commit(connection, changes, check, backup, again=heal_command(home))
    except sqlite3.Error as error:
        raise ConfigError(
            f"{database} cannot be healed: {error}; nothing was changed", next_step=heal_command(home)
        ) from None
    except OSError as error:
        raise ConfigError(
            f"cannot write beside {database}: {error.strerror}; nothing was changed",
            next_step=f"ls -ld {quoted(database.parent)}",
        ) from None
    try:
        _write_receipt(backup, changes, _digest(database))
    except (ConfigError, OSError):
        raise ConfigError(
            f"{database} was healed, but the receipt that --undo needs could not be written",
            next_step=f"cp {quoted(backup)} {quoted(database)}   (takes it back, with hermes stopped)",
        ) from None
    return backup


def undo(home: Path) -> tuple[Path, list[str]]:
    """Restore the latest backup; return its path and the ids of the sessions that were healed. Raises
    ConfigError when there is none or when anything was written since, InUse while hermes runs."""
    database = _database_of(home)
    receipts = sorted(database.parent.glob(f"{database.name}.{_MARK}-*.json"))
    if not receipts:
        raise ConfigError(f"there is no backup of ours beside {database}", next_step=heal_command(home))
    latest = receipts[-1]
    receipt, backup = _read_receipt(latest), latest.with_suffix("")
    refuse_while_running(home)
    if not backup.exists() or _digest(backup) != receipt.get("before"):
        raise ConfigError(
            f"{backup} is not the backup that was made; nothing was changed",
            next_step=f"ls -l {quoted(backup.parent)}",
        )
    _restore(backup, database, receipt.get("after"))
    for companion in ("-wal", "-shm"):
        database.with_name(database.name + companion).unlink(missing_ok=True)
    latest.unlink()
    healed = receipt.get("healed")
    if not isinstance(healed, list):
        return backup, []
    return backup, [str(session) for session in healed]


def _rows(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    present = {row[1] for row in connection.execute("PRAGMA table_info(sessions)")}
    names = [name for name in _COLUMNS if name in present]
    kind = connection.execute("SELECT type FROM sqlite_master WHERE name = 'sessions'").fetchone()
    if kind != ("table",) or not {"id", "model"} <= present:  # a view may be any computation
        raise sqlite3.DatabaseError("it has no table of sessions")
    order = "started_at, id" if "started_at" in present else "id"
    # The names are from _COLUMNS.
    query = f"SELECT {', '.join(names)} FROM sessions ORDER BY {order}"  # noqa: S608
    return [dict(zip(names, row, strict=True)) for row in connection.execute(query)]


@contextmanager
def _at_rest(database: Path) -> Iterator[Path]:
    """Yield the file, or while it has a write-ahead log a private copy into which the log was played."""
    log = database.with_name(f"{database.name}-wal")
    if _stamp(log)[1] == 0:
        yield database
        return
    with tempfile.TemporaryDirectory(prefix="holdfast-") as private:
        copy = Path(private) / "state.db"
        for _ in range(5):
            before = (_stamp(database), _stamp(log))
            shutil.copyfile(database, copy)
            with suppress(FileNotFoundError):
                shutil.copyfile(log, f"{copy}-wal")
            if (_stamp(database), _stamp(log)) == before:
                break
        else:
            raise InUse(f"another program keeps writing to {database}", next_step=STOP_HERMES)
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        yield copy


def _stamp(path: Path) -> tuple[int, int]:
    """Return the time of the last change (nanoseconds) and the size; zeros when there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _database_of(home: Path) -> Path:
    return Path(os.path.realpath(home / "state.db"))


def _refuse_triggers(connection: sqlite3.Connection, database: Path) -> None:
    """Raise ConfigError when a change of a session would cause another change, outside the sessions that we
    check."""
    trigger = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = 'sessions' ORDER BY name"
    ).fetchone()
    if trigger is not None:
        raise ConfigError(
            f"{database} has the trigger '{trigger[0]}' on its sessions, "
            "which would change more than a healing should; nothing was changed",
            next_step=f"sqlite3 {quoted(database)} .schema   (shows what it does)",
        )


def _connect_alone(database: Path) -> sqlite3.Connection:
    """Return a connection that excludes all others, with the write-ahead log played into the file. Raises
    InUse when another program has it open."""
    connection = sqlite3.connect(
        f"file:{quote(str(database))}?mode=rw", uri=True, timeout=0, isolation_level=None
    )
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as error:
        connection.close()
        if "locked" not in str(error) and "busy" not in str(error):
            raise
        raise InUse(
            f"another program has {database} open; nothing was changed", next_step=STOP_HERMES
        ) from None
    return connection


def _backup(original: Any, database: Path) -> Path:
    """Copy the file to one beside it that only its owner can read, durable when this returns."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    paths = map(database.with_name, numbered(f"{database.name}.{_MARK}-{stamp}", 1000))
    path = next(path for path in paths if not os.path.lexists(path))
    with creating(path) as draft, draft.open("wb") as copy:
        original.seek(0)
        shutil.copyfileobj(original, copy, _CHUNK)
    return path


def _commit(
    connection: sqlite3.Connection, changes: Changes, check: Check, backup: Path, *, again: str
) -> None:
    """Write the changes and the receipt in one transaction; on any error roll back and remove the backup."""
    try:
        _write(connection, changes, check, again=again)
        _write_receipt(backup, changes, "")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        # Both go: a receipt without its backup would be taken for the latest good one.
        for path in (backup, _receipt_of(backup)):
            path.unlink(missing_ok=True)
        raise


def _write(connection: sqlite3.Connection, changes: Changes, check: Check, *, again: str) -> None:
    """Write the changes and check them; the errors name `again`, the command that looks anew."""
    connection.execute("BEGIN IMMEDIATE")
    for session, (before, after) in changes.items():
        done = connection.execute(
            "UPDATE sessions SET model_config = ? WHERE id = ? AND model_config IS ?",
            (after, session, before),
        )
        if done.rowcount != 1:
            raise InUse(
                f"session {session} has changed meanwhile; nothing was changed",
                next_step=again,
            )
    wrong = check(_rows(connection))
    if wrong:
        raise HoldfastError(
            f"the result would be wrong: {wrong}; nothing was changed",
            next_step=f"{again} --json",
        )


def _restore(backup: Path, database: Path, after: object) -> None:
    """Put the backup in the place of the database, whose digest has to be `after`. Raises ConfigError when it
    is not, because then something was written since."""
    written_since = ConfigError(
        f"{database} was written since it was healed, and a restore would lose that; nothing was changed",
        next_step=f"cp {quoted(backup)} {quoted(database)}   (restores it all the same, with hermes stopped)",
    )
    with ExitStack() as open_files:
        current = open_files.enter_context(database.open("rb"))
        try:
            connection = _connect_alone(database)
        except sqlite3.Error:
            raise written_since from None
        with closing(connection):  # no other program can write now, and a log was played into the file
            if hashlib.file_digest(current, "sha256").hexdigest() != after:
                raise written_since
            try:
                with replacing(database) as file, backup.open("rb") as source:
                    shutil.copyfileobj(source, file, _CHUNK)
            except OSError as error:
                raise cannot("write", database, error, ours=False) from None


def _receipt_of(backup: Path) -> Path:
    return backup.with_name(f"{backup.name}.json")


def _write_receipt(backup: Path, changes: Changes, after: str) -> None:
    receipt = {"healed": sorted(changes), "before": _digest(backup), "after": after}
    write_private(_receipt_of(backup), json.dumps(receipt, indent=2) + "\n")


def _read_receipt(path: Path) -> Mapping[str, Any]:
    try:
        return mapping(table_of(path))
    except ConfigError:
        return {}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
