"""Moves of sessions: all sessions of one provider to another provider, or one session to another home.

A plan is made first and gives for each session its new pin or the reason why it stays; nothing is guessed,
and a session whose new pin does not resolve is not moved. Neither a plan nor a file contains keys or
headers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..core.config import Config
from ..core.errors import ConfigError, ConnectionLost, IdentityError
from ..core.identity import Pin, Provider, ProviderName
from ..core.routing import provider_of
from ..core.session import Session
from ..store.base import StaleSession, Store
from ..values import times
from ..values.key_labels import is_position
from ..values.plain_text import plain_json
from .sessions import Reason, obstacle, switch

_FORMAT = "session"
_VERSION = 2
"""The version of exported files. In version 1 (6f19264) a key's label may be its position among the keys."""
_READABLE = (1, 2)
_LONGEST = 64 * 1024
"""Characters of a readable file."""


@dataclass(frozen=True, slots=True)
class Move:
    """A session of a plan: as it is, the pin and the key label that it would get, and why not, if it
    stays."""

    session: Session
    to: Pin | None
    key: str | None = None
    why_not: str = ""

    def chosen(self, now: float = 0.0) -> Session:
        """Return the session after the move, or as it is if it stays. `now` is in epoch seconds."""
        if self.to is None:
            return self.session
        return self.session.choose(self.to, now, self.key)


def plan(
    config: Config,
    sessions: Iterable[Session],
    start: str,
    goal: str,
    *,
    models: Mapping[str, str] | None = None,
    key: str | None = None,
) -> list[Move]:
    """Plan the move of the sessions of provider `start` to provider `goal`.

    A model gets the name that `models` maps it to, else it keeps its name if `goal` declares that name; with
    a provider that declares no models, only mapped ones move. A session whose user chose a key moves only
    with `key`, the label of one of the other provider's keys. Raises ConnectionLost if there is no provider
    `goal`, ConfigError if both are the same."""
    if start == goal:
        raise ConfigError(f"the sessions are on '{start}' already", next_step="holdfast session list")
    provider = provider_of(config, Pin(ProviderName(goal), "any"))
    return [
        _move(config, session, provider, models=models or {}, key=key)
        for session in sessions
        if session.pin.provider == start
    ]


def _move(
    config: Config, session: Session, provider: Provider, *, models: Mapping[str, str], key: str | None
) -> Move:
    """Plan the move of one session."""
    model = models.get(session.pin.model)
    if not model and session.pin.model in (provider.models or ()):
        model = session.pin.model
    if not model:
        return Move(session, None, why_not=_no_model(provider, session.pin.model))
    label = None
    if session.key is not None:
        label = key
        if label is None:
            why_not = f"its user chose key '{session.key}', which '{provider.name}' cannot have: --key LABEL"
            return Move(session, None, why_not=why_not)
    pin = Pin(provider.name, model)
    lost = obstacle(config, session.choose(pin, 0.0, label))
    if lost is not None:
        return Move(session, None, why_not=lost.what)
    return Move(session, pin, label)


def _no_model(provider: Provider, model: str) -> str:
    """Return why a model cannot keep its name, with the option to give another."""
    reason = f"does not declare '{model}'"
    if provider.models is None:
        reason = "declares no list of models"
    return f"'{provider.name}' {reason}: --model {model}=ITS-NAME-THERE"


def carry_out(store: Store, moves: Iterable[Move]) -> list[Move]:
    """Move each session that can be moved, one at a time. Return the moves of sessions that somebody else
    changed meanwhile; these were left as they are."""
    changed: list[Move] = []
    for move in moves:
        if move.to is None:
            continue
        reason = Reason(moved=f"with all sessions of {move.session.pin.provider}")
        try:
            switch(store, move.session, move.chosen(store.now()), reason)
        except StaleSession:
            changed.append(move)
    return changed


def exported(config: Config, session: Session) -> str:
    """Return a session's choice as the text of a file for another home: the pin, the label of a chosen key,
    and the provider's URLs, so that a provider of that name at another URL is noticed there."""
    provider = config.providers.get(session.pin.provider)
    urls: dict[str, str] = {}
    if provider is not None:
        urls = _urls(provider)
    content = {
        "holdfast": _FORMAT,
        "version": _VERSION,
        "id": session.id,
        "pin": str(session.pin),
        "key": session.key,
        "created_at": session.created_at,
        "endpoints": urls,
    }
    return plain_json(content, indent=2) + "\n"


def imported(
    config: Config, text: str, now: float, *, name: str | None = None, pin: Pin | None = None
) -> Session:
    """Return the session of an exported file, under another id and on another pin if these are given.

    `now` is in epoch seconds. Raises ConfigError if the text is not an exported session, ConnectionLost if
    its choice does not resolve here, or if the provider of that name has another URL here and no pin was
    given."""
    content = _read(text)
    session = _session_of(content, now, name=name, pin=pin)
    lost = obstacle(config, session)
    if lost is not None:
        url = next(iter(content.get("endpoints", {}).values()), "URL")
        step = lost.next_step.replace("--url URL", f"--url {url}")
        raise ConnectionLost(lost.what, candidates=getattr(lost, "candidates", ()), next_step=step)
    provider = config.providers[session.pin.provider]
    if content["version"] == 1 and session.key is not None and is_position(session.key):
        raise _by_position(provider, session)
    if pin is None:
        _check_urls(provider, session, content.get("endpoints", {}))
    return session


def _session_of(content: Mapping[str, Any], now: float, *, name: str | None, pin: Pin | None) -> Session:
    """Return the session that a file describes. Raises ConfigError for invalid values."""
    try:
        chosen, key = pin, None
        if chosen is None:
            chosen, key = Pin.parse(str(content["pin"])), content.get("key")
        if key is not None:
            key = str(key)
        created_at = _created_at(content.get("created_at"), now)
        return Session(name or content["id"], chosen, key, created_at=created_at, changed_at=now)
    except (IdentityError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the file cannot be read: {getattr(error, 'what', error)}",
            next_step="holdfast session export SESSION > FILE",
        ) from None


def _check_urls(provider: Provider, session: Session, urls: Mapping[str, str]) -> None:
    """Raise ConnectionLost if the provider has another URL here than in the file, for the same dialect."""
    here = _urls(provider)
    for dialect, there in urls.items():
        if here.get(dialect) not in (there, None):
            raise ConnectionLost(
                f"'{provider.name}' is at {here[dialect]} here, and at {there} in the file",
                candidates=[str(session.pin)],
                next_step=f"holdfast session import FILE --pin {session.pin}   (if it is the same provider)",
            )


def _urls(provider: Provider) -> dict[str, str]:
    """Return the provider's URLs by dialect."""
    return {str(endpoint.dialect): endpoint.url for endpoint in provider.endpoints}


def _by_position(provider: Provider, session: Session) -> ConnectionLost:
    """Return the refusal of a key label in an older file that may be a position."""
    what = f"the file names the key '{session.key}', which may be its position among the keys of another home"
    again = f"holdfast session import FILE --pin {session.pin}"
    choose = f"holdfast session pin {session.id} {session.pin} --key LABEL"
    candidates = [key.label for key in provider.keys]
    return ConnectionLost(what, candidates=candidates, next_step=f"{again}   (then: {choose})")


def _created_at(value: object, now: float) -> float:
    """Return the time in the file (epoch seconds); now if there is none or it cannot be right."""
    created_at = times.moment(value)
    if created_at is None or not 0 < created_at <= now:
        return now
    return created_at


def _read(text: str) -> dict[str, Any]:
    """Return the content of an exported file. Raises ConfigError for any other text."""
    content = None
    if len(text) <= _LONGEST:
        with suppress(ValueError, RecursionError):
            content = json.loads(text)
    if not isinstance(content, dict) or content.get("holdfast") != _FORMAT:
        raise _not_exported()
    if not isinstance(content.get("endpoints", {}), dict):
        raise _not_exported()
    version = content.get("version")
    if version not in _READABLE:
        what = f"the file has version {version!r}, and this Holdfast reads versions 1 to {_VERSION}"
        raise ConfigError(what, next_step="holdfast --version")
    return content


def _not_exported() -> ConfigError:
    return ConfigError(
        "this is not a session exported by Holdfast", next_step="holdfast session export SESSION > FILE"
    )
