"""The one place that stores a session's choice: its row and the journal event about it, in one transaction.

Check first with `check` that a choice resolves. `create`, `switch`, `pin` and `remove` raise StaleSession if
somebody else created, changed or removed the session meanwhile; then nothing was written.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from ..core.config import Config
from ..core.errors import ConnectionLost, HoldfastError, NoSession
from ..core.identity import Pin
from ..core.routing import pin_for_first, provider_of, route_for
from ..core.session import Session
from ..store.base import NewSession, Store
from ..store.journal_events import (
    Choice,
    Event,
    SessionCreated,
    SessionHealed,
    SessionRemoved,
    SessionSwitched,
)
from ..store.listing import BrokenSession
from .candidates import completed, with_candidates

if TYPE_CHECKING:
    from .state import Engine


@dataclass(frozen=True, slots=True)
class Reason:
    """The reason of a choice: the `project` file that selected the pin, the program or file that the session
    was `imported` from, the move by which it `moved`, or the `model` that its first request named. Empty if
    its user chose by hand."""

    project: str = ""
    imported: str = ""
    moved: str = ""
    model: str = ""


CHOSEN = Reason()


def create(store: Store, session: Session, reason: Reason = CHOSEN) -> None:
    """Store a new session. Raises StaleSession if its id is in use."""
    _save(store, session, None, SessionCreated(key=session.key or "", **asdict(reason)))


def begin_or_refuse(engine: Engine, lost: ConnectionLost, session_id: str, model: str | None) -> None:
    """Create the session of a first request where there is none yet; else raise the refusal `lost` with all
    candidates. May block on the store."""
    if not isinstance(lost, NoSession):
        raise completed(engine, lost, session_id, model)
    begin_session(engine, session_id, model)


def begin_session(engine: Engine, session_id: str, model: str | None) -> None:
    """Create the session of a first request, on the pin that its model means.

    A session that another process created meanwhile is kept. May block on the store. Raises UnknownModel,
    AmbiguousModel and IdentityError.
    """
    engine.config_watch.expire()
    now = engine.store.now()
    try:
        pin = pin_for_first(engine.config(), model)
    except ConnectionLost as lost:
        raise completed(engine, lost, session_id, model) from None
    session = Session(session_id, pin, created_at=now, changed_at=now)
    check(engine, session)
    create_first(engine, session, Reason(model=model or ""))


def first_choice(engine: Engine, session_id: str, model: str | None, now: float) -> NewSession:
    """Return the session of a first request at `now` (epoch seconds) on the pin that its model means, and the
    event about it. Raises the reason why there is none; only `begin_session` knows the candidates. Never
    blocks on the store."""
    config = engine.config()
    session = Session(session_id, pin_for_first(config, model), created_at=now, changed_at=now)
    lost = obstacle(config, session)
    if lost is not None:
        raise lost
    return session, [_event(session, SessionCreated(**asdict(Reason(model=model or ""))))]


def create_first(engine: Engine, session: Session, reason: Reason) -> bool:
    """Store a new session. Return False if another program created it since the engine looked."""
    event = _event(session, SessionCreated(key=session.key or "", **asdict(reason)))
    turn = engine.sessions.turn
    if not engine.new_sessions.create((session, [event])):
        engine.sessions.look_for(session.id)
        return False
    if engine.sessions.add(session, turn):
        engine.objects.none_yet(session.id)
    return True


def check(engine: Engine, session: Session) -> None:
    """Raise the reason why a choice does not resolve today (`obstacle`); nothing is chosen for the user."""
    config = engine.config()
    if obstacle(config, session) is None:
        return
    engine.journal_writer.flush()
    lost = obstacle(config, session, engine.store)
    if lost is not None:
        raise lost


def obstacle(config: Config, session: Session, store: Store | None = None) -> HoldfastError | None:
    """Return the reason why a session's choice does not resolve today; None if it does in at least one
    dialect of its provider.

    Where its provider is gone, `store` knows the first candidates (`with_candidates`)."""
    first: HoldfastError | None = None
    try:
        provider = provider_of(config, session.pin, session.key)
        for dialect in provider.served(session.key) or provider.dialects:
            try:
                route_for(config, session.pin, dialect, session.key)
                return None
            except HoldfastError as error:
                first = first or error
    except ConnectionLost as lost:
        if store is not None:
            lost = with_candidates(config, lost, session.pin, store, session=session.id)
        return lost.about(session.id)
    return first


def kept_key(config: Config, session: Session) -> str | None:
    """Return the key that the session goes on using; None where its provider no longer has that key."""
    provider = config.providers.get(session.pin.provider)
    if provider is None or session.kept_key not in {key.label for key in provider.keys}:
        return None
    return session.kept_key


def serves(config: Config, session: Session, pin: Pin) -> bool:
    """Return whether a session's request that asks for `pin` is served there. A former choice is not: its
    name means the session."""
    key = None
    if pin.provider == session.pin.provider:
        key = session.key
    if session.former_choice(str(pin)) is not None:
        return False
    return obstacle(config, replace(session, pin=pin, key=key)) is None


def switch(store: Store, before: Session, after: Session, reason: Reason = CHOSEN) -> None:
    """Store the new choice of a session's user; `after` comes from `before.choose`."""
    detail = SessionSwitched(before=str(before.pin), key=after.key or "", **asdict(reason))
    _save(store, after, before.version, detail)


def pin(
    store: Store, stored: Session | BrokenSession | None, wanted: Session, reason: Reason = CHOSEN
) -> Session:
    """Put a session on the pin and the key of `wanted`: create it, switch it, or replace its broken row,
    depending on what is stored. Return the session as it is stored now."""
    if stored is None:
        create(store, wanted, reason)
        return wanted
    if isinstance(stored, Session):
        after = stored.choose(wanted.pin, wanted.changed_at, wanted.key)
        switch(store, stored, after, reason)
        return after
    return _heal(store, stored, wanted, reason)


def remove(store: Store, stored: Session | BrokenSession) -> bool:
    """Delete a session; its events stay in the journal. Return False if there was none any more."""
    last = str(getattr(stored, "pin", ""))
    return store.remove_session(
        stored.id, [Event(store.now(), SessionRemoved(), session=stored.id, pin=last)]
    )


def _heal(store: Store, broken: BrokenSession, wanted: Session, reason: Reason) -> Session:
    """Replace a row that cannot be read."""
    version = broken.raw.get("version")
    if not isinstance(version, int):
        version = -1
    healed = replace(wanted, version=version + 1)
    detail = SessionHealed(before=str(broken.raw.get("pin")), key=wanted.key or "", **asdict(reason))
    _save(store, healed, version, detail)
    return healed


def _save(store: Store, session: Session, expect_version: int | None, detail: Choice) -> None:
    store.save_session(session, expect_version, [_event(session, detail)])


def _event(session: Session, detail: Choice) -> Event[Choice]:
    return Event(session.changed_at, detail, session=session.id, pin=str(session.pin))
