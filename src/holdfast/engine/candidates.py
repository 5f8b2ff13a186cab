"""The candidates of a choice that does not resolve, as far as the store remembers them: one owner for the
library, the gateway and the command line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from ..core.config import Config
from ..core.errors import ConfigError, ConnectionLost, NoSession, StoreError, UnknownModel
from ..core.identity import Pin
from ..core.session import Session
from ..store.base import Store
from ..store.journal_events import Attempted, Detail, FormerNameUsed, of_type

_MOST_NOTED = 1_000


class KnownChoices(Protocol):
    """The configuration, the sessions and the store of an engine."""

    store: Store

    def config(self) -> Config:
        """Return the configuration in force. Raises ConfigError."""
        ...

    def session(self, session_id: str) -> Session | None:
        """Return the session's row, None where there is none. Raises StoreError."""
        ...


def with_candidates(
    config: Config, lost: ConnectionLost, pin: Pin, store: Store, session: str = ""
) -> ConnectionLost:
    """Return a refusal of `pin` with all its candidates. May block on the store. Raises StoreError.

    First comes the pin with the present name of a renamed provider, then the model at the other providers
    whose URL the session used last."""
    candidates = _at_last_url(config, pin, store, session)
    new = None
    if pin.provider not in config.providers:
        new = store.new_name(pin.provider)
    if new not in config.providers:
        return lost.preferring(candidates)
    renamed = f"{new}/{pin.model}"
    step = lost.next_step
    if not isinstance(lost, UnknownModel):
        step = f"holdfast session pin {session or 'SESSION'} {renamed}"
    return lost.preferring(
        [renamed, *candidates], f" ('{pin.provider}' is called '{new}' now)", next_step=step
    )


def _at_last_url(config: Config, pin: Pin, store: Store, session: str) -> list[str]:
    """Return pins of the model with other providers at the URL that the session used last."""
    if not session:
        return []
    urls = [event.detail.url for event in of_type(store.journal(session=session), Attempted)][-1:]
    return [
        f"{provider.name}/{pin.model}"
        for provider in config.providers.values()
        if provider.name != pin.provider and any(endpoint.url in urls for endpoint in provider.endpoints)
    ]


def completed(
    known: KnownChoices, lost: ConnectionLost, session_id: str, model: str | None
) -> ConnectionLost:
    """Return the refusal of a request for `model` with all its candidates. May block on the store."""
    if isinstance(lost, NoSession):
        return lost
    with suppress(ConfigError, StoreError):
        if isinstance(lost, UnknownModel):
            return with_candidates(known.config(), lost, Pin.parse(model or ""), known.store)
        session = known.session(session_id)
        if session is not None:
            return with_candidates(known.config(), lost, session.pin, known.store, session=session_id)
    return lost


class FormerNames:
    """The names that sessions and providers had before (`dispatch.KnownNames`).

    Notes in the journal that requests ask for a session by the name of a former choice: once for each name,
    choice and process."""

    def __init__(self, store: Store, note: Callable[[Session, Detail], None]) -> None:
        self._store, self._note = store, note
        self._noted: set[tuple[str, int, str]] = set()

    def follow(self, session: Session, asked: str, former: Pin) -> None:
        """Note that a request asks for `asked`, a name of the choice `former` of its session."""
        subject = session.id, session.version, asked
        if subject in self._noted:
            return
        if len(self._noted) >= _MOST_NOTED:
            self._noted.clear()
        self._noted.add(subject)
        self._note(session, FormerNameUsed(asked, str(former)))

    def renamed(self, config: Config, model: str) -> bool:
        """Return whether `model` is a pin of a provider that has another name now. A store that is away knows
        none."""
        provider, _, rest = model.partition("/")
        if not rest or provider in config.providers:
            return False
        with suppress(StoreError):
            return self._store.new_name(provider) in config.providers
        return False
