"""The row that remembers a user's choice: a session id and the pin as it was typed (story 0).

A session never stores a URL, a kind or a key's value, and nothing but the user changes `pin` and `key`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from .changes import CLOCK_SLACK
from .errors import IdentityError
from .identity import Pin
from .routes import FallbackChain

TURN_PATIENCE = 600.0
"""Seconds for which a session stays on its fallback so that a turn can end there."""

MOST_FORMER = 8
"""Former choices that a session remembers."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")


def is_session_id(text: str) -> bool:
    """Return whether a session can have this id: up to 128 letters, digits and . _ : @ - , starting with a
    letter or digit."""
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
    """A fallback that answers for its session: which, why, and until when (epoch seconds)."""

    fallback: Pin
    reason: str
    until: float

    def values(self) -> dict[str, str | float]:
        """Return the fallback in use as JSON values, as every face shows it; `until` in epoch seconds."""
        return {"pin": str(self.fallback), "reason": self.reason, "until": self.until}

    def released(self, now: float, return_after: float) -> ActiveFallback:
        """Return the fallback once its choice answers again: the choice is probed no more, and a new turn
        returns to it."""
        return replace(self, until=now - return_after)

    def is_released(self, now: float, return_after: float) -> bool:
        """Return whether the choice is probed no more: it answered, or `return_after` seconds passed without
        a request since the fallback's time was over."""
        return now >= self.until + return_after

    def waits_for_turn(self, now: float, return_after: float, *, checked: bool) -> bool:
        """Return whether a request in the middle of a turn stays on the fallback, where its prompt is cached,
        although a new turn would return to the choice."""
        last = self.until + TURN_PATIENCE
        if checked:
            last += return_after
        return now < last


@dataclass(frozen=True, slots=True)
class Session:
    """A user's choice. `pin` is what was typed; `key` is the label of a key that the user chose for this
    session; `kept_key` is the label of the key that it last used. `version` counts the user's changes, so
    that two writers cannot overwrite each other. `former` are the choices before, the last one first: the
    names that clients may still be configured with."""

    id: str
    pin: Pin
    key: str | None = None
    active_fallback: ActiveFallback | None = None
    kept_key: str | None = None
    created_at: float = 0.0
    changed_at: float = 0.0
    version: int = 0
    former: tuple[Pin, ...] = ()

    def __post_init__(self) -> None:
        checked_session_id(self.id)

    def choose(self, pin: Pin, now: float, key: str | None = None) -> Session:
        """Return the session with another choice of its user. What belonged to the old choice (fallback, key)
        is gone."""
        return replace(
            self,
            pin=pin,
            key=key,
            active_fallback=None,
            kept_key=None,
            changed_at=now,
            version=self.version + 1,
            former=self._former(pin),
        )

    def _former(self, pin: Pin) -> tuple[Pin, ...]:
        """Return the choices before a new one. A return to an earlier choice also undoes changes of the model
        alone: clients ask for several models of one provider side by side, on purpose."""
        before = [self.pin, *self.former]
        if pin in before:
            at = before.index(pin)
            undone = [former for former in before[:at] if former.provider != pin.provider]
            before = undone + before[at + 1 :]
        return tuple(dict.fromkeys(before))[:MOST_FORMER]

    def former_choice(self, name: str | None) -> Pin | None:
        """Return the former choice whose pin or model a request names: such a name means the session, not
        what it meant before. None for any other name, and for that of the present choice."""
        if not name or name in (self.pin.model, str(self.pin)):
            return None
        return next((pin for pin in self.former if name in (pin.model, str(pin))), None)

    def following_names(self) -> list[str]:
        """Return the names of former choices that mean this session, the last one's first."""
        names = [name for pin in self.former for name in (pin.model, str(pin))]
        return [name for name in dict.fromkeys(names) if self.former_choice(name) is not None]

    def fallback_in_force(self, chain: FallbackChain | None, now: float) -> ActiveFallback | None:
        """Return the fallback that answers at `now`, by the fallbacks that the configuration has for the pin.

        One that it no longer lists answers for nobody. One that would last longer than it allows was begun
        before the clock was set back, or before the configuration was edited: its time is over."""
        active = self.active_fallback
        if active is None or chain is None or active.fallback not in chain.then:
            return None
        if not now < active.until <= now + chain.return_after + CLOCK_SLACK:
            return None
        return active
