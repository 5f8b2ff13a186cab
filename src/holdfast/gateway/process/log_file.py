"""A file for the gateway's log, in place of standard error, that never grows beyond two parts."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from ..._files import make_private_directory, open_lock, open_log, take_lock
from ...core.errors import ConfigError

MOST_BYTES = 10 * 1024**2
"""Bytes of a part. What was before the last part is deleted."""


class LogFile:
    """The file `path` as the standard error of this process and those that it forks.

    Each of them calls `look` now and then: the first that sees a full file moves it aside, and the others
    follow. So they do when another program has moved or removed it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            make_private_directory(path.parent)
            self._open()
        except OSError as error:
            raise ConfigError(
                f"the log {path} cannot be written: {error.strerror}",
                next_step="holdfast serve   (writes it to standard error)",
            ) from None

    def look(self) -> None:
        """Begin a new file where this one is full, moved or removed. Raises nothing."""
        with suppress(OSError):
            mine = os.fstat(sys.stderr.fileno())
            if not self._is_there(mine):
                self._open()
            elif mine.st_size > MOST_BYTES:
                self._set_aside(mine)

    def _set_aside(self, full: os.stat_result) -> None:
        """Move the full file aside and begin a new one, unless another process is doing so or has done it."""
        handle = open_lock(self._path.with_name(f".{self._path.name}.lock"))
        try:
            if take_lock(handle) and self._is_there(full):
                self._path.replace(older_part(self._path))
                self._open()
        finally:
            os.close(handle)

    def _is_there(self, mine: os.stat_result) -> bool:
        try:
            return os.path.samestat(mine, self._path.stat())
        except FileNotFoundError:
            return False

    def _open(self) -> None:
        handle = open_log(self._path)
        os.dup2(handle, sys.stderr.fileno())
        os.close(handle)


def default_log(state: Path) -> Path:
    """Return the log of a gateway in the background, below a home's directory of state."""
    return state / "gateway.log"


def older_part(path: Path) -> Path:
    """Return where the part of a log is that was full."""
    return path.with_name(f"{path.name}.1")
