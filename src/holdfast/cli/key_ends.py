"""Which keys and sign-ins end soon and do not renew themselves, for `doctor` and `status`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.errors import HoldfastError
from .context import CliContext
from .output import clock, command_of

if TYPE_CHECKING:
    from ..core.identity import Key, Provider

_SOON = 14 * 86_400.0
"""Seconds before its end from which a key is named."""


@dataclass(frozen=True, slots=True)
class KeyEnd:
    """A key that ends at `at` (epoch seconds): what it is, and the command that gets another."""

    name: str
    at: float
    run: str

    def what(self, now: float) -> str:
        """Return the sentence about it."""
        verb = "ends" if self.at > now else "ended"
        return f"{self.name} {verb} {clock(self.at)}"


def ending(context: CliContext, now: float) -> list[KeyEnd]:
    """Return the keys that end within 14 days or have ended, the first end first. What cannot be read is left
    out."""
    ends: list[KeyEnd] = []
    with suppress(HoldfastError):
        ends += _of_sign_ins(context)
    with suppress(HoldfastError):
        ends += _of_provisioned_keys(context)
    return sorted((each for each in ends if each.at <= now + _SOON), key=lambda each: each.at)


def _of_sign_ins(context: CliContext) -> Iterator[KeyEnd]:
    """Yield the sign-ins whose service gave no refresh token: they last as long as their first token."""
    for provider in context.config.providers.values():
        for key in provider.keys:
            scheme, _, name = key.ref.partition(":")
            grant = context.vault.file.grant(name) if scheme == "oauth" else None
            if grant is None or grant.refresh is not None or grant.expires_at is None:
                continue
            yield KeyEnd(f"the sign-in of {_called(key)}", grant.expires_at, login_command(provider, key))


def login_command(provider: Provider, key: Key) -> str:
    """Return the command that signs in for a key of this provider."""
    signing_in = [each for each in provider.keys if each.ref.startswith("oauth:")]
    which = {"key": key.label} if len(signing_in) > 1 else {}
    return command_of("holdfast key login", provider.name, which)


def _called(key: Key) -> str:
    return f"key '{key.label}' of provider '{key.provider}'"


def _of_provisioned_keys(context: CliContext) -> Iterator[KeyEnd]:
    """Yield the keys whose service said, when it made them, that they end."""
    from ..core.provisioning_state import WITH_KEY

    for record in context.existing_store.provisions():
        if record.expires_at is not None and record.state in WITH_KEY:
            run = f"holdfast provision repair {record.name}   (once it has ended)"
            yield KeyEnd(f"the key of '{record.name}'", record.expires_at, run)
