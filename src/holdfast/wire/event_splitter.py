"""Splits the bytes of a stream of server-sent events into the data of its events, wherever they were cut."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .json_codec import loads

_BLANK = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_LINE_END = re.compile(rb"[\r\n]")
_LONGEST_END = 3
"""Bytes of a blank line that may have come with the chunk before."""
_FIELDS = (b"data:", b"error:")
"""What holds data: `error` is a field of llama.cpp."""
_BOM = b"\xef\xbb\xbf"


def stands_alone(data: bytes) -> bool:
    """Return whether a line of data is an event of its own: the standard has lines that follow each other
    joined, but behind an object nothing can be. Some gateways end their events with one newline."""
    data = data.strip()
    if not (data.startswith(b"{") and data.endswith(b"}")):
        return data == b"[DONE]"
    try:
        return isinstance(loads(data), dict)
    except (ValueError, RecursionError):
        return False


class EventSplitter:
    """Gives the data of each whole event; comments, names and ids are left out. `_spread`: an event is under
    way whose data are in several lines."""

    __slots__ = ("_last", "_parts", "_spread")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._last = b""
        self._spread = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that are whole with this chunk."""
        if self._parts:
            # A long event comes in many pieces, which are put together once: where it may end.
            seen = self._last + chunk
            self._last = seen[-_LONGEST_END:]
            self._parts.append(chunk)
            if (_BLANK if self._spread else _LINE_END).search(seen) is None:
                return []
            chunk = b"".join(self._parts)
            self._parts.clear()
        if b"\r" in chunk:
            parts = _BLANK.split(chunk)
        else:
            parts = chunk.split(b"\n\n")
        rest = parts.pop()
        events = [data for part in parts for data in _data_of(part)]
        if rest and _LINE_END.search(rest):
            rest = self._take_lines(rest, events)
        if rest:
            self._parts, self._last = [rest], rest[-_LONGEST_END:]
        return events

    def close(self) -> list[bytes]:
        """Return the data of a last event that lacks only its blank line."""
        data = _data_of(b"".join(self._parts))
        self._parts.clear()
        return data

    def _take_lines(self, rest: bytes, events: list[bytes]) -> bytes:
        """Take the whole lines that stand alone; return what is to wait for more."""
        lines = rest.splitlines(keepends=True)
        self._spread = False
        for number, line in enumerate(lines):
            if not line.endswith((b"\n", b"\r")):
                return line
            for data in _fields((line,)):
                if not stands_alone(data):
                    self._spread = True
                    return b"".join(lines[number:])
                events.append(data.strip())
        return b""


def _data_of(event: bytes) -> list[bytes]:
    """Return the data of one event, or of several that no blank line parts."""
    if event.startswith(b"data:") and b"\n" not in event and b"\r" not in event:
        data = event[5:].strip()
        return [data] if data else []
    lines, alone = _fields(event.splitlines()), 0
    while alone < len(lines) - 1 and stands_alone(lines[alone]):
        alone += 1
    parts = (*lines[:alone], b"\n".join(lines[alone:]))
    return [data for part in parts if (data := part.strip())]


def _fields(lines: Iterable[bytes]) -> list[bytes]:
    """Return the data of lines that hold some."""
    return [line.partition(b":")[2] for line in lines if line.removeprefix(_BOM).startswith(_FIELDS)]
