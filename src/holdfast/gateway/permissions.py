"""What a gateway token may do: the one owner of that decision, which every route and every page asks.

A limit travels with the token: whichever process reads the token decides alike. Nothing here reads a clock
or the store.
"""

from __future__ import annotations

from collections.abc import Collection

from ..core.errors import ConnectionLost
from ..core.identity import Pin
from ..store.token import Token


def is_good(token: Token, *, now: float, instance: str) -> bool:
    """Return whether a token opens the gateway `instance` at `now` (epoch seconds)."""
    if token.revoked_at is not None or token.instance not in (None, instance):
        return False
    return token.expires_at is None or now < token.expires_at


def is_limited(token: Token) -> bool:
    """Return whether a token may see only a part: no page about all providers and sessions."""
    return token.session is not None or bool(token.pins)


def may_use_session(token: Token, session: str) -> bool:
    """Return whether a token's requests may belong to a session."""
    return token.session in (None, session)


def usable_pins(token: Token, chosen: Pin | None) -> Collection[Pin] | None:
    """Return the pins that a token's requests may use; None for any.

    `chosen` is the pin of the session to which a request belongs, None where it has none yet. A token that is
    bound to a session, and to no pins, is good for what the session's user chose.
    """
    if token.pins:
        return token.pins
    if token.session is None:
        return None
    if chosen is None:
        return ()
    return (chosen,)


def may_see(token: Token, session: str, pin: Pin | str) -> bool:
    """Return whether a token may see a session that is on `pin`, or an entry of the journal about both."""
    if token.session is not None:
        return session == token.session
    return not token.pins or str(pin) in map(str, token.pins)


def without_others(error: ConnectionLost, pins: Collection[Pin]) -> ConnectionLost:
    """Return an error without the candidates that a token may not use."""
    own = set(map(str, pins))
    candidates = [name for name in error.candidates if name in own]
    return type(error)(error.what, candidates=candidates, next_step=error.next_step)
