"""What `doctor` sees on the disk: whose the home's files are, what was set aside, and whether the store can
be read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from .._files import quoted
from ..core.config import Config
from ..core.errors import HoldfastError, StoreError
from .context import CliContext

_MYSELF = "holdfast doctor"
_SET_ASIDE = "holdfast doctor --set-aside   (moves it out of the way; nothing is deleted)"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `level`: ok, note (worth knowing), wrong (makes doctor fail)."""

    check: str
    level: str
    what: str
    run: str = ""


def moved(context: CliContext) -> Iterator[Finding]:
    """The store out of the way, if it is beyond reading."""
    from ..store.dbfile import set_aside

    try:
        damaged = _damage(context) if context.has_database else ""
    except StoreError as error:
        damaged = error.what if error.next_step == _MYSELF and _beyond_reading(error) else ""
    if damaged:
        yield Finding(
            "store",
            "note",
            f"{context.database} was moved to {set_aside(context.database)}, because {damaged}",
        )


def files(context: CliContext) -> Iterator[Finding]:
    """The home's files are the user's alone."""
    home = context.home
    missing = _missing(home.config)
    if missing:
        yield Finding("home", "wrong", f"there is no {home.config}", "holdfast init")
    directories = dict.fromkeys((home.config.parent, home.state, home.secrets.parent))
    database = [context.database.with_name(f"{context.database.name}{end}") for end in ("", "-wal", "-shm")]
    files = [home.config, home.secrets, home.secrets.with_name("pepper"), *database]
    open_to_others = [finding for path in (*directories, *files) if (finding := _mode(path))]
    yield from open_to_others
    aside = [
        *context.vault.file.quarantined(),
        *sorted(home.state.glob(f"{context.database.name}.aside-*[0-9]")),
    ]
    for path in aside:
        yield Finding(
            "home",
            "note",
            f"{path} was set aside and is not read",
            f"rm {quoted(path)}   (once nothing in it is needed)",
        )
    if not open_to_others and not missing:
        yield Finding("home", "ok", str(home.config.parent))


def integrity(context: CliContext, config: Config | None) -> Iterator[Finding]:
    if config is not None and not config.gateway.store.startswith("sqlite:"):
        yield from _elsewhere(context)
        return
    if not context.has_database:
        yield Finding("store", "ok", "nothing is remembered yet")
        return
    try:
        damage = _damage(context)
    except StoreError as error:
        mend = (
            _SET_ASIDE
            if _beyond_reading(error)
            else f"ls -la {quoted(context.database.parent)}   (is it yours, and is there room?)"
        )
        yield Finding("store", "wrong", error.what, error.next_step if error.next_step != _MYSELF else mend)
    else:
        yield (
            Finding("store", "wrong", damage, _SET_ASIDE)
            if damage
            else Finding("store", "ok", str(context.database))
        )


def _elsewhere(context: CliContext) -> Iterator[Finding]:
    """A store that is no file of ours."""
    from ..store.memory import MemoryStore

    try:
        context.store.revision()
    except HoldfastError as error:
        yield Finding("store", "wrong", error.what, error.next_step)
    else:
        kept = "the configuration keeps everything in memory: nothing outlives a process"
        yield (
            Finding("store", "note", kept)
            if isinstance(context.store, MemoryStore)
            else Finding("store", "ok", "the database answers")
        )


def _damage(context: CliContext) -> str:
    """What SQLite says of the file's integrity; empty when all is well. Raises StoreError when it cannot be
    opened."""
    import sqlite3

    from ..store.sqlite import connect

    context.store.revision()
    try:
        with closing(connect(context.database)) as connection:
            said = [
                line
                for row in connection.execute("PRAGMA quick_check(5)")
                for line in str(row[0]).splitlines()
            ]
    except sqlite3.DatabaseError as error:
        said = [str(error)]
    return "" if said == ["ok"] else f"the store {context.database} is damaged: {'; '.join(said)}"


def _missing(path: Path) -> bool:
    """Whether there is no such file; one that we may not look at is not missing."""
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False


def _beyond_reading(error: StoreError) -> bool:
    """Whether the file itself is at fault. One that is locked, full, read-only or hidden from us is as good
    as it was."""
    name = getattr(error.__cause__, "sqlite_errorname", "")
    return error.__cause__ is None or name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR"))


def _mode(path: Path) -> Finding | None:
    """A file that others may read, a directory that they may enter (worse: write), or that we may not
    write."""
    try:
        status = path.stat()
    except OSError:
        return None
    mode, directory = stat.S_IMODE(status.st_mode), stat.S_ISDIR(status.st_mode)
    if status.st_uid != os.getuid():
        return Finding("home", "wrong", f"{path} belongs to another user", f"ls -ld {quoted(path)}")
    if directory and not os.access(path, os.W_OK | os.X_OK):
        return Finding(
            "home",
            "wrong",
            f"{path} cannot be written: nothing can be remembered",
            f"chmod 700 {quoted(path)}",
        )
    if not mode & 0o077:
        return None
    level = "wrong" if not directory or mode & 0o022 else "note"
    return Finding(
        "home",
        level,
        f"{path} is open to others (mode {mode:04o})",
        f"chmod {0o700 if directory else 0o600:o} {quoted(path)}",
    )
