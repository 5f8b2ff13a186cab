"""Word of changes by LISTEN, for `[store] notify`: a reader learns of a change at once instead of at its
next look. It looks all the same: no word comes through a pooler in transaction mode, nor over a broken
connection."""

from __future__ import annotations

import select
import time

import psycopg

from .postgres_line import Line
from .postgres_opening import Connection
from .time_limit import time_limit

_CHANNEL = "holdfast_changes"
LISTEN = f"LISTEN {_CHANNEL}".encode()
"""The first statement of a connection that is to hear of changes."""
NOTIFY = f"NOTIFY {_CHANNEL}"
"""Tells of a transaction's changes once it is committed."""
_CONNECT_SECONDS = 2.0
_TRIED_AGAIN_AFTER = 5.0
"""Seconds without word after a connection that failed."""


class Notices:
    """Waits for word on a connection of its own, whose first statement was `LISTEN`."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._silent_until = 0.0

    def wait(self, seconds: float) -> None:
        """Wait until somebody tells of a change, for `seconds` at most."""
        until = time.monotonic() + seconds
        if time.monotonic() < self._silent_until:
            time.sleep(seconds)
            return
        try:
            with time_limit(_CONNECT_SECONDS), self._line.use() as connection:
                _wait(connection, until)
        except psycopg.Error:
            self._silent_until = time.monotonic() + _TRIED_AGAIN_AFTER


def _wait(connection: Connection, until: float) -> None:
    """Wait for word, and take all of it. Raises psycopg.Error."""
    listening = connection.pgconn
    if listening.notifies() is None:
        readable = select.poll()
        readable.register(listening.socket, select.POLLIN)
        readable.poll(max(0.0, 1000 * (until - time.monotonic())))
        listening.consume_input()
    while listening.notifies() is not None:
        pass
