"""The removal of the sessions that nobody used for a time, for `holdfast session remove --unused-for`."""

from __future__ import annotations

from .context import CliContext
from .output import FEW, count, say, some_of

_AT_ONCE = 1_000
"""Sessions that are counted with one question to the store."""


def remove_unused(context: CliContext, text: str, *, apply: bool) -> None:
    """Remove the sessions that were not used for so long, or say how many these are. Raises ConfigError for a
    text that is no time."""
    from ..core.errors import ConfigError
    from ..values import times

    seconds = times.duration(text)
    if seconds is None or seconds <= 0:
        what = f"'{text}' is no time such as 30d"
        raise ConfigError(what, next_step="holdfast session remove --unused-for 30d")
    store = context.existing_store
    before = store.newest() - seconds
    if not apply:
        _count(context, before, text)
        return
    removed = 0
    while portion := store.forget_sessions(before):
        removed += portion
    say(f"Removed {count(removed, 'session')}")


def _count(context: CliContext, before: float, text: str) -> None:
    """Say how many sessions were not used since `before` (epoch seconds), and name a few."""
    first: list[str] = []
    unused, last = 0, ""
    while portion := context.existing_store.unused_sessions(before, _AT_ONCE, last):
        first = first or portion[: FEW + 1]
        unused, last = unused + len(portion), portion[-1]
    if not unused:
        say(f"every session was used within {text}")
        return
    named = some_of(first) if unused <= FEW else f"{', '.join(first[:FEW])}, ..."
    say(f"{count(unused, 'session')} would be removed; nothing was changed: {named}")
    say(f"  run: holdfast session remove --unused-for {text} --apply")
