"""Reads the counts of tokens that a Responses endpoint tells at the end of an answer."""

from __future__ import annotations

from .events import NO_USAGE, Event, Usage, UsageSeen
from .lenient import count_of, members_of


def counted(given: object) -> list[Event]:
    """Return the usage; nothing where none is told."""
    usage = members_of(given)
    read, thinking = (
        members_of(usage.get("input_tokens_details")),
        members_of(usage.get("output_tokens_details")),
    )
    counts = (
        *(usage.get("input_tokens"), read.get("cached_tokens"), read.get("cache_write_tokens")),
        *(usage.get("output_tokens"), thinking.get("reasoning_tokens")),
    )
    seen = Usage(*map(count_of, counts))
    if seen == NO_USAGE:
        return []
    return [UsageSeen(seen)]
