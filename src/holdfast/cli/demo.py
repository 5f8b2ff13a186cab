"""`holdfast demo`: the stories, told live."""

from __future__ import annotations

import click

from .output import json_option


@click.command()
@click.option(
    "--program",
    type=click.Choice(["openai", "httpx2"]),
    help="What speaks to the providers; by default the first that is installed.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, program: str | None, as_json: bool) -> None:
    """Tell the stories live, with providers that misbehave.

    They listen on this machine's own sockets: no key and no network is needed.

    Exit 1: a promise did not hold.

    \b
    Example:
      holdfast demo
    """
    from ..demo import main

    ctx.exit(main(json=as_json, program=program))
