"""Token counts as providers report them: read out of a whole answer, and sorted by kind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

NO_USAGE: Mapping[str, int] = MappingProxyType({})
_USAGE = b'"usage"'
_COUNT = re.compile(
    rb'"((?:prompt|completion|input|output|total|cache_read_input|cache_creation_input)_tokens)"'
    rb"\s*:\s*(\d{1,12})(?![\d.eE])"
)
_MOST = 10**12
"""Counts from here on, and negative ones, are a provider's error: no sum of them could be stored."""
_NEAR = 1024
"""Bytes after the key `usage` in which the counts are looked for, so that the body need not be parsed."""
_KINDS = {
    "prompt_tokens": "input",
    "input_tokens": "input",
    "completion_tokens": "output",
    "output_tokens": "output",
    "cache_read_input_tokens": "cache-read",
    "cache_creation_input_tokens": "cache-write",
}
_COUNTED = frozenset({*_KINDS, "total_tokens"})


def usage_of(body: bytes) -> dict[str, int]:
    """Return the counts under the provider's names; empty where there are none.

    What a model wrote cannot be mistaken for them: a quote in a string is escaped.
    """
    at = body.rfind(_USAGE)
    if at < 0:
        return {}
    counts: dict[str, int] = {}
    for name, count in _COUNT.findall(body, at, at + _NEAR):
        counts.setdefault(name.decode("ascii"), int(count))
    return counts


def usage_in(document: Mapping[str, Any]) -> dict[str, int]:
    """Return the same of an answer, an event or a part of one that is parsed."""
    usage = document.get("usage")
    if not isinstance(usage, dict):
        return {}
    return {name: count for name, count in usage.items() if name in _COUNTED and _is_count(count)}


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < _MOST


def by_kind(usage: Mapping[str, int]) -> dict[str, int]:
    """Return counts by the kind of token, for the journal; without sums and zeros."""
    return {_KINDS[name]: count for name, count in usage.items() if count and name in _KINDS}


def in_and_out(usage: Mapping[str, int]) -> tuple[int, int]:
    """Return the tokens that a request took and those that it made, of counts under a provider's names or
    by kind."""
    kinds = by_kind(usage) or usage
    taken = kinds.get("input", 0) + kinds.get("cache-read", 0) + kinds.get("cache-write", 0)
    return taken, kinds.get("output", 0)
