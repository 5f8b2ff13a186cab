"""Finds out whether a JSON text is whole, piece by piece and without parsing it: an answer that was cut short
must never pass as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .usage import NO_USAGE

_OPENING = (b"{", b"[")
BOM = b"\xef\xbb\xbf"
BLANK = BOM + b" \t\r\n"
"""The bytes that may stand before a JSON text."""


class JsonEnd:
    """Counts the brackets of a JSON text that comes in any pieces. It does not look for other mistakes."""

    __slots__ = ("_depth", "_in_string", "_pending")

    def __init__(self) -> None:
        self._depth, self._in_string = 0, False
        self._pending = b""

    @property
    def whole(self) -> bool:
        """Return whether every bracket and every string that was opened is closed."""
        return not (self._depth or self._in_string)

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._pending or data.find(b"\\") >= 0:
            data = (self._pending + data).replace(b"\\\\", b"")
            # A single backslash at the end belongs to the first byte of the next piece.
            self._pending = b"\\" * data.endswith(b"\\")
            data = data.removesuffix(b"\\").replace(b'\\"', b"")
        parts = data.split(b'"')
        outside = b"".join(parts[self._in_string :: 2])
        self._in_string ^= not len(parts) % 2
        count = outside.count
        self._depth += count(b"{") + count(b"[") - count(b"}") - count(b"]")


class JsonWatch:
    """Watches an answer that is too large to be examined (`response_stream.Watch`). One that does not begin
    as JSON has no end that can be seen."""

    __slots__ = ("_begun", "_end", "_json")

    cut = "the answer ended in the middle of its JSON"
    takes_events = whole = unread = moved = False
    error: bytes | None = None
    owed = b""
    model = ""
    objects: Sequence[str] = ()
    usage: Mapping[str, int] = NO_USAGE

    def __init__(self) -> None:
        self._end = JsonEnd()
        self._begun = self._json = False

    @property
    def ended(self) -> bool:
        """Return whether the answer is whole, as far as can be seen."""
        return self._end.whole

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if not self._begun:
            data = data.lstrip(BLANK)
            self._begun, self._json = bool(data), data.startswith(_OPENING)
        if self._json:
            self._end.feed(data)

    def close(self) -> None:
        """Do nothing: the brackets were counted as they came."""
