"""Token counts as providers tell them: out of a whole answer, from the few bytes where they stand, and by
what they count."""

from __future__ import annotations

import re
from collections.abc import Mapping

_USAGE = b'"usage"'
_COUNT = re.compile(
    rb'"((?:prompt|completion|input|output|total|cache_read_input|cache_creation_input)_tokens)"\s*:\s*(\d{1,12})'
)
_NEAR = 1024
_KINDS = {
    "prompt_tokens": "input",
    "input_tokens": "input",
    "completion_tokens": "output",
    "output_tokens": "output",
    "cache_read_input_tokens": "cache-read",
    "cache_creation_input_tokens": "cache-write",
}


def usage_of(body: bytes) -> dict[str, int]:
    """The counts under the provider's names; empty where none are told. What a model wrote cannot be mistaken
    for them: a quote in a string is escaped."""
    at = body.rfind(_USAGE)
    if at < 0:
        return {}
    found: dict[str, int] = {}
    for name, count in _COUNT.findall(body, at, at + _NEAR):
        found.setdefault(name.decode("ascii"), int(count))
    return found


def by_kind(usage: Mapping[str, int]) -> dict[str, int]:
    """The same by the kind of token, for the journal; without what is a sum or counts nothing."""
    return {_KINDS[name]: count for name, count in usage.items() if count and name in _KINDS}
