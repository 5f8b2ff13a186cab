"""The arguments of a call while they arrive."""

from __future__ import annotations

import json
import re
from typing import Any

_SIGNS = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)
_STEP = {"{": 1, "[": 1, "}": -1, "]": -1}


class Arguments:
    """Gathers the pieces and tells when they are a whole JSON object. Every piece is looked at once."""

    __slots__ = ("_depth", "_escaping", "_in_string", "_object", "_pieces", "_scanned", "_tried")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._scanned = self._depth = 0
        self._in_string = self._escaping = self._tried = False
        self._object: dict[str, Any] | None = None

    def __bool__(self) -> bool:
        return bool(self._pieces)

    @property
    def text(self) -> str:
        """Return all that came."""
        return "".join(self._pieces)

    def feed(self, piece: str) -> None:
        """Take the next piece."""
        self._pieces.append(piece)

    def read(self) -> dict[str, Any] | None:
        """Return the object that they are by now; None if they are none, or not yet."""
        if self._scanned < len(self._pieces):
            fresh = "".join(self._pieces[self._scanned :])
            self._scanned = len(self._pieces)
            if self._tried:
                self._go_on(fresh)
            elif self._scan(fresh):
                self._tried, self._object = True, object_of(self.text)
        return self._object

    def end_in(self, piece: str) -> int:
        """Return how many letters of the next piece belong to the object: all, unless more than blanks follow
        its end."""
        if self.read() is not None:
            return 0
        if self._tried:
            return len(piece)
        depth, in_string = self._depth, self._in_string
        for match in _SIGNS.finditer(piece, int(self._escaping)):
            sign = match[0]
            if sign == '"':
                in_string = not in_string
            elif not in_string and sign[0] != "\\":
                depth += _STEP[sign]
                if not depth and sign == "}":
                    return self._ended_at(piece, match.end())
        return len(piece)

    def _ended_at(self, piece: str, end: int) -> int:
        if piece[end:].strip() and object_of(self.text + piece[:end]) is not None:
            return end
        return len(piece)

    def _go_on(self, fresh: str) -> None:
        """Take what comes behind the end, where only blanks may be."""
        if fresh.strip():
            self._object = None

    def _scan(self, text: str) -> bool:
        """Return whether the outermost bracket is closed at the end of `text`."""
        start = 0
        if self._escaping:
            start, self._escaping = 1, False
        for match in _SIGNS.finditer(text, start):
            sign = match[0]
            if sign[0] == "\\":
                self._escaping = len(sign) == 1
            elif sign == '"':
                self._in_string = not self._in_string
            elif not self._in_string:
                self._depth += _STEP[sign]
        return self._depth <= 0 and not self._in_string and text.rstrip()[-1:] == "}"


def object_of(text: str) -> dict[str, Any] | None:
    """Return the JSON object that a text is; None if it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        return value
    return None
