"""`holdfast usage`: how many requests were answered, and the tokens that providers counted for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from . import complete
from .context import CliContext
from .output import json_option, show_json, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..store.usage import Usage

_FIELDS = ("day", "session", "key", "pin")
_COUNTS = ("requests", "tokens_in", "tokens_out")
_DAY = 86_400.0


@click.command()
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(_FIELDS),
    help="Sum for each of these (day and pin where none is given); may be repeated.",
)
@click.option("--session", help="Of this session only.", shell_complete=complete.sessions)
@click.option(
    "--days", default=30, show_default=True, type=click.IntRange(1), help="How many days to look back."
)
@json_option
@click.pass_obj
def command(context: CliContext, by: tuple[str, ...], session: str | None, days: int, as_json: bool) -> None:
    """Show how many requests were answered, and their tokens.

    Days are those of UTC. Running gateways and programs add to the sums every few seconds. Tokens are those
    that providers counted.

    \b
    Example:
      holdfast usage
      holdfast usage --by key --by pin --days 7
    """
    from ..engine.provenance import usage_values
    from ..store.usage import day_of

    store = context.existing_store
    fields = [name for name in _FIELDS if name in (by or ("day", "pin"))]
    sums = store.usage(fields, session=session, since=day_of(store.now() - (days - 1) * _DAY))
    if as_json:
        show_json([usage_values(line) for line in sums])
        return
    rows = [_cells(line, fields) for line in sums]
    head = [name.upper() for name in fields] + ["REQUESTS", "TOKENS IN", "TOKENS OUT"]
    table(head, rows, empty="no request was answered in these days")


def _cells(line: Usage, fields: Sequence[str]) -> list[str]:
    """Return the row of a sum: the fields that it is for, and its counts."""
    cells = [str(getattr(line, name)) for name in fields]
    return cells + [f"{getattr(line, name):,}" for name in _COUNTS]
