"""Answers of a control plane as they came, kept before they are understood: what was paid for survives a
crash in the next line.

Room for an answer is taken on the disk before it is asked for, so that a disk which fills up meanwhile loses
no key."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from .._files import cannot, write_in_place

_ROOM = 64 * 1024


class Sealed:
    """A directory (0700) of private files, one per intent."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def reserve(self, intent: str) -> None:
        """Take room on the disk. Raises ConfigError when there is none; nothing may be asked for then."""
        write_in_place(self._directory / intent, b" " * _ROOM, new=True)

    def fill(self, intent: str, text: str) -> None:
        """Keep an answer, durable when this returns. Raises ConfigError."""
        write_in_place(self._directory / intent, text.encode("utf-8", "replace"))

    def text(self, intent: str) -> str | None:
        """Return the answer that was kept, or None. Raises ConfigError when it cannot be read."""
        path = self._directory / intent
        try:
            return path.read_text("utf-8").strip() or None
        except FileNotFoundError:
            return None
        except UnicodeError:
            raise cannot("read", path, OSError(0, "not UTF-8 text")) from None
        except OSError as error:
            raise cannot("read", path, error) from None

    def remove(self, intent: str) -> None:
        """Forget an answer; its key is somewhere else by now, or there was none."""
        with suppress(OSError):
            (self._directory / intent).unlink(missing_ok=True)
