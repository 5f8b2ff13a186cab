"""Databases of other programs, read without a trace: nothing is written beside them, and what is not yet in
the main file is read too."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .._files import quoted
from ..core.errors import ConfigError
from .read_files import LONGEST, mapping

_LONGEST_FILE = 256 * 1024 * 1024
"""Most bytes of a database and of its log."""
_MOST_ROWS = 1000


def table_rows(path: Path, table: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a table, with those of the columns that it has; the values of others are None. None
    when there is no such file. Raises ConfigError."""
    try:
        with _at_rest(path) as file, closing(_opened(file)) as connection:
            return _rows(connection, table, columns)
    except (sqlite3.Error, UnicodeDecodeError):
        raise _wrong(path, f"is no database that has the table '{table}'") from None
    except OSError as error:
        raise _wrong(path, f"cannot be read: {error.strerror}") from None


def json_of(path: Path, table: str, column: str, members: Sequence[str]) -> Mapping[str, Any] | None:
    """Return the first JSON object in a column that has one of these members; None without the file. Raises
    ConfigError."""
    if not path.exists():
        return None
    for row in table_rows(path, table, [column]):
        value = json_value(row[column])
        if any(member in value for member in members):
            return value
    return {}


def json_value(text: object) -> Mapping[str, Any]:
    """Return the object in a text of JSON; an empty one for anything else."""
    if not isinstance(text, str):
        return {}
    try:
        return mapping(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def has_table(path: Path, table: str, columns: Sequence[str]) -> bool:
    """Return whether a file is a database with a table that has these columns."""
    try:
        with _at_rest(path) as file, closing(_opened(file)) as connection:
            return set(columns) <= _columns(connection, table)
    except (sqlite3.Error, UnicodeDecodeError, ConfigError, OSError):
        return False


def _rows(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    present = [name for name in columns if name in _columns(connection, table)]
    if not present:
        raise sqlite3.DatabaseError
    whole = " AND ".join(f"length(coalesce({name}, '')) <= {LONGEST}" for name in present)
    # The names are the importer's own.
    query = f"SELECT {', '.join(present)} FROM {table} WHERE {whole} LIMIT {_MOST_ROWS}"  # noqa: S608
    empty = dict.fromkeys(columns)
    return [{**empty, **dict(zip(present, row, strict=True))} for row in connection.execute(query)]


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    """Return the columns of a table; none for a view, which may be any computation."""
    kind = connection.execute("SELECT type FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    if kind != ("table",):
        return set()
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _opened(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(file))}?mode=ro&immutable=1", uri=True)


@contextmanager
def _at_rest(path: Path) -> Iterator[Path]:
    """Give a file that has all rows: the database itself, or, while it has a log, a private copy into which
    the log was taken over."""
    log = path.with_name(path.name + "-wal")
    for file in (path, log):
        if file.exists() and (not file.is_file() or file.stat().st_size > _LONGEST_FILE):
            raise _wrong(file, "is not a regular file of a size that is read")
    if not log.exists() or not log.stat().st_size:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="holdfast-") as directory:
        copy = Path(directory) / "copy.db"
        for file, target in ((path, copy), (log, copy.with_name("copy.db-wal"))):
            shutil.copyfile(file, target)
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode = DELETE")
        yield copy


def _wrong(path: Path, what: str) -> ConfigError:
    return ConfigError(f"{path} {what}; nothing was taken from it", next_step=f"ls -l {quoted(path)}")
