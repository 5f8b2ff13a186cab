"""`holdfast report`: answers that Holdfast does not know, as shapes that hold nothing private."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .context import CliContext
from .output import clock, json_option, say, show_json, table

if TYPE_CHECKING:
    from ..engine.unclassified import UnclassifiedReplies


@click.command()
@click.argument("shape", metavar="ID", required=False)
@click.option("--list", "listed", is_flag=True, help="List the stored errors.")
@json_option
@click.pass_obj
def command(context: CliContext, shape: str | None, listed: bool, as_json: bool) -> None:
    """Show unrecognised provider errors, anonymised.

    Prints one as a line of JSON for a bug report: its structure, codes and known words, never a sentence.
    Nothing is sent anywhere.

    \b
    Example:
      holdfast report --list
    """
    from ..core.errors import ConfigError
    from ..engine.unclassified import UnclassifiedReplies

    kept = UnclassifiedReplies(context.home.state)
    if shape is None or listed:
        _list(kept, as_json=as_json)
        return
    found = kept.find(shape)
    if found is None:
        raise ConfigError(f"there is no stored error '{shape}'", next_step="holdfast report --list")
    say(found.line())


def _list(kept: UnclassifiedReplies, *, as_json: bool) -> None:
    if as_json:
        show_json(
            [
                {
                    "id": o.id,
                    "profile": o.profile,
                    "status": o.shape.get("status"),
                    "count": o.count,
                    "last_at": o.last_at,
                }
                for o in kept.all()
            ]
        )
        return
    rows = [
        [one.id, one.profile, str(one.shape.get("status") or "none"), str(one.count), clock(one.last_at)]
        for one in kept.all()
    ]
    table(
        ("ID", "PROFILE", "STATUS", "TIMES", "LAST"),
        rows,
        empty="no unrecognised error so far\n  run: holdfast why SESSION   (shows what was answered)",
    )
