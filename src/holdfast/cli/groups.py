"""Groups of commands, which name the nearest command for one that does not exist."""

from __future__ import annotations

import click


class Nouns(click.Group):
    """A group whose commands are called by name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is called. Raises UsageError with the nearest name for an unknown one."""
        name = args[0]
        if name.startswith("-") or ctx.resilient_parsing or self.get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        from ..core.config import near

        known = self.list_commands(ctx)
        raise click.UsageError(f"there is no command '{ctx.command_path} {name}': {near(name, known)}", ctx)
