"""Gathers the counts of tokens that a Messages endpoint tells at the start and at the end of an answer."""

from __future__ import annotations

from .events import Event, Usage, UsageSeen
from .lenient import count_of, members_of

_NAMES = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
_INPUT, _THINKING = _NAMES[:3], "thinking_tokens"


class Counts:
    """The counts so far. They are of the whole answer: a later one replaces an earlier one. At the end some
    servers tell only zeros of the input: those replace nothing."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def take(self, given: object) -> list[Event]:
        """Return the usage as it is with what an event tells; nothing if it tells nothing."""
        usage = members_of(given)
        counts = {name: count_of(usage.get(name)) for name in _NAMES}
        counts[_THINKING] = count_of(members_of(usage.get("output_tokens_details")).get(_THINKING))
        fresh = {name: count for name, count in counts.items() if count is not None}
        if not fresh:
            return []
        if not any(fresh.get(name) for name in _INPUT):
            fresh |= {name: count for name, count in self._seen.items() if name in _INPUT}
        self._seen |= fresh
        return [UsageSeen(self._usage())]

    def _usage(self) -> Usage:
        """Return the counts in the form's sense: what a cache read or took is part of the input."""
        fresh, read, write, output = map(self._seen.get, _NAMES)
        if fresh is not None:
            fresh += (read or 0) + (write or 0)
        return Usage(
            input=fresh, cache_read=read, cache_write=write, output=output, thinking=self._seen.get(_THINKING)
        )
