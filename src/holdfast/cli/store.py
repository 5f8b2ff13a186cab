"""`holdfast store`: how large the database is, and what makes it smaller."""

from __future__ import annotations

from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

import click

from .context import CliContext
from .groups import Nouns
from .output import clock, count, json_option, say, show_json, table
from .progress import waiting

if TYPE_CHECKING:
    from ..core.config import StoreSettings
    from ..store.base import Store

_DAY = 86_400.0
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_AT_ONCE = 1_000
"""Sessions that are counted with one question to the store."""
_LONGEST_VACUUM = 3_600.0
"""Seconds that a vacuum may take."""


@click.group(cls=Nouns)
def command() -> None:
    """Show how large the store is, and make it smaller.

    The table [store] of holdfast.toml says how long things are kept; running gateways and programs see to it.

    \b
    Example:
      holdfast store status
    """


@command.command()
@json_option
@click.pass_obj
def status(context: CliContext, as_json: bool) -> None:
    """Show the store's size, its rows by table, and what would be pruned.

    \b
    Example:
      holdfast store status
    """
    store, settings = context.existing_store, context.config.store
    with waiting("counting the rows of the store"):
        now = store.status()
        old = store.count_old(settings.keep / _DAY)
        unused = _count_unused(store, settings)
    if as_json:
        limits = {"keep": settings.keep, "max_size": settings.max_size, "forget_sessions": None}
        if isfinite(settings.forget_sessions):
            limits["forget_sessions"] = settings.forget_sessions
        prunable = {"journal": old, "session": unused}
        show_json(asdict(now) | {"settings": limits, "prunable": prunable})
        return
    size, free, most = map(shown_size, (now.size, now.free, settings.max_size))
    say(f"{size}, of which {free} are free; at most {most}")
    table(
        ("TABLE", "ROWS", "OLDEST", "NEWEST"),
        [[row.name, str(row.rows), _time(row.oldest), _time(row.newest)] for row in now.tables],
        empty="no table",
    )
    say(f"{count(old, 'line')} of the journal and {count(unused, 'session')} are older than they are kept")
    if old or unused:
        say("  run: holdfast store prune   (a running gateway does it by itself)")
    if not now.shrinks:
        say("the file does not shrink by itself: an older version made it", "  run: holdfast store vacuum")


@command.command()
@json_option
@click.pass_obj
def prune(context: CliContext, as_json: bool) -> None:
    """Delete what is old, now.

    That is what is older than it is kept, and the oldest lines of a store that is too large.

    It goes in small portions, beside running gateways, which need not wait.

    \b
    Example:
      holdfast store prune
    """
    import time

    from ..engine.upkeep import portions
    from ..store.upkeep import PAUSE

    with waiting("deleting what is old"):
        before, deleted = context.existing_store.status().size, 0
        for rows in portions(context.existing_store, context.config.store):
            deleted += rows
            time.sleep(PAUSE)
    _tell_sizes(context, before, {"deleted": deleted}, as_json=as_json)


@command.command()
@json_option
@click.pass_obj
def vacuum(context: CliContext, as_json: bool) -> None:
    """Write the store anew without its free bytes. Running gateways wait meanwhile for what they write.

    Only a file that an older version made needs it: the file shrinks by itself from then on.

    \b
    Example:
      holdfast store vacuum
    """
    from ..store.time_limit import time_limit

    with waiting("writing the store anew"), time_limit(_LONGEST_VACUUM):
        before = context.existing_store.status().size
        context.existing_store.vacuum()
    _tell_sizes(context, before, {}, as_json=as_json)


@command.command()
@click.option("--replace", is_flag=True, required=True, help="Let this home's pepper be the database's.")
@click.pass_obj
def pepper(context: CliContext, replace: bool) -> None:  # noqa: ARG001 - it says what is done
    """Let this home's pepper be the database's.

    Homes that have the one of before are refused from then on, and what was known of keys is not recognised.

    \b
    Example:
      holdfast store pepper --replace
    """
    from ..engine.home_store import take_over_store

    take_over_store(context.home, context.config)
    say("The database belongs to homes with this home's pepper now")


def _tell_sizes(context: CliContext, before: int, done: dict[str, Any], *, as_json: bool) -> None:
    """Say what was done and how large the store is, which was `before` bytes large."""
    size = context.existing_store.status().size
    if as_json:
        show_json(done | {"size_before": before, "size": size})
        return
    if "deleted" in done:
        say(f"Deleted {count(done['deleted'], 'row')}")
    say(f"The store has {shown_size(size)} now, {shown_size(before)} before")


def _count_unused(store: Store, settings: StoreSettings) -> int:
    """Return the number of sessions that are forgotten by the configuration."""
    if not isfinite(settings.forget_sessions):
        return 0
    before, unused, last = store.newest() - settings.forget_sessions, 0, ""
    while portion := store.unused_sessions(before, _AT_ONCE, last):
        unused, last = unused + len(portion), portion[-1]
    return unused


def _time(at: float | None) -> str:
    return "" if at is None else clock(at)


def shown_size(size: float) -> str:
    """Return a number of bytes for people: 1536 is `1.5 KiB`."""
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{size:.0f} B"
