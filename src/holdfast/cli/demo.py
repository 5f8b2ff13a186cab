"""`holdfast demo`: show the promises live, with providers that fail on purpose."""

from __future__ import annotations

import sys

import click

from .colours import coloured
from .output import json_option


@click.command()
@click.option(
    "--program",
    type=click.Choice(["openai", "httpx2"]),
    help="The client library that calls the providers; by default the first that is installed.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, program: str | None, as_json: bool) -> None:
    """Show what Holdfast does when providers fail.

    The providers run on this machine and fail on purpose: no key and no network is needed.

    Exit 1: a promise was not kept.

    \b
    Example:
      holdfast demo
    """
    from ..demo import main

    ctx.exit(main(json=as_json, program=program, coloured=coloured(sys.stdout)))
