"""`holdfast env`: the variables by which a client finds a running gateway. They refer to the token and never
hold it."""

from __future__ import annotations

import click

from . import complete
from .context import CliContext

_LINES = {
    "bash": "export {name}={value}",
    "zsh": "export {name}={value}",
    "fish": "set -gx {name} {value}",
    "powershell": "$Env:{name} = {value}",
}
_TOKEN = {"powershell": "$Env:HOLDFAST_TOKEN"}


@click.command()
@click.option("--session", help="The session that requests belong to.", shell_complete=complete.sessions)
@click.option("--shell", type=click.Choice(list(_LINES)), default="bash", show_default=True)
@click.pass_obj
def command(context: CliContext, session: str | None, shell: str) -> None:
    """Print the variables by which a client finds the gateway.

    They name the gateway that runs, else the address in the configuration. They refer to HOLDFAST_TOKEN: put
    the gateway's token into it first.

    \b
    Example:
      eval "$(holdfast env --session issue-42)"
      holdfast env --shell fish | source
    """
    from ..core.session import checked_session_id
    from ..providers.presets import rows

    base = context.gateway_url
    _warn_of_a_stranger(context, base)
    if session:
        base = f"{base}/s/{checked_session_id(session)}"
    token = f'"{_TOKEN.get(shell, "$HOLDFAST_TOKEN")}"'
    openai, anthropic = (rows()[name]["env"][0] for name in ("openai", "anthropic"))
    values = {
        "OPENAI_BASE_URL": f'"{base}/v1"',
        "OPENAI_API_BASE": f'"{base}/v1"',
        openai: token,
        "ANTHROPIC_BASE_URL": f'"{base}"',
        anthropic: token,
    }
    for name, value in values.items():
        print(_LINES[shell].format(name=name, value=value))


def _warn_of_a_stranger(context: CliContext, url: str) -> None:
    """Say on standard error that another program listens where a client would show its token."""
    from ..gateway.listener import Listener

    if context.listener_at(url) is Listener.STRANGER:
        what = f"the program that listens at {url} does not prove that it is the gateway of this home"
        click.echo(f"holdfast: {what}: show it no token\n  run: holdfast status", err=True)
