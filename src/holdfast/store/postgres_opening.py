"""Opens connections to a PostgreSQL server within a time: libpq bounds the connection itself, but not the
look-up of the server's name, nor several addresses in turn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]
Connect = Callable[[float], Connection]
"""Opens a connection within so many seconds, or later. Raises psycopg.Error."""


class Silent(psycopg.OperationalError):
    """The server gave no answer in time."""


class Opening:
    """Opens one connection at a time, each on a thread of its own: who waited in vain leaves it to the next.
    Used by one thread at a time."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._under_way: Future[Connection] | None = None

    def open(self, seconds: float) -> Connection:
        """Return a new connection. Raises psycopg.Error; Silent if there is none within `seconds`."""
        opening = self._under_way
        if opening is None:
            opening = self._under_way = Future()
            arguments = (self._connect, seconds, opening)
            threading.Thread(target=_open, args=arguments, name="holdfast-connect", daemon=True).start()
        try:
            connection = opening.result(seconds)
        except TimeoutError:
            raise Silent(silence(seconds)) from None
        except Exception:
            self._under_way = None
            raise
        self._under_way = None
        return connection

    def close(self) -> None:
        """Close the connection that is still being opened, once it is there."""
        opening, self._under_way = self._under_way, None
        if opening is not None:
            opening.add_done_callback(_close)


def silence(seconds: float) -> str:
    """Return what happened, for a message."""
    return f"it gave no answer within {round(seconds, 1):g} s"


def _open(connect: Connect, seconds: float, opening: Future[Connection]) -> None:
    try:
        opening.set_result(connect(seconds))
    except BaseException as error:
        opening.set_exception(error)


def _close(opening: Future[Connection]) -> None:
    with suppress(psycopg.Error):
        opening.result().close()
