"""`holdfast classify`: read answers of providers, print their fault classes, one JSON line each."""

from __future__ import annotations

import sys

import click

from .context import CliContext


@click.command()
@click.pass_obj
def command(context: CliContext) -> None:
    """Classify answers of providers, one JSON object a line.

    A line on standard input holds provider, status, headers and body, and optionally phase, host and context.
    For a line that cannot be read, {"error": …} is printed.

    \b
    Example:
      echo '{"provider": "openai", "status": 429, "body": "insufficient_quota"}' | holdfast classify
    """
    from ..engine.classify_lines import classify_lines

    for line in classify_lines(sys.stdin, directory=context.home.profiles):
        print(line)
