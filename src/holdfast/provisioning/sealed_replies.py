"""Answers of a control plane as they came, kept before they are understood: what was paid for survives a
crash in the next line.

Room for an answer is taken on the disk before it is asked for, so that a disk which fills up meanwhile loses
no key."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from .._files import cannot, make_private_directory

_ROOM = 64 * 1024


class Sealed:
    """A directory (0700) of private files, one per intent."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def reserve(self, intent: str) -> None:
        """Take room on the disk. Raises ConfigError when there is none; nothing may be asked for then."""
        self._write(intent, b" " * _ROOM, os.O_CREAT | os.O_EXCL)

    def fill(self, intent: str, text: str) -> None:
        """Keep an answer, durable when this returns. Raises ConfigError."""
        self._write(intent, text.encode("utf-8", "replace"), os.O_CREAT)

    def text(self, intent: str) -> str | None:
        """The answer that was kept, or None. Raises ConfigError when it cannot be read."""
        path = self._directory / intent
        try:
            return path.read_text("utf-8").strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeError) as error:
            raise cannot("read", path, error if isinstance(error, OSError) else OSError(str(error))) from None

    def remove(self, intent: str) -> None:
        """Forget an answer; its key is somewhere else by now, or there was none."""
        with suppress(OSError):
            (self._directory / intent).unlink(missing_ok=True)

    def _write(self, intent: str, data: bytes, how: int) -> None:
        """Into the room that was taken, which is given back only behind what was written."""
        path = self._directory / intent
        try:
            make_private_directory(self._directory)
            handle = os.open(path, os.O_WRONLY | how, 0o600)
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(handle, rest) :]
                os.ftruncate(handle, len(data))
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise cannot("write", path, error) from None
