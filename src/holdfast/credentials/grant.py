"""The grant of a sign-in: what its service gave to whoever signed in, as secrets.toml keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..values.secret import Secret
from .token_answers import Tokens

_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "id": str,
    "generation": int,
    "access": str,
    "refresh": str,
    "issued_at": (int, float),
    "expires_at": (int, float),
    "ended": str,
}
_SECRETS = ("access", "refresh")


@dataclass(frozen=True, slots=True)
class Grant:
    """The tokens of a sign-in: the access token and the refresh token. `id` is that of the sign-in,
    `generation` the number of its renewals; times are epoch seconds; `ended` says why no renewal can succeed
    any more."""

    id: str
    generation: int = 0
    access: Secret | None = None
    refresh: Secret | None = None
    issued_at: float = 0.0
    expires_at: float | None = None
    ended: str = ""

    def supersedes(self, other: Grant | None) -> bool:
        """Return whether this is a newer state of the same sign-in: renewed more often, or over."""
        if other is None or other.id != self.id:
            return False
        return (self.generation, bool(self.ended)) > (other.generation, bool(other.ended))


def from_toml(table: object) -> Grant:
    """Return the grant in a table, without members that only another version knows. Raises ValueError, whose
    message repeats no part of it."""
    if not isinstance(table, dict) or "id" not in table:
        raise ValueError("not a grant")
    fields: dict[str, Any] = {}
    for name, kinds in _FIELDS.items():
        if name not in table:
            continue
        if not isinstance(table[name], kinds):
            raise ValueError("not a grant")
        fields[name] = table[name]
    for name in _SECRETS:
        if name in fields:
            fields[name] = Secret(fields[name])
    return Grant(**fields)


def to_toml(grant: Grant) -> dict[str, object]:
    """Return the fields of a grant that have a value; its secrets as `Secret`."""
    fields = {name: getattr(grant, name) for name in _FIELDS}
    return {name: value for name, value in fields.items() if value not in (None, "")}


def renewed_grant(before: Grant, tokens: Tokens, now: float) -> Grant:
    """Return the grant after a renewal. A response without a new refresh token keeps the old one (RFC 6749
    section 6)."""
    expires_at = None
    if tokens.lives is not None:
        expires_at = now + tokens.lives
    return Grant(
        id=before.id,
        generation=before.generation + 1,
        access=tokens.access,
        refresh=tokens.refresh or before.refresh,
        issued_at=now,
        expires_at=expires_at,
    )
