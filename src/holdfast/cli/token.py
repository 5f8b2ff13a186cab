"""`holdfast token`: the tokens that open the gateway. A token is shown once, when it is created; only its
hash is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import complete
from .context import CliContext
from .output import clock, if_any, json_option, say, show_json, table

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
    help="Limit it to this session: it can use and see nothing else.",
    shell_complete=complete.sessions,
)
@json_option
@click.pass_obj
def new(context: CliContext, label: str, session: str | None, as_json: bool) -> None:
    """Create a token and show it once.

    \b
    Example:
      holdfast token new --label laptop
      holdfast token new --label ci --session issue-42
    """
    from ..core.session import checked_session_id
    from ..gateway.tokens import issue

    if session is not None:
        checked_session_id(session)
    token, shown = issue(context.store, label, session)
    if as_json:
        show_json(_view(token) | {"token": shown})
    else:
        say(shown, f"  It cannot be shown again. To revoke it: holdfast token revoke {token.id}")


@command.command("list")
@json_option
@click.pass_obj
def list_(context: CliContext, as_json: bool) -> None:
    """List the tokens, revoked ones too. Their values cannot be shown again.

    \b
    Example:
      holdfast token list
    """
    tokens = context.existing_store.tokens()
    if as_json:
        show_json([_view(token) for token in tokens])
        return
    table(
        ("ID", "LABEL", "SESSION", "CREATED", "STATE"),
        [
            [token.id, token.label, token.session or "any", clock(token.created_at), _state(token)]
            for token in tokens
        ],
        empty="no gateway token yet\n  run: holdfast token new",
    )


@command.command()
@click.argument("token_id", metavar="ID", shell_complete=complete.tokens)
@json_option
@click.pass_obj
def revoke(context: CliContext, token_id: str, as_json: bool) -> None:
    """Revoke a token. Running gateways refuse it at once; answers that have begun are finished.

    \b
    Example:
      holdfast token revoke 3f9a0c1d
    """
    from ..core.errors import ConfigError

    store = context.existing_store
    name = token_id.removeprefix("hf-").partition("-")[0]  # people paste the whole token
    token = store.token(name)
    if token is None:
        raise ConfigError(f"no token has the id '{name}'", next_step="holdfast token list")
    changed = store.revoke_token(name)
    if as_json:
        show_json(_view(store.token(name) or token))
        return
    label = if_any(" ({})", token.label)
    when = "is revoked" if changed else "was revoked before"
    say(f"token {name}{label} {when}")


def _state(token: Token) -> str:
    if token.revoked_at is None:
        return "valid"
    return f"revoked {clock(token.revoked_at)}"


def _view(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "label": token.label,
        "session": token.session,
        "created_at": token.created_at,
        "revoked_at": token.revoked_at,
    }
