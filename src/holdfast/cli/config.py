"""`holdfast config`: maintenance of the configuration file."""

from __future__ import annotations

from functools import partial

import click

from .context import CliContext
from .output import json_option, say, show_json


@click.group()
def command() -> None:
    """Maintain holdfast.toml.

    \b
    Example:
      holdfast config upgrade
    """


@command.command()
@json_option
@click.pass_obj
def upgrade(context: CliContext, as_json: bool) -> None:
    """Rewrite old words in holdfast.toml.

    Comments, order and layout stay, and a backup is kept beside the file. Without old words nothing is
    changed.

    \b
    Example:
      holdfast config upgrade
    """
    from ..config.upgrade import upgrade as rewrite
    from ..engine.home_store import update_store

    file = context.home.config
    done = rewrite(context.home, partial(update_store, context.home))
    changes = [{"line": line.number, "before": line.before, "after": line.after} for line in done.lines]
    if as_json:
        show_json({"file": str(file), "changes": changes, "backup": done.backup and str(done.backup)})
        return
    if done.backup is None:
        say(f"{file} has no old words. Nothing was changed.")
        return
    say(f"Upgraded {file}:")
    for change in changes:
        say(f"  line {change['line']}: {change['before']} is now {change['after']}")
    say(f"The file as it was: {done.backup}")
