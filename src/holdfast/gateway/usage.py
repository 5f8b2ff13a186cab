"""Token counts out of a whole answer, from the few bytes where they stand."""

from __future__ import annotations

import re

_USAGE = b'"usage"'
_COUNT = re.compile(rb'"((?:prompt|completion|input|output|total|cache_read_input|cache_creation_input)_tokens)"\s*:\s*(\d{1,12})')
_NEAR = 1024


def usage_of(body: bytes) -> dict[str, int]:
    """The counts under the provider's names; empty where none are told. What a model wrote cannot be mistaken for them: a quote in
    a string is escaped."""
    at = body.rfind(_USAGE)
    if at < 0:
        return {}
    found: dict[str, int] = {}
    for name, count in _COUNT.findall(body, at, at + _NEAR):
        found.setdefault(name.decode("ascii"), int(count))
    return found
