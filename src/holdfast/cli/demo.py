"""`holdfast demo`: the stories, told live."""

from __future__ import annotations

import click


@click.command()
@click.pass_context
def command(ctx: click.Context) -> None:
    """Run a session through providers that misbehave, on this machine's own sockets. Needs no key and no network.

    \b
    Example:
      holdfast demo
    """
    from ..demo import main

    ctx.exit(main())
