"""The pages of an SQLite file: how many there are, and how free ones go back to the file system.

SQLite does that a few pages at a time in files that were made for it (`auto_vacuum = INCREMENTAL`); every
other file is made so when it is written anew."""

from __future__ import annotations

import sqlite3

IN_NEW_FILES = "PRAGMA auto_vacuum = INCREMENTAL"
"""Comes before anything is written."""
BOUNDED_LOG = f"PRAGMA journal_size_limit = {8 * 1024**2}"
"""Cuts the write-ahead log to so many bytes each time that it was written back."""
_INCREMENTAL = 2
_PAGES = 200
"""Pages that are given back at once: 1 to 3 ms."""


def sizes(connection: sqlite3.Connection) -> tuple[int, int, bool]:
    """Return the bytes of a database, those of them that are free, and whether free ones can be given
    back."""
    pages, free, size, mode = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size", "auto_vacuum")
    )
    return pages * size, free * size, mode == _INCREMENTAL


def give_back(connection: sqlite3.Connection) -> int:
    """Give a few free pages back. Return their bytes."""
    size, free, can = sizes(connection)
    if not (free and can):
        return 0
    connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
    return max(0, size - sizes(connection)[0])


def write_anew(connection: sqlite3.Connection) -> None:
    """Write the file without free pages, such that later ones can be given back."""
    connection.execute(IN_NEW_FILES)
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
