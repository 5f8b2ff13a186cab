"""`holdfast status`: the gateways of this home that run now, and the keys that end soon."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from .context import CliContext
from .key_ends import ending
from .output import clock, json_option, say, show_json, table

if TYPE_CHECKING:
    from ..gateway.registry import RunningGateway


@click.command()
@json_option
@click.pass_obj
def command(context: CliContext, as_json: bool) -> None:
    """List the gateways of this home that run now.

    Each is asked to prove that it is this home's gateway; no token is shown to it. Keys that end soon are
    named below.

    \b
    Example:
      holdfast status
    """
    from ..gateway.registry import running

    gateways = [_view(context, gateway) for gateway in running(context.home.state)]
    if as_json:
        show_json(gateways)
        return
    table(
        ("URL", "BY", "PROCESS", "VERSION", "SINCE", "PROOF"),
        [
            (
                shown["url"],
                f"holdfast {shown['kind']}{', ending' * shown['draining']}",
                str(shown["pid"]),
                shown["version"],
                clock(shown["since"]),
                "this home's" if shown["proved"] else "none",
            )
            for shown in gateways
        ],
        empty="no gateway runs\n  run: holdfast serve",
    )
    now = time.time()
    for soon in ending(context, now):
        say(f"note: {soon.what(now)}", f"  run: {soon.run}")


def _view(context: CliContext, gateway: RunningGateway) -> dict[str, Any]:
    from ..gateway.listener import Listener

    return asdict(gateway) | {"proved": context.listener_at(gateway.url) is Listener.OURS}
