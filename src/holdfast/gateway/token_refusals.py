"""What a client is answered whose token may not use a model, or may not begin a session on it."""

from __future__ import annotations

from collections.abc import Collection

from ..core.errors import ConnectionLost, NoSession
from ..core.identity import Pin
from ..core.routing import pin_for_first
from ..engine.sessions import begin_or_refuse, first_choice
from ..engine.state import Engine
from ..store.base import NewSession
from ..store.token import Token
from ..wire.account_objects import objects_in
from ..wire.error_bodies import ClientError, refusal
from .begun_sessions import begun_sessions
from .permissions import is_limited, usable_pins, without_others

_MOST_NAMED = 200
"""Objects that one request with a limited token may name: each is looked up."""


def pin_refusal(token: Token, chosen: Pin, requested: Pin) -> ClientError | None:
    """Return the refusal of a request for a pin that its token may not use in a session on `chosen`."""
    pins = usable_pins(token, chosen)
    if pins is None or requested in pins:
        return None
    return _other_pin(pins, str(requested))


def _other_pin(pins: Collection[Pin], requested: str) -> ClientError:
    """Return the refusal of a request for another pin than the `pins` that its token may use."""
    names = [str(pin) for pin in pins]
    facts = {"chosen": names[0], "requested": requested, "candidates": names}
    quoted = ", ".join(f"'{name}'" for name in names)
    return refusal("pin_mismatch", facts=facts, allowed=quoted, requested=requested)


def pins_in_session(engine: Engine, token: Token, session_id: str) -> Collection[Pin] | None:
    """Return the pins that a token may use in a session; None for any. Raises StoreError."""
    session = engine.session(session_id)
    return usable_pins(token, None if session is None else session.pin)


def object_refusal(engine: Engine, token: Token, session_id: str, about: str) -> ClientError | None:
    """Return the refusal of a request about what an account keeps, whose path names the object `about`; ""
    for none. A limited token sees what its own session made. May block on the store."""
    if not is_limited(token):
        return None
    made = engine.objects.maker(about) if about else None
    return None if made is not None and made.session == session_id else refusal("session_token")


def reference_refusal(engine: Engine, token: Token, session_id: str, body: bytes) -> ClientError | None:
    """Return the refusal of a request whose body has the id of what another session made, where its token is
    limited. What nobody is known to have made is no session's. May block on the store."""
    if not is_limited(token):
        return None
    names = objects_in(body)
    if len(names) > _MOST_NAMED:
        return refusal("session_token")
    makers = [made for made in map(engine.objects.maker, names) if made is not None]
    return None if all(made.session == session_id for made in makers) else refusal("session_token")


def begin(
    engine: Engine, token: Token, lost: ConnectionLost, session_id: str, model: str | None
) -> ClientError | None:
    """Create the session of a first request where there is none yet, on a pin that the token may use. Return
    the refusal for one that may not begin.

    Raises the refusal `lost`, with the candidates that the token may use. May block on the store.
    """
    if not isinstance(lost, NoSession):
        return _begin(engine, token, lost, session_id=session_id, model=model)
    counts = begun_sessions(engine)
    if not counts.may_begin(token):
        return refusal("too_many_sessions", session=session_id)
    refused = _begin(engine, token, lost, session_id=session_id, model=model)
    if refused is None:
        counts.begun(token)
    return refused


def plan_first(
    engine: Engine, token: Token, session_id: str, model: str | None, now: float
) -> NewSession | None:
    """Return the session of a first request with a token that has no limits; None where it may begin none.
    Raises the reason why there is none. May block on the store."""
    if not begun_sessions(engine).may_begin(token):
        return None
    return first_choice(engine, session_id, model, now)


def _begin(
    engine: Engine, token: Token, lost: ConnectionLost, *, session_id: str, model: str | None
) -> ClientError | None:
    """Create the session of a first request on a pin that the token may use, as `begin` says."""
    pins = pins_in_session(engine, token, session_id)
    if pins is None:
        begin_or_refuse(engine, lost, session_id, model)
        return None
    try:
        if isinstance(lost, NoSession):
            if not pins:
                return refusal("no_choice", session=session_id)
            if not model and len(pins) == 1:
                (only,) = pins
                model = str(only)
            pin = pin_for_first(engine.config(), model)
            if pin not in pins:
                return _other_pin(pins, str(pin))
        begin_or_refuse(engine, lost, session_id, model)
    except ConnectionLost as error:
        raise without_others(error, pins) from None
    return None
