"""The file in which Hermes keeps its sessions: read without a trace, healed in one transaction, restored byte
for byte.

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
from .read_files import mapping, table_of

_COLUMNS = (
    "id",
    "source",
    "title",
    "model",
    "model_config",
    "billing_provider",
    "billing_base_url",
    "billing_mode",
    "started_at",
)
_MARK = "holdfast-backup"


class InUse(HoldfastError):
    """Somebody has the file open, so nothing was changed."""


def read(database: Path) -> list[dict[str, Any]]:
    """The sessions, the oldest first; none when there is no file. Raises ConfigError. Changes and creates
    nothing beside the file."""
    if not database.exists():
        return []
    if not database.is_file():  # a pipe would be waited for, a device has no end
        raise ConfigError(f"{database} is not a regular file", next_step=f"ls -ld {quoted(database)}")
    try:
        with (
            _at_rest(database) as still,
            closing(sqlite3.connect(f"file:{quote(str(still))}?mode=ro&immutable=1", uri=True)) as connection,
        ):
            return _rows(connection)
    except sqlite3.Error as error:
        raise _unreadable(database, error) from None
    except OSError as error:
        raise ConfigError(
            f"cannot read {database}: {error.strerror}", next_step=f"ls -l {quoted(database)}"
        ) from None


def _rows(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    there = {row[1] for row in connection.execute("PRAGMA table_info(sessions)")}
    names = [name for name in _COLUMNS if name in there]
    kind = connection.execute("SELECT type FROM sqlite_master WHERE name = 'sessions'").fetchone()
    if kind != ("table",) or not {"id", "model"} <= there:  # a view may be any computation
        raise sqlite3.DatabaseError("it has no table of sessions")
    order = "started_at, id" if "started_at" in there else "id"
    rows = connection.execute(f"SELECT {', '.join(names)} FROM sessions ORDER BY {order}")  # noqa: S608 - names of our own list
    return [dict(zip(names, row, strict=True)) for row in rows]


@contextmanager
def _at_rest(database: Path) -> Iterator[Path]:
    """The file, or while it has a write-ahead log a copy of both in which the log has been played."""
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
            raise InUse(
                f"{database} is being written all the time",
                next_step="hermes gateway stop   (and leave its other programs), then run this again",
            )
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        yield copy


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


def _unreadable(database: Path, error: sqlite3.Error) -> ConfigError:
    return ConfigError(
        f"{database} cannot be read as Hermes's sessions: {error}",
        next_step="hermes sessions list   (what does it say itself?)",
    )


def running(home: Path) -> str:
    """Who uses the home, as far as can be told: a live gateway by its pid file, programs that hold the
    database open (Linux); else ""."""
    record = mapping(_told(home / "gateway.pid"))
    pid = record.get("pid")
    if isinstance(pid, int) and pid > 0 and _lives(pid, record.get("start_time")):
        return f"the gateway runs (pid {pid})"
    database = os.path.realpath(home / "state.db")
    holders = [pid for pid in _pids() if database in _open_files(pid)]
    return f"process {', '.join(map(str, holders))} has {database} open" if holders else ""


def _told(path: Path) -> Any:
    try:
        return table_of(path)
    except ConfigError:
        return None


def _lives(pid: int, started: object) -> bool:
    """Whether the process is there, and the one that was noted: a pid is used again, with another time of its
    start (in clock ticks)."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass
    try:
        return started in (None, int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]))
    except (OSError, ValueError, IndexError):
        return True


def _pids() -> list[int]:
    try:
        return [
            int(one.name)
            for one in Path("/proc").iterdir()
            if one.name.isdecimal() and int(one.name) != os.getpid()
        ]
    except OSError:
        return []


def _open_files(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.add(str(handle.readlink()))
    return found


def heal(
    home: Path,
    changes: Mapping[str, tuple[str | None, str]],
    check: Callable[[Sequence[Mapping[str, Any]]], str],
) -> Path:
    """Writes `model_config` of each session id, from what it was to what it should be, all or none; gives the
    backup's path.

    `check` sees all rows before the commit and says what is wrong with them, "" when nothing is. Raises InUse
    while hermes runs or when a row has changed meanwhile, ConfigError when the file cannot be written.
    Whatever is raised, the file is what it was."""
    if who := running(home):
        raise InUse(
            f"{who}; nothing was changed",
            next_step="hermes gateway stop   (and leave its other programs), then run this again",
        )
    database = Path(os.path.realpath(home / "state.db"))
    try:
        with ExitStack() as held:
            # Closing any handle of a file drops this process's locks on it (POSIX), so ours is closed after
            # SQLite's.
            original = held.enter_context(database.open("rb"))
            connection = held.enter_context(closing(_alone(database)))
            _refuse_triggers(connection, database)
            backup = _backup(original, database)
            try:
                _write(connection, changes, check)
                _receipt(backup, changes, "")
                connection.execute("COMMIT")
            except BaseException:
                connection.execute("ROLLBACK")
                for ours in (
                    backup,
                    _receipt_of(backup),
                ):  # a receipt without its backup would stand before the last good one
                    ours.unlink(missing_ok=True)
                raise
    except sqlite3.Error as error:
        raise ConfigError(
            f"{database} cannot be healed: {error}; nothing was changed", next_step="holdfast heal hermes"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"cannot write beside {database}: {error.strerror}; nothing was changed",
            next_step=f"ls -ld {quoted(database.parent)}",
        ) from None
    try:
        _receipt(backup, changes, _digest(database))
    except (ConfigError, OSError):
        what = f"{database} was healed, and the receipt by which --undo knows it could not be written"
        raise ConfigError(
            what, next_step=f"cp {quoted(backup)} {quoted(database)}   (takes it back, with hermes stopped)"
        ) from None
    return backup


def _refuse_triggers(connection: sqlite3.Connection, database: Path) -> None:
    """Raises ConfigError when a change of a session would set off something else, which no look at the
    sessions would show."""
    found = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = 'sessions' ORDER BY name"
    ).fetchone()
    if found is not None:
        what = f"{database} has the trigger '{found[0]}' on its sessions, which would change more than a healing should; nothing was changed"
        raise ConfigError(what, next_step=f"sqlite3 {quoted(database)} .schema   (shows what it does)")


def _write(
    connection: sqlite3.Connection,
    changes: Mapping[str, tuple[str | None, str]],
    check: Callable[[Sequence[Mapping[str, Any]]], str],
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for session, (before, after) in changes.items():
        done = connection.execute(
            "UPDATE sessions SET model_config = ? WHERE id = ? AND model_config IS ?",
            (after, session, before),
        )
        if done.rowcount != 1:
            raise InUse(
                f"session {session} has changed meanwhile; nothing was changed",
                next_step="holdfast heal hermes",
            )
    if wrong := check(_rows(connection)):
        raise HoldfastError(
            f"healing would not do what it should: {wrong}; nothing was changed",
            next_step="holdfast heal hermes --json",
        )


def _receipt(backup: Path, changes: Mapping[str, object], after: str) -> None:
    receipt = {"healed": sorted(changes), "before": _digest(backup), "after": after}
    write_private(_receipt_of(backup), json.dumps(receipt, indent=2) + "\n")


def _receipt_of(backup: Path) -> Path:
    return backup.with_name(f"{backup.name}.json")


def _alone(database: Path) -> sqlite3.Connection:
    """A connection that nobody shares, with the write-ahead log played into the file. Raises InUse when
    somebody else has it open."""
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
        if "locked" in str(error) or "busy" in str(error):
            what = f"another program has {database} open; nothing was changed"
            raise InUse(
                what, next_step="hermes gateway stop   (and leave its other programs), then run this again"
            ) from None
        raise
    return connection


def _backup(original: Any, database: Path) -> Path:
    """A copy beside the file that only its owner can read, durable when this returns."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = (
        f"{database.name}.{_MARK}-{stamp}{again}"
        for again in ("", *(f"-{number}" for number in range(2, 1000)))
    )
    path = next(one for name in names if not os.path.lexists(one := database.with_name(name)))
    with creating(path) as draft, draft.open("wb") as copy:
        original.seek(0)
        shutil.copyfileobj(original, copy, 1024 * 1024)
    return path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def undo(home: Path) -> tuple[Path, list[str]]:
    """Puts the latest backup back; gives its path and the sessions that were healed. Raises ConfigError when
    there is none or when anything was written since, InUse while hermes runs."""
    database = Path(os.path.realpath(home / "state.db"))
    receipts = sorted(database.parent.glob(f"{database.name}.{_MARK}-*.json"))
    if not receipts:
        raise ConfigError(f"there is no backup of ours beside {database}", next_step="holdfast heal hermes")
    receipt, backup = mapping(_told(receipts[-1])), receipts[-1].with_suffix("")
    if who := running(home):
        raise InUse(
            f"{who}; nothing was changed",
            next_step="hermes gateway stop   (and leave its other programs), then run this again",
        )
    if not backup.exists() or _digest(backup) != receipt.get("before"):
        raise ConfigError(
            f"{backup} is not the backup that was made; nothing was changed",
            next_step=f"ls -l {quoted(backup.parent)}",
        )
    what = f"{database} was written since it was healed, and a restore would lose that; nothing was changed"
    written = ConfigError(
        what,
        next_step=f"cp {quoted(backup)} {quoted(database)}   (if you want it all the same, with hermes stopped)",
    )
    with ExitStack() as held:
        current = held.enter_context(database.open("rb"))
        try:
            alone = _alone(database)
        except sqlite3.Error:
            raise written from None
        with closing(alone):  # nobody can write it any more, and a log is played into it
            if hashlib.file_digest(current, "sha256").hexdigest() != receipt.get("after"):
                raise written
            try:
                with replacing(database) as file, backup.open("rb") as source:
                    shutil.copyfileobj(source, file, 1024 * 1024)
            except OSError as error:
                raise cannot("write", database, error, ours=False) from None
    for companion in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            database.with_name(database.name + companion).unlink()
    receipts[-1].unlink()
    healed = receipt.get("healed")
    return backup, [str(one) for one in healed] if isinstance(healed, list) else []
