"""`holdfast token`: who may use the gateway. A token is shown once, when it is made; only its hash is
kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import complete
from .context import CliContext
from .output import clock, json_option, say, show_json, table

if TYPE_CHECKING:
    from ..store.base import Token


@click.group()
def command() -> None:
    """Create, list and revoke the gateway's tokens.

    \b
    Example:
      holdfast token new --label laptop
    """


@command.command()
@click.option("--label", default="", help="A name to recognise it by.")
@click.option(
    "--session",
    help="Bind it to this session: it can use and see nothing else.",
    shell_complete=complete.sessions,
)
@json_option
@click.pass_obj
def new(context: CliContext, label: str, session: str | None, as_json: bool) -> None:
    """Create a token and show it, this once.

    \b
    Example:
      holdfast token new --label laptop
      holdfast token new --label ci --session issue-42
    """
    from ..gateway.tokens import issue

    token, shown = issue(context.store, label, _checked(session))
    if as_json:
        show_json(_view(token) | {"token": shown})
    else:
        say(shown, f"  shown this once; revoke it with: holdfast token revoke {token.id}")


@command.command("list")
@json_option
@click.pass_obj
def list_(context: CliContext, as_json: bool) -> None:
    """List the tokens, revoked ones too. Their values cannot be shown again.

    \b
    Example:
      holdfast token list
    """
    tokens = context.memory.tokens() if context.memory is not None else []
    if as_json:
        show_json([_view(one) for one in tokens])
        return
    cells = [[one.id, one.label, one.session or "any", clock(one.created_at), _state(one)] for one in tokens]
    table(
        ("ID", "LABEL", "SESSION", "MADE", "STATE"),
        cells,
        empty="no gateway token yet\n  run: holdfast token new",
    )


@command.command()
@click.argument("token_id", metavar="ID", shell_complete=complete.tokens)
@json_option
@click.pass_obj
def revoke(context: CliContext, token_id: str, as_json: bool) -> None:
    """Revoke a token. Running gateways refuse it from the next moment on; answers under way end undisturbed.

    \b
    Example:
      holdfast token revoke 3f9a0c1d
    """
    from ..core.errors import ConfigError

    memory = context.memory
    name = token_id.removeprefix("hf-").partition("-")[0]  # people paste the whole token
    token = memory.token(name) if memory is not None else None
    if memory is None or token is None:
        raise ConfigError(f"no token has the id '{name}'", next_step="holdfast token list")
    changed = memory.revoke_token(name)
    if as_json:
        show_json(_view(memory.token(name) or token))
    else:
        label = f" ({token.label})" if token.label else ""
        say(f"token {name}{label} {'is revoked' if changed else 'was revoked before'}")


def _checked(session: str | None) -> str | None:
    """The id as it is, if it can be one. Raises IdentityError."""
    from ..core.identity import Pin, ProviderName
    from ..core.session import Session

    return Session(session, Pin(ProviderName("any-provider"), "any")).id if session is not None else None


def _state(token: Token) -> str:
    return "in force" if token.revoked_at is None else f"revoked {clock(token.revoked_at)}"


def _view(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "label": token.label,
        "session": token.session,
        "created_at": token.created_at,
        "revoked_at": token.revoked_at,
    }
