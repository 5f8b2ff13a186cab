"""The one row that remembers a user's choice: a session id and the pin as it was typed (story 0).

A session never stores a URL, a kind or a key's value, and nothing but the user changes `pin` and `key`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from .errors import IdentityError
from .identity import Pin

TURN_PATIENCE = 600.0
"""Seconds for which the end of a turn is waited for before a session leaves its rung."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")


def is_session_id(text: str) -> bool:
    """Whether a session can be called this: up to 128 letters, digits and . _ : @ - , starting with a letter
    or digit."""
    return _ID.fullmatch(text) is not None


def checked_session_id(text: str) -> str:
    """Return the text if a session can be called this; it is safe in a URL and in quotes then. Raises
    IdentityError."""
    if not is_session_id(text):
        raise IdentityError(
            f"'{text[:40]}' cannot be a session id: up to 128 letters, digits and . _ : @ - , "
            "starting with a letter or digit"
        )
    return text


@dataclass(frozen=True, slots=True)
class ActiveFallback:
    """A rung of the user's ladder in use: which, why, and until when (epoch seconds)."""

    fallback: Pin
    reason: str
    until: float

    def values(self) -> dict[str, str | float]:
        """Return the fallback in use as JSON values, as every face shows it; `until` in epoch seconds."""
        return {"pin": str(self.fallback), "reason": self.reason, "until": self.until}

    def released(self, now: float, return_after: float) -> ActiveFallback:
        """The stand-in when its choice answers again: nobody asks any more, and what begins from now on goes
        home."""
        return replace(self, until=now - return_after)

    def is_released(self, now: float, return_after: float) -> bool:
        """Whether the choice is asked no more: it answered, or nobody asked for a second lease's time."""
        return now >= self.until + return_after

    def waits_for_turn(self, now: float, return_after: float, *, checked: bool) -> bool:
        """Whether a request in the middle of a turn stays on the rung, where its prompt is cached, though a
        new turn would go home."""
        return now < self.until + (return_after if checked else 0.0) + TURN_PATIENCE


@dataclass(frozen=True, slots=True)
class Session:
    """`pin` is the choice; `key` is the label of a key the user chose for this session; `kept_key` is the
    label that the pool last used (affinity only). `version` counts the user's changes, so that two writers
    cannot overwrite each other."""

    id: str
    pin: Pin
    key: str | None = None
    active_fallback: ActiveFallback | None = None
    kept_key: str | None = None
    created_at: float = 0.0
    changed_at: float = 0.0
    version: int = 0

    def __post_init__(self) -> None:
        checked_session_id(self.id)

    def choose(self, pin: Pin, now: float, key: str | None = None) -> Session:
        """The session on another choice of its user. Whatever belonged to the old choice (stand-in, key) is
        gone."""
        return replace(
            self,
            pin=pin,
            key=key,
            active_fallback=None,
            kept_key=None,
            changed_at=now,
            version=self.version + 1,
        )

    def on_fallback(self, now: float) -> ActiveFallback | None:
        """The stand-in whose lease has not ended at `now`."""
        return (
            self.active_fallback
            if self.active_fallback is not None and now < self.active_fallback.until
            else None
        )
