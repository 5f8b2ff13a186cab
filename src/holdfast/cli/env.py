"""`holdfast env`: what a client needs in its environment to talk to a running gateway. Tokens by reference,
never by value."""

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
    """Print the exports by which a client finds the gateway. Put the gateway's token into HOLDFAST_TOKEN
    first.

    \b
    Example:
      eval "$(holdfast env --session issue-42)"
      holdfast env --shell fish | source
    """
    from ..core.config import Listen
    from ..providers.presets import rows

    base = Listen.parse(context.config.gateway.listen).url + (f"/s/{_checked(session)}" if session else "")
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


def _checked(session: str) -> str:
    """The id, which then is safe in a URL and in quotes. Raises IdentityError."""
    from ..core.identity import Pin, ProviderName
    from ..core.session import Session

    return Session(session, Pin(ProviderName("any-provider"), "any")).id
