"""`holdfast token`: the tokens that open the gateway. A token is shown once, when it is created; only its
hash is stored."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from . import complete
from .context import CliContext
from .groups import Nouns
from .output import clock, if_any, json_option, say, show_json, table

if TYPE_CHECKING:
    from ..core.identity import Pin
    from ..store.token import Token


@click.group(cls=Nouns)
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
@click.option(
    "--pin",
    "pins",
    multiple=True,
    help="Limit it to this provider/model. Can be given several times.",
    shell_complete=complete.pins,
)
@click.option("--expires", metavar="WHEN", help="Let it end after a time (8h, 30d), or at one (2027-01-31).")
@click.option(
    "--new-sessions",
    metavar="NUMBER",
    type=click.IntRange(0),
    help="How many sessions its requests may begin in a day (100,000 where none is given).",
)
@json_option
@click.pass_obj
def new(
    context: CliContext,
    /,
    label: str,
    session: str | None,
    pins: tuple[str, ...],
    expires: str | None,
    new_sessions: int | None,
    as_json: bool,
) -> None:
    """Create a token and show it once.

    A token with limits sees only its own models, sessions and requests. Bound to a session alone, it can use
    what the session's user chose, and nothing else.

    \b
    Example:
      holdfast token new --label laptop
      holdfast token new --label ci --session issue-42 --expires 8h
      holdfast token new --pin mimo-plan/mimo-v2.5-pro --pin mimo-plan/mimo-v2.5
    """
    from ..core.session import checked_session_id
    from ..gateway.tokens import issue

    if session is not None:
        checked_session_id(session)
    checked = [_checked_pin(context, text) for text in pins]
    lasts = None
    if expires is not None:
        lasts = _seconds_until(expires, context.store.now())
    token, shown = issue(
        context.store,
        label,
        session,
        pins=list(dict.fromkeys(checked)),
        strict=bool(checked),
        lasts=lasts,
        new_sessions=new_sessions,
    )
    if as_json:
        show_json(_view(token) | {"token": shown})
        return
    say(shown, f"  It cannot be shown again. To revoke it: holdfast token revoke {token.id}")
    if session is not None and not checked and context.store.session(session) is None:
        say(f"  Session '{session}' has no pin yet, and this token cannot choose one.")
        say(f"  run: holdfast session pin {session} PROVIDER/MODEL")


@command.command("list")
@json_option
@click.pass_obj
def list_(context: CliContext, as_json: bool) -> None:
    """List the tokens with their limits, also those that ended. Their values cannot be shown again.

    \b
    Example:
      holdfast token list
    """
    tokens, now = context.existing_store.tokens(), context.existing_store.now()
    if as_json:
        show_json([_view(token) for token in tokens])
        return
    table(
        ("ID", "LABEL", "LIMITS", "CREATED", "STATE"),
        [
            [token.id, token.label, _limits(token), clock(token.created_at), _state(token, now)]
            for token in tokens
        ],
        empty="no gateway token yet\n  run: holdfast token new",
    )


@command.command()
@click.argument("token_id", metavar="ID", shell_complete=complete.tokens)
@json_option
@click.pass_obj
def revoke(context: CliContext, token_id: str, as_json: bool) -> None:
    """Revoke a token. Running gateways refuse it at once, and end its answers within a second.

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


def _checked_pin(context: CliContext, text: str) -> Pin:
    """Return a pin of the user's. Raises IdentityError for a text that is none, ConnectionLost for one whose
    provider does not exist."""
    from ..core.routing import provider_of
    from .pins import parsed_pin

    pin = parsed_pin(context, text)
    provider_of(context.config, pin)
    return pin


def _seconds_until(text: str, now: float) -> float:
    """Return the seconds from `now` (epoch seconds) until a time that the user wrote. Raises ConfigError."""
    from ..core.errors import ConfigError
    from ..values import times

    seconds = times.duration(text)
    moment = times.moment(text)
    if seconds is None and moment is not None:
        seconds = moment - now
    if seconds is None or not 0 < seconds < math.inf:
        raise ConfigError(f"'{text}' is no time to come", next_step="holdfast token new --expires 8h")
    return seconds


def _limits(token: Token) -> str:
    """Return what a token is limited to, in words."""
    limits = []
    if token.session is not None:
        limits.append(f"session {token.session}")
    if token.pins:
        limits.append(" or ".join(map(str, token.pins)))
    if token.instance is not None:
        limits.append("one gateway")
    return ", ".join(limits) or "none"


def _state(token: Token, now: float) -> str:
    if token.revoked_at is not None:
        return f"revoked {clock(token.revoked_at)}"
    if token.expires_at is None:
        return "valid"
    if token.expires_at <= now:
        return f"expired {clock(token.expires_at)}"
    return f"valid until {clock(token.expires_at)}"


def _view(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "label": token.label,
        "session": token.session,
        "pins": [str(pin) for pin in token.pins],
        "strict": token.strict,
        "expires_at": token.expires_at,
        "instance": token.instance,
        "new_sessions": token.new_sessions,
        "created_at": token.created_at,
        "revoked_at": token.revoked_at,
    }
