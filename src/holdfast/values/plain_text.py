"""Cleans text from outside, once for all who print it: a terminal, an SDK's message, JSON, a log.

What steers a terminal (control characters, C1, DEL), reorders text (bidirectional marks) or hides other text
(zero-width and tag characters, variation selectors) is replaced where it stands, so that nothing is lost
without a trace."""

from __future__ import annotations

import json
import re
from typing import Any
from unicodedata import category

# Printable for Python, and invisible all the same: fillers and selectors. Those after emoji stay.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0d\uffa0\U000e0100-\U000e01ef]"
)
_KEPT = frozenset("\n\t")
_REPLACED = "\N{REPLACEMENT CHARACTER}"


def plain(text: str) -> str:
    """Return text without characters that steer, reorder or hide; line breaks and tabs stay."""
    if text.isprintable() and (text.isascii() or _INVISIBLE.search(text) is None):
        return text
    return _INVISIBLE.sub(_REPLACED, "".join(map(_shown, text.replace("\r\n", "\n"))))


def plain_values(value: Any) -> Any:
    """Return a value of JSON types with all its texts, and the names of its members, cleaned."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain(str(name)): plain_values(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    return value


def plain_json(value: object, *, indent: int | None = None) -> str:
    """Return a value as JSON whose texts are cleaned; one that JSON does not know is written as text."""
    return json.dumps(plain_values(value), indent=indent, ensure_ascii=False, default=_as_text)


def _as_text(value: object) -> str:
    return plain(str(value))


def _shown(letter: str) -> str:
    if letter.isprintable() or letter in _KEPT:
        return letter
    return " " if category(letter) == "Zs" else _REPLACED
