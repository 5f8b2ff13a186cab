"""What the errors of a PostgreSQL server mean to users."""

from __future__ import annotations

import psycopg

from ..core.errors import StoreError
from .base import StoreAway

BUSY_SECONDS = 5
"""Seconds for which a write waits for other processes."""
_NEXT_STEP = "holdfast doctor"


class Explained:
    """Turns the server's errors, and values that it cannot store, into a StoreError that names the database
    and the command."""

    __slots__ = ("_shown",)

    def __init__(self, url: str) -> None:
        # The user before the host and the parameters after a question mark are not shown.
        self._shown = f"postgresql://{url.partition('://')[2].partition('?')[0].rpartition('@')[2]}"

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, psycopg.DataError | UnicodeError | OverflowError):
            raise StoreError(
                f"the store {self._shown} cannot keep this value: {error}", next_step=_NEXT_STEP
            ) from error
        if isinstance(error, psycopg.errors.LockNotAvailable):
            raise StoreAway(
                f"the store {self._shown} failed: another process kept it locked for {BUSY_SECONDS} s",
                next_step=_NEXT_STEP,
            ) from error
        if isinstance(error, psycopg.Error):
            raise StoreAway(
                f"the store {self._shown} failed: {' '.join(str(error).split())}", next_step=_NEXT_STEP
            ) from error
