"""`holdfast classify`: answers in, fault classes out, one JSON line each."""

from __future__ import annotations

import sys

import click

from .context import CliContext


@click.command()
@click.pass_obj
def command(context: CliContext) -> None:
    """Classify answers of providers, one JSON object a line.

    A line on standard input holds provider, status, headers and body, perhaps phase, host and context; a line
    that cannot be read gives {"error": …}.

    \b
    Example:
      echo '{"provider": "openai", "status": 429, "body": "insufficient_quota"}' | holdfast classify
    """
    from ..engine.classify_lines import classify_lines

    for line in classify_lines(sys.stdin, directory=context.home.config.parent / "profiles"):
        print(line)
