"""Checks before something is removed that sessions use, and the clean-up afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .context import CliContext
from .output import FEW, count

if TYPE_CHECKING:
    from ..core.config import SignIn
    from ..core.session import Session
    from ..credentials.grant import Grant
    from ..store.base import Store


def sessions_of(store: Store, provider: str) -> list[Session]:
    """Return the sessions whose pin or active fallback is one of the provider's."""
    return store.sessions_using(provider)


def refuse_while_used(what: str, sessions: Sequence[Session], forced: str) -> None:
    """Raise ConfigError if there are sessions that use what is to be removed (`what`).

    `forced` is the command that removes it nevertheless.
    """
    from ..core.errors import ConfigError

    if not sessions:
        return
    lines = [
        f"{what} is used by {count(len(sessions), 'session')}. Nothing was changed.",
        *(f"  {session.id} on {session.pin}" for session in sessions[:FEW]),
    ]
    if len(sessions) > FEW:
        lines.append(f"  and {len(sessions) - FEW} more")
    raise ConfigError(
        "\n".join(lines), next_step=f"holdfast session pin SESSION PROVIDER/MODEL   (or: {forced})"
    )


def also_in(sessions: Sequence[str]) -> str:
    """Return in a phrase in how many sessions a provider was renamed; where these are few, in which."""
    if not sessions:
        return ""
    named = f": {', '.join(sessions)}" if len(sessions) <= FEW else ""
    return f", also in {count(len(sessions), 'session')}{named}"


def still_using(provider: str, sessions: Sequence[Session]) -> list[str]:
    """Return lines about the sessions of a provider that was removed, with what to do about them."""
    lines = [
        f"  session {session.id} still uses it: holdfast session pin {session.id} PROVIDER/MODEL"
        for session in sessions[:FEW]
    ]
    if len(sessions) > FEW:
        others = count(len(sessions) - FEW, "other session")
        lines.append(f"  and {others}: holdfast session move --from {provider} --to PROVIDER")
    return lines


def sign_out(context: CliContext, ref: str) -> list[str]:
    """Forget the tokens of a sign-in when no key refers to it any more, and revoke them at its service.
    Return lines that say what came of it."""
    from ..config.home import load
    from ..engine.token_service import take_over

    if not ref.startswith("oauth:"):
        return []
    config, name = load(context.home), ref.removeprefix("oauth:")
    if any(key.ref == ref for provider in config.providers.values() for key in provider.keys):
        return []
    before = take_over(context.vault.file, name, None)
    if before is None or name not in config.sign_ins:
        return []
    return [f"  {line}" for line in revoke(context, config.sign_ins[name], before)]


def revoke(context: CliContext, sign_in: SignIn, grant: Grant) -> list[str]:
    """Revoke what a sign-in has yielded. Return the line that says what came of it, or none."""
    from ..core.errors import ConfigError
    from ..engine.token_service import TokenService, client_secret

    try:
        service = TokenService(sign_in, secret=client_secret(sign_in, context.vault.secret))
    except ConfigError as error:
        return [f"its tokens were not revoked at the service: {error.what}"]
    return list(filter(None, [service.revoked(grant)]))
