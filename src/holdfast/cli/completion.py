"""`holdfast completion`: the script by which a shell completes our commands, and the user's providers, pins,
sessions and keys."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Example:
      eval "$(holdfast completion bash)"
      holdfast completion fish > ~/.config/fish/completions/holdfast.fish
    """
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    if script is not None:
        print(script(ctx.find_root().command, {}, "holdfast", "_HOLDFAST_COMPLETE").source())
