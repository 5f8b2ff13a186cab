"""The one change that makes a text of another, so that it can be undone to the byte."""

from __future__ import annotations


def splice(before: str, after: str) -> tuple[int, str, str]:
    """Return the one change between two texts: its position, the text removed, the text inserted."""
    at = _common_length(before, after)
    tail = _common_length(before[at:][::-1], after[at:][::-1])
    return at, before[at : len(before) - tail], after[at : len(after) - tail]


def _common_length(first: str, second: str) -> int:
    """Return the number of characters at the beginning that two texts share."""
    shared, most = 0, min(len(first), len(second))
    while shared < most:
        middle = (shared + most + 1) // 2
        if first[shared:middle] == second[shared:middle]:
            shared = middle
        else:
            most = middle - 1
    return shared
