"""Responses of a control plane, saved before they are parsed: a key that was paid for survives a crash.

Disk space for a response is reserved before the request, so that a disk that fills up meanwhile loses no
key."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from .._files import cannot, write_in_place

_RESERVED_BYTES = 64 * 1024


class SealedReplies:
    """A directory (0700) of private files, one for each intent."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._unsaved: dict[str, str] = {}
        """Responses that the disk refused: this process still has them."""

    def reserve(self, intent: str) -> None:
        """Reserve disk space. Raises ConfigError when there is none; no request may be sent then."""
        write_in_place(self._directory / intent, b" " * _RESERVED_BYTES, new=True)

    def fill(self, intent: str, text: str) -> None:
        """Save a response; it is on the disk when this returns. Raises ConfigError."""
        write_in_place(self._directory / intent, text.encode("utf-8", "replace"))

    def seal(self, intent: str, text: str) -> None:
        """Save a response, and keep it in this process if that fails. Raises ConfigError then."""
        self._unsaved[intent] = text
        self.fill(intent, text)
        del self._unsaved[intent]

    def text(self, intent: str) -> str | None:
        """Return the saved response, or None. Raises ConfigError when it cannot be read."""
        if intent in self._unsaved:
            return self._unsaved[intent]
        path = self._directory / intent
        try:
            return path.read_text("utf-8").strip() or None
        except FileNotFoundError:
            return None
        except UnicodeError:
            raise cannot("read", path, OSError(0, "not UTF-8 text")) from None
        except OSError as error:
            raise cannot("read", path, error) from None

    def intents(self) -> list[str]:
        """Return the intents that have a saved response, in the order of their names."""
        if not self._directory.is_dir():
            return []
        return [path.name for path in sorted(self._directory.iterdir()) if self.text(path.name)]

    def remove(self, intent: str) -> None:
        """Remove a response whose key is in the vault by now, or which has none."""
        self._unsaved.pop(intent, None)
        with suppress(OSError):
            (self._directory / intent).unlink(missing_ok=True)
