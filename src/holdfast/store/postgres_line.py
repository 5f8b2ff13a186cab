"""Connections to a PostgreSQL server that may stop answering: nobody waits for it longer than was allowed.

A server that hangs still acknowledges what it is sent, so that neither its own time-outs nor those of TCP
help. `Watchdog` cuts the socket of a call that takes too long, from a thread of its own; the call then fails
at once. A connection that is broken, or that a fail-over has left read-only, is replaced at the next call."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from .postgres_opening import Connect, Connection, Opening, Silent, silence
from .time_limit import seconds_allowed

_LOOKS_EVERY = 0.1
"""Seconds by which a call may be cut too late."""
_IDLE_LOOKS = 20
"""Looks without a call after which the thread ends."""
_LAST_WORDS = 2
"""What a server still sends on a connection that it ends: a message, and the end."""
_DOUBTED_AFTER = 1.0
"""Seconds for which a connection is used at least: a server that is read-only may be the only one."""


class Cut:
    """A call that is cut when its time is over, at `until` (monotonic seconds)."""

    __slots__ = ("done", "socket", "until")

    def __init__(self, line: socket.socket, until: float) -> None:
        self.socket, self.until = line, until
        self.done = False


class Watchdog:
    """The thread that cuts calls. It runs while there are any."""

    def __init__(self) -> None:
        self._calls: set[Cut] = set()
        self._lock = threading.Lock()
        self._runs = False

    def add(self, call: Cut) -> None:
        """Watch over a call."""
        with self._lock:
            self._calls.add(call)
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="holdfast-watchdog", daemon=True).start()

    def remove(self, call: Cut) -> None:
        """Forget a call that has ended: it is not cut any more."""
        with self._lock:
            self._calls.discard(call)

    def _run(self) -> None:
        idle = 0
        while True:
            time.sleep(_LOOKS_EVERY)
            now = time.monotonic()
            with self._lock:
                for call in self._calls:
                    if now >= call.until and not call.done:
                        call.done = True
                        with suppress(OSError):  # it is closed already
                            call.socket.shutdown(socket.SHUT_RDWR)
                idle = 0 if self._calls else idle + 1
                if idle > _IDLE_LOOKS:
                    self._runs = False
                    return


class Line:
    """A connection that threads use in turn, opened by `connect` when it is needed; `prepare` is its first
    statement. Where it `writes`, nobody knows of a call that was cut if it was done.

    `_socket` is a copy of its socket: cutting the copy cuts the connection, and its number is given to no
    other file meanwhile."""

    def __init__(self, connect: Connect, prepare: bytes, watchdog: Watchdog, *, writes: bool = False) -> None:
        self._opening, self._prepare, self._watchdog = Opening(connect), prepare, watchdog
        # A server that goes on does what it was sent, although nobody waits for its answer.
        self._unsure = "; what was to be stored may be stored all the same" if writes else ""
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._socket: socket.socket | None = None
        self._closed = self._doubted = False
        self._opened_at = 0.0

    @contextmanager
    def use(self) -> Iterator[Connection]:
        """Give the connection to this thread, for as long as it is allowed to wait. Raises psycopg.Error."""
        allowed = seconds_allowed()
        until = time.monotonic() + allowed
        if not self._lock.acquire(timeout=allowed):
            raise Silent(silence(allowed))
        try:
            connection, line, is_new = self._alive(until)
            call = Cut(line, until)
            self._watchdog.add(call)
            try:
                if is_new:
                    connection.execute(self._prepare)
                yield connection
            except psycopg.Error as error:
                if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
                    self._drop()
                if call.done:
                    raise Silent(f"{silence(allowed)}{self._unsure}") from error
                raise
            finally:
                self._watchdog.remove(call)
                if self._closed or connection.closed:
                    self._drop()
        finally:
            self._lock.release()

    def close(self, patience: float = 0.0) -> None:
        """Close the connection; one in use is cut after `patience` seconds."""
        self._closed = True
        if self._lock.acquire(timeout=patience):
            try:
                self._drop()
                self._opening.close()
            finally:
                self._lock.release()
        elif (line := self._socket) is not None:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def doubt(self) -> None:
        """Open another connection at the next call, unless this one is new."""
        self._doubted = time.monotonic() - self._opened_at >= _DOUBTED_AFTER

    def _alive(self, until: float) -> tuple[Connection, socket.socket, bool]:
        """Return the connection, the copy of its socket, and whether both are new."""
        if self._closed:
            raise psycopg.OperationalError("it is closed")
        if self._doubted:
            self._drop()
        connection, line = self._connection, self._socket
        if connection is not None and line is not None and not _has_ended(connection):
            return connection, line, False
        self._drop()
        self._doubted, self._opened_at = False, time.monotonic()
        connection = self._connection = self._opening.open(max(0.0, until - time.monotonic()))
        line = self._socket = socket.socket(fileno=os.dup(connection.pgconn.socket))
        return connection, line, True

    def _drop(self) -> None:
        """Close the connection and the copy of its socket."""
        connection, self._connection = self._connection, None
        line, self._socket = self._socket, None
        if connection is not None:
            connection.close()
        if line is not None:
            line.close()


def _has_ended(connection: Connection) -> bool:
    """Return whether an idle connection is over: nothing is sent on one that the server has ended, so that no
    write is lost without a trace."""
    if connection.closed:
        return True
    waiting = select.poll()
    waiting.register(connection.pgconn.socket, select.POLLIN)
    for _ in range(_LAST_WORDS):
        if not waiting.poll(0):
            return False
        try:
            connection.pgconn.consume_input()
        except psycopg.Error:
            return True
    return bool(waiting.poll(0))
