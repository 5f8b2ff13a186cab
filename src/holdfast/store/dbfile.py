"""The database file: created completely or not at all, checked before SQLite opens it, moved aside only when
the user asks for it.

A new file is complete (schema, application id, WAL) before it gets its name. So an empty file is a damaged
one, and two processes that start at the same time open the same database."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .._files import creating, quoted, remove_drafts
from ..core.errors import StoreError
from .base import StoreAway

APPLICATION_ID = 0x48464454
"""`HFDT` in bytes 68-71 of the file, by which SQLite's header tells our database from another program's
(sqlite.org/fileformat.html)."""
_MAGIC = b"SQLite format 3\x00"
_HEADER_SIZE = 100
_ID_AT = slice(68, 72)
_COMPANIONS = ("-wal", "-shm")
DOCTOR = "holdfast doctor"


def ensure(path: Path, build: Callable[[Path], None]) -> None:
    """Make sure that `path` is a database of ours. If there is no file yet, `build` fills an empty one.

    Raises StoreError, without a change, if there is another file or none can be created.
    """
    try:
        if not path.exists():
            _create(path, build)
        with path.open("rb") as file:
            header = file.read(_HEADER_SIZE)
    except OSError as error:
        raise StoreError(
            f"the store {path} cannot be opened: {error.strerror or error}", next_step=DOCTOR
        ) from error
    if len(header) < _HEADER_SIZE:
        raise StoreError(
            f"the store {path} is cut off: it has {len(header)} bytes and no header", next_step=DOCTOR
        )
    if not header.startswith(_MAGIC):
        raise StoreError(f"{path} is not a database: it was replaced or overwritten", next_step=DOCTOR)
    if header[_ID_AT] != APPLICATION_ID.to_bytes(4, "big"):
        raise StoreError(f"{path} is the database of another program; it was left as it is", next_step=DOCTOR)


def file_at(path: Path) -> tuple[int, int] | None:
    """Return which file has this path, by its device and its number; None where there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - every call of a store passes here
    except OSError:
        return None
    return status.st_dev, status.st_ino


def log_of(path: Path) -> Path:
    """Return the path of a database's write-ahead log: beside the file itself, where `path` is a link."""
    real = path.resolve()
    return real.with_name(real.name + "-wal")


def check_log(path: Path, former: tuple[int, int] | None) -> None:
    """Raise StoreAway if a file that took the place of another still has that one's log beside it, `former`:
    SQLite would write the changes in it over the new file."""
    log = log_of(path)
    if former is not None and file_at(log) == former:
        what = f"the store {path} was replaced, and {log.name} of the file before is still beside it"
        step = f"rm {quoted(log)} {quoted(log.with_name(log.name.removesuffix('wal') + 'shm'))}"
        raise StoreAway(what, next_step=step)


def _create(path: Path, build: Callable[[Path], None]) -> None:
    real, wal = path.resolve(), log_of(path)
    if wal.exists() and not real.exists():  # SQLite would replay it into the new file
        raise StoreError(
            f"the store {path} is gone, but {wal.name} still holds changes of it", next_step=DOCTOR
        )
    remove_drafts(real)
    # The draft is private from the start, and SQLite gives its companions the same mode. The file of a
    # process that was faster is used instead.
    with suppress(FileExistsError), creating(real) as new:
        build(new)


def set_aside(path: Path) -> Path:
    """Move a database and its companions aside, so that the next start makes a new one. Return the new path.

    Nothing is deleted or overwritten. Call this only if the user asked for it. Raises StoreError.
    """
    names = (path.with_name(f"{path.name}.aside-{number}") for number in range(1, 10_000))
    aside = next(name for name in names if not name.exists())
    try:
        # The database last, so that its changes are never left to the next one.
        for companion in (*_COMPANIONS, ""):
            source = path.with_name(path.name + companion)
            if source.exists():
                source.rename(aside.with_name(aside.name + companion))
    except OSError as error:
        raise StoreError(
            f"the store {path} cannot be moved aside: {error.strerror or error}", next_step=DOCTOR
        ) from error
    return aside
