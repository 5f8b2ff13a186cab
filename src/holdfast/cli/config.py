"""`holdfast config`: where the configuration file is, and changes of it."""

from __future__ import annotations

import os
import shlex
from functools import partial

import click

from .context import CliContext
from .groups import Nouns
from .output import in_a_terminal, json_option, say, show_json


@click.group(cls=Nouns)
def command() -> None:
    """Find, edit and maintain holdfast.toml.

    \b
    Example:
      holdfast config edit
    """


@command.command()
@json_option
@click.pass_obj
def path(context: CliContext, as_json: bool) -> None:
    """Print where holdfast.toml is, or would be.

    \b
    Example:
      holdfast config path
    """
    home = context.home
    if as_json:
        show_json({"config": str(home.config), "secrets": str(home.secrets), "state": str(home.state)})
        return
    say(str(home.config))


@command.command()
@click.pass_obj
def edit(context: CliContext) -> None:
    """Edit holdfast.toml in your editor: $VISUAL, else $EDITOR, else vi.

    You edit a draft. It replaces the file when it is correct; else every problem is told, nothing is changed,
    and the next edit goes on with the draft.

    \b
    Example:
      holdfast config edit
    """
    edit_file(context)


def edit_file(context: CliContext) -> None:
    """Have the user edit holdfast.toml, and tell whether it was changed."""
    from ..config import schema_file
    from ..config.edit_by_hand import edit as by_hand

    schema_file.renew(context.home)
    if by_hand(context.home, _editor()):
        say(f"Changed {context.home.config}")
    else:
        say("Nothing was changed.")


def _editor() -> list[str]:
    """Return the command of the user's editor. Raises ConfigError where there is none, and no terminal for
    vi."""
    from ..core.errors import ConfigError

    chosen = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not chosen and not in_a_terminal():
        step = "holdfast config path   (the file; or set EDITOR)"
        raise ConfigError("there is no terminal to edit in, and EDITOR names no editor", next_step=step)
    return shlex.split(chosen or "vi")


@command.command()
@click.option("--write", is_flag=True, help="Put it beside holdfast.toml, and name it there.")
@click.pass_obj
def schema(context: CliContext, *, write: bool) -> None:
    """Print the JSON Schema of holdfast.toml, for editors.

    By it an editor completes and checks the file. Those with Taplo (in VS Code: Even Better TOML) read the
    line `#:schema ./holdfast.schema.json` at its top; `init` and `setup` write it into a new file.

    \b
    Example:
      holdfast config schema --write
    """
    from ..config import schema_file

    if not write:
        say(schema_file.text().rstrip())
        return
    schema_file.put(context.home)
    say(f"Wrote {schema_file.path_of(context.home)}")


@command.command()
@json_option
@click.pass_obj
def upgrade(context: CliContext, as_json: bool) -> None:
    """Rewrite old words in holdfast.toml.

    Comments, order and layout stay, and a backup is kept beside the file. Without old words nothing is
    changed. A holdfast.schema.json beside it becomes that of this version.

    \b
    Example:
      holdfast config upgrade
    """
    from ..config import schema_file
    from ..config.upgrade import upgrade as rewrite
    from ..engine.home_store import update_store

    file = context.home.config
    done = rewrite(context.home, partial(update_store, context.home))
    schema_file.renew(context.home)
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
