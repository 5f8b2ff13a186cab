"""Splits the bytes of a stream of server-sent events into the data of its events, wherever they were cut."""

from __future__ import annotations

import re

_BLANK = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LONGEST_END = 3
"""Bytes of a blank line that may have come with the chunk before."""
_FIELDS = (b"data:", b"error:")
"""What holds data: `error` is a field of llama.cpp."""


class EventSplitter:
    """Gives the data of each whole event; comments, names and ids are left out."""

    __slots__ = ("_last", "_parts")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._last = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that are whole with this chunk."""
        if self._parts:
            # A long event comes in many pieces, which are put together once: where it may end.
            seen = self._last + chunk
            self._last = seen[-_LONGEST_END:]
            self._parts.append(chunk)
            if _BLANK.search(seen) is None:
                return []
            chunk = b"".join(self._parts)
            self._parts.clear()
        if b"\r" in chunk:
            events = _BLANK.split(chunk)
        else:
            events = chunk.split(b"\n\n")
        rest = events.pop()
        if rest:
            self._parts, self._last = [rest], rest[-_LONGEST_END:]
        return [data for event in events if (data := _data_of(event))]

    def close(self) -> list[bytes]:
        """Return the data of a last event that lacks only its blank line."""
        data = _data_of(b"".join(self._parts))
        self._parts.clear()
        if not data:
            return []
        return [data]


def _data_of(event: bytes) -> bytes:
    """Return the data of one event."""
    if event.startswith(b"data:") and b"\n" not in event and b"\r" not in event:
        return event[5:].strip()
    lines = [line for line in event.splitlines() if line.lstrip(b"\xef\xbb\xbf").startswith(_FIELDS)]
    return b"\n".join(line.partition(b":")[2] for line in lines).strip()
