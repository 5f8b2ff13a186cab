"""The checks of `doctor` on disk: access to the home's files, files that were set aside, and damage of the
store."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from .._files import quoted, trusted_owners, written_by_others
from ..core.config import Config
from ..core.errors import HoldfastError, StoreError
from ..credentials.given_files import is_given
from ..credentials.pepper import MAKE
from .context import CliContext

_OWN_COMMAND = "holdfast doctor"
"""The next step of errors that name none but `doctor` itself."""
_SET_ASIDE = "holdfast doctor --set-aside   (moves it out of the way; nothing is deleted)"
_OTHERS = 0o077
_OTHERS_WRITE, _OTHERS_BEYOND_GROUP = 0o022, 0o027


_TRUST, _TRUST_ELSEWHERE = ("SSL_CERT_FILE", "SSL_CERT_DIR"), ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""The variables that name trusted certificates for us, and for other programs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `level`: ok, note (worth knowing), wrong (makes doctor fail); `run`: the
    command that repairs it."""

    check: str
    level: str
    what: str
    run: str = ""


def check_trust(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Find a bundle of certificates that is named in a variable of other programs only."""
    if any(environ.get(name) for name in _TRUST):
        return
    for name in _TRUST_ELSEWHERE:
        if environ.get(name):
            what = f"{name} is set, which is not read: the certificates of your own authority are not trusted"
            yield Finding("trust", "note", what, f'export SSL_CERT_FILE="${name}"')
            return


def move_damaged_store(context: CliContext) -> Iterator[Finding]:
    """Move the store out of the way if it cannot be read."""
    from ..gateway.registry import running
    from ..store.dbfile import set_aside

    for gateway in running(context.home.state):
        what = f"a gateway that runs has the store open (process {gateway.pid}); nothing was moved"
        yield Finding("store", "wrong", what, f"kill {gateway.pid}   (then: holdfast doctor --set-aside)")
        return
    damage = ""
    try:
        if context.has_database:
            damage = _damage(context)
    except StoreError as error:
        if error.next_step == _OWN_COMMAND and _is_beyond_reading(error):
            damage = error.what
    if damage:
        what = f"{context.database} was moved to {set_aside(context.database)}, because {damage}"
        yield Finding("store", "note", what)


def check_files(context: CliContext, config: Config | None) -> Iterator[Finding]:
    """Find files of the home that are missing, open to others or not ours, and those that were set aside.
    `config` is None while it cannot be read."""
    home = context.home
    missing = _is_missing(home.config)
    if missing:
        yield Finding("home", "wrong", f"there is no {home.config}", "holdfast init")
    shared = config is not None and config.gateway.store.startswith("postgresql:")
    exposed = [finding for path in _paths(context) if (finding := _exposure(path, shared=shared))]
    yield from exposed
    yield from _check_pepper(context, config)
    aside = sorted(home.state.glob(f"{context.database.name}.aside-*[0-9]"))
    for path in (*context.vault.file.quarantined(), *aside):
        step = f"rm {quoted(path)}   (once nothing in it is needed)"
        yield Finding("home", "note", f"{path} was set aside and is not read", step)
    if not exposed and not missing:
        yield Finding("home", "ok", str(home.config.parent))


def _check_pepper(context: CliContext, config: Config | None) -> Iterator[Finding]:
    """Check that there is a pepper, or that one can be made."""
    path = context.home.pepper
    if config is not None and config.store.pepper:
        try:
            context.vault.pepper()
        except HoldfastError as error:
            yield Finding("home", "wrong", error.what, error.next_step)
    elif _is_missing(path) and _cannot_write(path.parent):
        what = f"there is no {path}, none can be made there, and [store] pepper leads to none: "
        yield Finding("home", "wrong", f"{what}holdfast serve refuses to start", MAKE)


def _paths(context: CliContext) -> Iterator[Path]:
    """Yield the directories and files of the home that must be private."""
    home, database = context.home, context.database
    yield from dict.fromkeys((home.config.parent, home.state, home.secrets.parent))
    yield from (home.config, home.secrets, home.pepper)
    for suffix in ("", "-wal", "-shm"):
        yield database.with_name(f"{database.name}{suffix}")


def check_store(context: CliContext, config: Config | None) -> Iterator[Finding]:
    """Check that the store can be read. `config` is None while it cannot be read itself."""
    if config is not None and not config.gateway.store.startswith("sqlite:"):
        yield _other_store(context)
        return
    if not context.has_database:
        yield Finding("store", "ok", "no store yet")
        return
    try:
        damage = _damage(context)
    except StoreError as error:
        yield Finding("store", "wrong", error.what, _repair_of(context, error))
        return
    if damage:
        yield Finding("store", "wrong", damage, _SET_ASIDE)
    else:
        yield Finding("store", "ok", str(context.database))


def _repair_of(context: CliContext, error: StoreError) -> str:
    """Return the command that repairs a store which cannot be opened."""
    if error.next_step != _OWN_COMMAND:
        return error.next_step
    if _is_beyond_reading(error):
        return _SET_ASIDE
    return f"ls -la {quoted(context.database.parent)}   (is it yours, and is there room?)"


def _other_store(context: CliContext) -> Finding:
    """Check a store that is no file of ours."""
    from ..store.memory import MemoryStore

    try:
        context.store.revision()
    except HoldfastError as error:
        return Finding("store", "wrong", error.what, error.next_step)
    if isinstance(context.store, MemoryStore):
        return Finding("store", "note", "the configured store is in memory: it is lost when a program ends")
    return Finding("store", "ok", "the database answers")


def _damage(context: CliContext) -> str:
    """Return what SQLite reports about the file's integrity; empty when it is sound. Raises StoreError when
    the file cannot be opened."""
    import sqlite3

    from ..store.sqlite import connect

    context.store.revision()
    try:
        with closing(connect(context.database)) as connection:
            rows = connection.execute("PRAGMA quick_check(5)").fetchall()
        lines = [line for row in rows for line in str(row[0]).splitlines()]
    except sqlite3.DatabaseError as error:
        lines = [str(error)]
    if lines == ["ok"]:
        return ""
    return f"the store {context.database} is damaged: {'; '.join(lines)}"


def _is_missing(path: Path) -> bool:
    """Tell whether there is no such file. A file that we may not look at is not missing."""
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    return False


def _is_beyond_reading(error: StoreError) -> bool:
    """Tell whether the file itself is damaged. A file that is locked, full, read-only or hidden from us is
    not."""
    name = getattr(error.__cause__, "sqlite_errorname", "")
    return error.__cause__ is None or name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR"))


def _cannot_write(directory: Path) -> bool:
    """Return whether a directory is there and nothing can be made in it."""
    return directory.is_dir() and not os.access(directory, os.W_OK | os.X_OK)


def _exposure(path: Path, *, shared: bool) -> Finding | None:
    """Find what is wrong with the owner and mode of a file or directory: another owner, a directory that we
    cannot write, or access by others. None when it is private, or cannot be looked at.

    Where the store is a database elsewhere (`shared`), a home may be read-only: a mounted configuration.
    """
    try:
        status = path.stat()
        given = is_given(path, status)
    except OSError:
        return None
    mode, is_directory = stat.S_IMODE(status.st_mode), stat.S_ISDIR(status.st_mode)
    private = 0o700 if is_directory else 0o600
    others = written_by_others(path, status)
    if others is not None and status.st_uid not in trusted_owners():
        return Finding("home", "wrong", *others)
    if is_directory and _cannot_write(path):
        if shared:
            what = f"{path} is read-only; sessions, tokens and the journal are in the database"
            return Finding("home", "ok", what)
        what = f"{path} cannot be written: nothing can be stored"
        return Finding("home", "wrong", what, f"chmod 700 {quoted(path)}")
    if not mode & _OTHERS:
        return None
    if given and not is_directory:
        return _exposure_of_given(path, mode)
    # Others who may only enter a directory still cannot read its private files.
    level = "note" if is_directory and not mode & _OTHERS_WRITE else "wrong"
    what = f"{path} is open to others (mode {mode:04o})"
    return Finding("home", level, what, f"chmod {private:o} {quoted(path)}")


def _exposure_of_given(path: Path, mode: int) -> Finding | None:
    """Find what is wrong with the mode of a file that was mounted: holdfast.toml holds no secret, and the
    others may be read by the group by which this user reads them."""
    if (path.suffix == ".toml" and path.name != "secrets.toml") or not mode & _OTHERS_BEYOND_GROUP:
        return None
    what = f"{path} can be read by others (mode {mode:04o})"
    step = f"ls -lL {quoted(path)}   (mount it with mode 0440; in Kubernetes: defaultMode)"
    return Finding("home", "wrong", what, step)
