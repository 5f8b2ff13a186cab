"""`holdfast report`: errors of providers that no rule recognises, as shapes that hold nothing private."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from .context import CliContext
from .output import clock, json_option, say, show_json, table

if TYPE_CHECKING:
    from ..engine.unclassified import UnclassifiedReply


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

    stored = UnclassifiedReplies(context.home.state)
    if shape is None or listed:
        _list(stored.all(), as_json=as_json)
        return
    reply = stored.find(shape)
    if reply is None:
        raise ConfigError(f"there is no stored error '{shape}'", next_step="holdfast report --list")
    say(reply.line())


def _list(replies: Iterable[UnclassifiedReply], *, as_json: bool) -> None:
    views: list[dict[str, Any]] = [
        {
            "id": reply.id,
            "profile": reply.profile,
            "status": reply.shape.get("status"),
            "count": reply.count,
            "last_at": reply.last_at,
        }
        for reply in replies
    ]
    if as_json:
        show_json(views)
        return
    rows = []
    for shown in views:
        status = str(shown["status"] or "none")
        rows.append([shown["id"], shown["profile"], status, str(shown["count"]), clock(shown["last_at"])])
    table(
        ("ID", "PROFILE", "STATUS", "TIMES", "LAST"),
        rows,
        empty="no unrecognised error so far\n  run: holdfast why SESSION   (shows the answers)",
    )
