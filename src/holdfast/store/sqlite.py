"""The store in one SQLite file, shared by all processes of a user. Standard library only.

Two connections, each behind a lock: one writes, one reads. With WAL a reader never waits for a writer, so
reading the revision does not block while another thread waits for another process's transaction. A connection
for each thread was measured: it costs the same per call, but leaks with every thread that ends.

A fork waits until no thread is inside SQLite, whose own locks nobody would ever release in the child. The
child notices it at its next call: it opens its own connections and never touches its parent's.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from ..core.errors import StoreError
from . import sql, sqlite_pages
from .base import StoreAway
from .dbfile import APPLICATION_ID, DOCTOR, check_log, ensure, file_at, log_of
from .feed import Revision
from .migrations import MIGRATIONS, READABLE_BY, SCHEMA, check_readable
from .relational import RelationalStore
from .rows import Params, Row
from .time_limit import USUAL_SECONDS, seconds_allowed, time_limit
from .transaction import Transaction

_SERIAL = "INTEGER PRIMARY KEY"
_REVISION = sql.revision()
_REASONS = {
    "SQLITE_BUSY": "another process kept it locked for {allowed} s",
    "SQLITE_CANTOPEN": "the file or its directory cannot be written",
    "SQLITE_CORRUPT": "the file is damaged",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_IOERR": "the disk cannot be read or written",
    "SQLITE_NOTADB": "the file is damaged or not a database",
    "SQLITE_READONLY": "it can be read but not written",
}
# The connections that a forked child inherited: closing or collecting them there would disturb the parent's
# locks.
_inherited: list[sqlite3.Connection] = []
_FORK_SECONDS = 1.0
"""Seconds for which a fork waits for threads: those that wait for another process are inside for long."""
_ANEW = "holdfast token new   (makes a new store, for a new beginning; otherwise move the file back)"
_opening = threading.RLock()
_stores: weakref.WeakSet[SqliteStore] = weakref.WeakSet()
_held: list[Any] = []


class SqliteStore(RelationalStore):
    """A `Store` in the file `path`, created on first use (0600, in a directory of 0700).

    Raises StoreError if the file is damaged, another program's, or of a newer version; it is never
    replaced."""

    _closed = False
    _left: tuple[sqlite3.Connection, ...] = ()

    def __init__(self, path: str | Path, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self.path = Path(path)
        self._explained = _Explained(self.path)
        self._open()
        _stores.add(self)

    @property
    def locks(self) -> tuple[threading.Lock, threading.Lock]:
        """Return the locks of which a thread holds one while it is inside SQLite."""
        return self._writing, self._reading

    def _open(self) -> None:
        self._pid = os.getpid()
        self._writing, self._reading = threading.Lock(), threading.Lock()
        self._files, self._left = 0, ()
        self._connect()

    def _connect(self) -> None:
        """Open the connections, where there are none yet or those of before are not used any more."""
        with _opening, self._explained:
            ensure(self.path, _build)
            writer = connect(self.path)
            try:
                migrate(writer, self.path)
                reader = connect(self.path)
            except BaseException:
                writer.close()
                raise
        self._seen, self._revision = -1, Revision(0, "")
        self._patience: dict[sqlite3.Connection, float] = {}
        self._writer, self._reader = writer, reader
        self._file, self._files = file_at(self.path), self._files + 1
        self._log = file_at(log_of(self.path))

    def _here(self) -> None:
        """Open new connections after a fork, because SQLite's must not be used across one, and where another
        file has taken the place of the one that is open. Raises StoreAway where there is none."""
        if self._pid != os.getpid():
            _inherited.extend((self._writer, self._reader))
            self._open()
        elif file_at(self.path) != self._file and not self._closed:
            self._follow_the_file()

    def _follow_the_file(self) -> None:
        with _opening:
            file = file_at(self.path)
            if file is None:
                what = "is gone: it was moved or deleted while this program had it open"
                raise StoreAway(f"the store {self.path} {what}", next_step=_ANEW)
            if file != self._file:
                check_log(self.path, self._log)
                # A thread may be inside the old ones, which are closed at the end.
                left = (*self._left, self._writer, self._reader)
                try:
                    self._connect()
                except StoreError as error:
                    raise StoreAway(error.what, next_step=error.next_step) from error
                self._left = left

    def revision(self) -> Revision:
        self._here()
        with self._reading, self._explained:
            (seen,) = self._reader.execute("PRAGMA data_version").fetchone()
            if seen != self._seen:  # there was a commit, perhaps of the journal only: the counter tells
                self._revision = self._numbered_by(self._reader.execute(_REVISION).fetchone())
                self._seen = seen
            return self._revision

    def _numbered_by(self, row: Row) -> Revision:
        """Return the revision in a row of the file that is open: the numbers of another file are others."""
        number, epoch = row
        return Revision(number, f"{epoch} {self._files}")

    def glance(self) -> Revision | None:
        """Return the revision while no thread is reading: a reader waits for no writer."""
        if self._pid != os.getpid() or file_at(self.path) != self._file:
            return None
        if not self._reading.acquire(blocking=False):
            return None
        try:
            (seen,) = self._reader.execute("PRAGMA data_version").fetchone()
            if seen != self._seen:  # not for a moment longer, whatever another program does to the file
                self._reader.execute("PRAGMA busy_timeout = 0")
                self._patience[self._reader] = 0.0
                self._revision = self._numbered_by(self._reader.execute(_REVISION).fetchone())
                self._seen = seen
            return self._revision
        except sqlite3.Error:
            return None
        finally:
            self._reading.release()

    def close(self) -> None:
        self._closed = True
        self._here()
        with self._writing:
            self._writer.close()
        with self._reading:
            self._reader.close()
        for connection in self._left:
            connection.close()

    @contextmanager
    def _turn(self, lock: threading.Lock, connection: sqlite3.Connection) -> Iterator[None]:
        """Give a connection to this thread alone, for as long as it may wait for threads and for processes.
        Raises StoreError."""
        allowed = seconds_allowed()
        if not lock.acquire(timeout=allowed):
            raise StoreAway(
                f"the store {self.path} failed: others kept it locked for {allowed:g} s", next_step=DOCTOR
            )
        try:
            with self._explained:
                if self._patience.get(connection, USUAL_SECONDS) != allowed:
                    connection.execute(f"PRAGMA busy_timeout = {int(1000 * allowed)}")
                    self._patience[connection] = allowed
                yield
        finally:
            lock.release()

    def _read(self, text: str, params: Params) -> list[Row]:
        self._here()
        with self._turn(self._reading, self._reader):
            return self._reader.execute(text, params).fetchall()

    @contextmanager
    def _write(self) -> Iterator[Transaction]:
        self._here()
        with self._turn(self._writing, self._writer), _immediate(self._writer):
            yield self._writer

    def _bytes(self) -> tuple[int, int, bool]:
        self._here()
        with self._turn(self._reading, self._reader):
            return sqlite_pages.sizes(self._reader)

    def compact(self) -> int:
        self._here()
        with self._turn(self._writing, self._writer):
            return sqlite_pages.give_back(self._writer)

    def vacuum(self) -> None:
        self._here()
        # However long it may take: nobody waits so long for others.
        with time_limit(min(USUAL_SECONDS, seconds_allowed())), self._turn(self._writing, self._writer):
            sqlite_pages.write_anew(self._writer)

    @contextmanager
    def _durable(self) -> Iterator[Transaction]:
        self._here()
        with self._turn(self._writing, self._writer):
            self._writer.execute("PRAGMA synchronous = FULL")
            try:
                with _immediate(self._writer):
                    yield self._writer
            finally:
                self._writer.execute("PRAGMA synchronous = NORMAL")


def connect(path: Path | str) -> sqlite3.Connection:
    """Return a connection in autocommit mode that threads may share under a lock. It never creates a file."""
    name = str(path)
    if isinstance(path, Path):
        name = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(
        name, timeout=USUAL_SECONDS, isolation_level=None, check_same_thread=False, uri=True
    )
    try:
        # With WAL, a power cut may cost the last commits, never the consistency.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(sqlite_pages.BOUNDED_LOG)
    except BaseException:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Update the schema to this version, step by step. Several processes may do so at once: each step is done
    by one of them."""
    while (number := steps_taken(connection)) < len(MIGRATIONS):
        with _immediate(connection):
            if steps_taken(connection) == number:
                for statement in MIGRATIONS[number]:
                    connection.execute(statement.format(serial=_SERIAL))
                _mark(connection, number + 1)
    check_readable(int(connection.execute("PRAGMA user_version").fetchone()[0]), f"the store {path}")


def steps_taken(connection: sqlite3.Connection) -> int:
    """Return the number of the schema's steps that were taken."""
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        ((taken,),) = connection.execute(sql.META, {"name": SCHEMA}).fetchall()
        number = max(number, int(taken))
    return int(number)


def _mark(connection: sqlite3.Connection, taken: int) -> None:
    """Write down how many steps were taken, and how many a version must know."""
    if taken <= READABLE_BY:
        connection.execute(f"PRAGMA user_version = {taken}")
    else:
        connection.execute(sql.META_TABLE)
        connection.execute(sql.META_SET, {"name": SCHEMA, "value": str(taken)}).fetchall()


def _build(path: Path) -> None:
    try:
        with closing(connect(path)) as connection:
            connection.execute(sqlite_pages.IN_NEW_FILES)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("PRAGMA journal_mode = WAL")
            migrate(connection, path)
    except sqlite3.OperationalError as error:
        if not error.sqlite_errorname.startswith("SQLITE_BUSY"):
            raise
        # Nobody else knows of the new file.
        what = f"no store can be made in {path.parent}: its file system gives no locks"
        step = 'holdfast config edit   (to write [gateway] store = "sqlite:/A/LOCAL/PATH/state.db")'
        raise StoreError(what, next_step=step) from error


@contextmanager
def _immediate(connection: sqlite3.Connection) -> Iterator[None]:
    """Run a transaction that may write from its first statement on, so that what it reads stays valid."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class _Explained:
    """Turns SQLite's errors, and values that it cannot store, into a StoreError that names the file and the
    command. One object for all calls: a generator for each would cost a third of reading the revision."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, sqlite3.Error):
            name = getattr(error, "sqlite_errorname", "")
            reason = next((text for known, text in _REASONS.items() if name.startswith(known)), str(error))
            reason = reason.replace("{allowed}", f"{seconds_allowed():g}")
            kind = StoreError if isinstance(error, sqlite3.ProgrammingError) else StoreAway
            raise kind(f"the store {self._path} failed: {reason}", next_step=DOCTOR) from error
        if isinstance(error, UnicodeError | OverflowError):
            raise StoreError(
                f"the store {self._path} cannot keep this value: {error}", next_step=DOCTOR
            ) from error


def _keep_threads_out() -> None:
    """Let no thread be inside SQLite while this process forks."""
    locks: dict[Any, None] = dict.fromkeys(lock for store in list(_stores) for lock in store.locks)
    locks[_opening] = None
    until = time.monotonic() + _FORK_SECONDS
    _held.extend(lock for lock in locks if lock.acquire(timeout=max(0.0, until - time.monotonic())))


def _let_threads_in() -> None:
    while _held:
        _held.pop().release()


def _begin_without_threads() -> None:
    """Begin in a forked child, where no thread is left that could release a lock. A store makes its own anew
    when it is opened again."""
    global _opening  # noqa: PLW0603
    _held.clear()
    _opening = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_keep_threads_out, after_in_parent=_let_threads_in, after_in_child=_begin_without_threads
    )
