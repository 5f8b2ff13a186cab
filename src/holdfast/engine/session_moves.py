"""Sessions on the move: all of one provider to another, or one session to another home. A plan is made first
and says of each session where it would go or why it stays; nothing is guessed, and what does not resolve is
not moved. No key and no header is part of either."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..core import times
from ..core.config import Config
from ..core.errors import ConfigError, ConnectionLost, HoldfastError, IdentityError
from ..core.identity import Pin, Provider, ProviderName
from ..core.key_labels import is_position
from ..core.routing import provider_of, route_for
from ..core.session import Session
from ..store.base import StaleSession, Store
from .sessions import Reason, switch

_FORMAT = "session"
_VERSION = 2
"""Of the files that are written. In version 1 (6f19264) a key's label may be its position among the keys."""
_READABLE = (1, 2)
_LONGEST = 64 * 1024


def obstacle(config: Config, session: Session) -> HoldfastError | None:
    """Why a session's choice does not resolve today; None when it does, in one dialect of its provider at
    least."""
    found: HoldfastError | None = None
    try:
        for dialect in provider_of(config, session.pin, session.key).dialects:
            try:
                route_for(config, session.pin, dialect, session.key)
                return None
            except HoldfastError as error:
                found = found or error
    except ConnectionLost as lost:
        return lost.about(session.id)
    return found


@dataclass(frozen=True, slots=True)
class Move:
    """One session of a plan: where it is, where it would go, and why not, if it stays."""

    session: Session
    to: Pin | None
    key: str | None = None
    why_not: str = ""


def plan(
    config: Config,
    sessions: Iterable[Session],
    start: str,
    goal: str,
    *,
    models: Mapping[str, str] | None = None,
    key: str | None = None,
) -> list[Move]:
    """What becomes of the sessions of provider `start` when they move to `goal`.

    A model goes where `models` sends it, else it keeps its name if `goal` declares that name; a provider that
    declares no list is taken at nobody's word. A session whose user chose a key moves only with `key`, the
    label of one of the other provider's. Raises ConnectionLost when there is no provider `goal`, ConfigError
    when both are one."""
    if start == goal:
        raise ConfigError(f"'{start}' is where they are already", next_step="holdfast session list")
    provider = provider_of(config, Pin(ProviderName(goal), "any"))
    return [_move(config, one, provider, models or {}, key) for one in sessions if one.pin.provider == start]


def _move(
    config: Config, session: Session, provider: Provider, models: Mapping[str, str], key: str | None
) -> Move:
    model = models.get(session.pin.model) or (
        session.pin.model if session.pin.model in (provider.models or ()) else None
    )
    if model is None:
        knows = (
            "declares no list of models"
            if provider.models is None
            else f"does not declare '{session.pin.model}'"
        )
        return Move(
            session, None, why_not=f"'{provider.name}' {knows}: --model {session.pin.model}=ITS-NAME-THERE"
        )
    if session.key is not None and key is None:
        return Move(
            session,
            None,
            why_not=f"its user chose key '{session.key}', which '{provider.name}' cannot have: --key LABEL",
        )
    pin, label = Pin(provider.name, model), key if session.key is not None else None
    lost = obstacle(config, session.choose(pin, 0.0, label))
    return Move(session, None, why_not=lost.what) if lost is not None else Move(session, pin, label)


def carry_out(store: Store, moves: Iterable[Move]) -> list[Move]:
    """Move what can be moved, each session in one step. Gives those that somebody else changed meanwhile:
    they stay as that one wants."""
    changed: list[Move] = []
    for move in moves:
        if move.to is None:
            continue
        chosen = move.session.choose(move.to, store.now(), move.key)
        reason = Reason(moved=f"with all sessions of {move.session.pin.provider}")
        try:
            switch(store, move.session, chosen, reason)
        except StaleSession:
            changed.append(move)
    return changed


def exported(config: Config, session: Session) -> str:
    """A session's choice as a file for another home: the pin, the label of a chosen key, and where the
    provider was, so that the same name for another place is noticed there."""
    provider = config.providers.get(session.pin.provider)
    places = {str(one.dialect): one.url for one in provider.endpoints} if provider is not None else {}
    told = {
        "holdfast": _FORMAT,
        "version": _VERSION,
        "id": session.id,
        "pin": str(session.pin),
        "key": session.key,
        "created_at": session.created_at,
    }
    return json.dumps(told | {"endpoints": places}, indent=2, ensure_ascii=False) + "\n"


def imported(
    config: Config, text: str, now: float, *, name: str | None = None, pin: Pin | None = None
) -> Session:
    """The session of an exported file, under another id and on another pin if these are given.

    Raises ConfigError for a file that is none of ours, ConnectionLost when its choice does not resolve here,
    or when the provider of that name is at another place here and nobody gave a pin."""
    told = _read(text)
    try:
        chosen = pin or Pin.parse(str(told["pin"]))
        key = told.get("key") if pin is None else None
        session = Session(
            name or told["id"],
            chosen,
            None if key is None else str(key),
            created_at=_moment(told.get("created_at"), now),
            changed_at=now,
        )
    except (IdentityError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the file cannot be read: {getattr(error, 'what', error)}",
            next_step="holdfast session export SESSION > FILE",
        ) from None
    lost = obstacle(config, session)
    url = next(iter(told.get("endpoints", {}).values()), "URL")
    if lost is not None:
        step = lost.next_step.replace("--url URL", f"--url {url}")
        raise ConnectionLost(lost.what, candidates=getattr(lost, "candidates", ()), next_step=step)
    if told["version"] == 1 and session.key is not None and is_position(session.key):
        raise _by_position(config.providers[chosen.provider], session)
    here = {str(one.dialect): one.url for one in config.providers[chosen.provider].endpoints}
    moved = {
        dialect: there
        for dialect, there in told.get("endpoints", {}).items()
        if pin is None and here.get(dialect) not in (there, None)
    }
    if moved:
        dialect, there = next(iter(moved.items()))
        what = (
            f"'{chosen.provider}' is at {here[dialect]} here, and was at {there} where the session comes from"
        )
        raise ConnectionLost(
            what,
            candidates=[str(chosen)],
            next_step=f"holdfast session import FILE --pin {chosen}   (if it is the same all the same)",
        )
    return session


def _by_position(provider: Provider, session: Session) -> ConnectionLost:
    """Return the refusal of a key that an older file names by what may be its position."""
    what = f"the file names the key '{session.key}', which may be its position among the keys of another home"
    again = f"holdfast session import FILE --pin {session.pin}"
    choose = f"holdfast session pin {session.id} {session.pin} --key LABEL"
    candidates = [key.label for key in provider.keys]
    return ConnectionLost(what, candidates=candidates, next_step=f"{again}   (then: {choose})")


def _moment(value: object, now: float) -> float:
    """Return when a session began, as its file says; now where it does not, or says what cannot be."""
    began = times.moment(value)
    return began if began is not None and 0 < began <= now else now


def _read(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text) if len(text) <= _LONGEST else None
    except (ValueError, RecursionError):
        told = None
    if (
        not isinstance(told, dict)
        or told.get("holdfast") != _FORMAT
        or not isinstance(told.get("endpoints", {}), dict)
    ):
        raise ConfigError(
            "this is no session that Holdfast exported", next_step="holdfast session export SESSION > FILE"
        )
    version = told.get("version")
    if version not in _READABLE:
        what = f"the file has version {version!r}, and this Holdfast reads versions 1 to {_VERSION}"
        raise ConfigError(what, next_step="holdfast --version")
    return told
