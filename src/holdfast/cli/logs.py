"""`holdfast logs`: the log of a gateway that runs in the background."""

from __future__ import annotations

from pathlib import Path

import click

from .context import CliContext
from .output import say


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with each line that is added, until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    default=50,
    show_default=True,
    type=click.IntRange(0),
    help="The number of lines to begin with.",
)
@click.option("--file", "path", type=click.Path(dir_okay=False), help="The log of another --log-file.")
@click.pass_obj
def command(context: CliContext, follow: bool, lines: int, path: str | None) -> None:
    """Show the log of the gateway that runs in the background.

    \b
    Example:
      holdfast logs -f
    """
    from ..core.errors import ConfigError
    from ..gateway.process.log_file import default_log
    from .background import lines_of

    log = Path(path) if path else default_log(context.home.state)
    if not log.exists():
        raise ConfigError(
            f"there is no log {log}: a gateway in the foreground writes to its terminal",
            next_step="holdfast serve --background",
        )
    for line in lines_of(log, lines, follow=follow):
        say(line.rstrip("\n"))
