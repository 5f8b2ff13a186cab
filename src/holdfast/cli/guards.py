"""Checks before something is removed that sessions use, and the clean-up afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .context import CliContext
from .output import count

if TYPE_CHECKING:
    from ..core.session import Session
    from ..store.base import Store


def sessions_of(store: Store, provider: str) -> list[Session]:
    """Return the sessions whose pin or active fallback is one of the provider's."""
    return [session for session in store.sessions() if _uses(session, provider)]


def _uses(session: Session, provider: str) -> bool:
    active = session.active_fallback
    return session.pin.provider == provider or (active is not None and active.fallback.provider == provider)


def refuse_while_used(what: str, sessions: Sequence[Session], forced: str) -> None:
    """Raise ConfigError if there are sessions that use what is to be removed (`what`).

    `forced` is the command that removes it nevertheless.
    """
    from ..core.errors import ConfigError

    if not sessions:
        return
    lines = [
        f"{what} is used by {count(len(sessions), 'session')}. Nothing was changed.",
        *(f"  {session.id} on {session.pin}" for session in sessions),
    ]
    raise ConfigError(
        "\n".join(lines), next_step=f"holdfast session pin SESSION PROVIDER/MODEL   (or: {forced})"
    )


def sign_out(context: CliContext, ref: str) -> None:
    """Forget the tokens of a sign-in when no key refers to it any more."""
    from ..config.home import load

    if not ref.startswith("oauth:"):
        return
    providers = load(context.home).providers.values()
    if not any(key.ref == ref for provider in providers for key in provider.keys):
        context.vault.file.put_grant(ref.removeprefix("oauth:"), None)
