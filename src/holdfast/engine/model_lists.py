"""The models that an endpoint lists, kept in the store: requests ask for a list at most every ten minutes,
commands at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path

from ..core.classify import classify
from ..core.config import Config, ModelFacts
from ..core.errors import HoldfastError, StoreError
from ..core.faults import Phase, Reply
from ..core.identity import Connection, Dialect, Key, Provider
from ..credentials import Vault
from ..providers import profiles
from ..store.base import Store
from ..values.fault_texts import called
from ..values.secret import Secret

_ASK_EVERY = 600.0
"""Seconds for which a stored list is used."""
_ANY_MODEL = "any"
"""The model of a connection that only lists models; it is never sent."""

ListModels = Callable[[Connection, Secret | None], "Mapping[str, ModelFacts] | Reply"]
"""Asks an endpoint for its models; returns them, or the reply that is no list."""


class ModelLists:
    """Lists of models by provider and URL, and what they say of the models. Errors of the store are passed to
    `on_store_error` and stop nothing. `soon` has a function called on another thread."""

    def __init__(
        self,
        store: Store,
        list_models: ListModels,
        on_store_error: Callable[[StoreError], object],
        soon: Callable[[Callable[[], object]], object],
    ) -> None:
        self._store, self._ask, self._on_store_error, self._soon = store, list_models, on_store_error, soon
        self._facts: dict[tuple[str, str], tuple[Mapping[str, ModelFacts], float]] = {}

    def load(self, config: Config) -> None:
        """Read what was listed at the providers' endpoints. May block."""
        for provider in config.providers.values():
            for url in _urls_of(provider):
                self._read(provider.name, url)

    def facts(self, connection: Connection) -> ModelFacts:
        """Return what the list of a connection's endpoint says of its model, from memory. What is older than
        ten minutes is read again soon, and for later requests."""
        where, now = (str(connection.provider.name), connection.endpoint.url), time.monotonic()
        known, due = self._facts.get(where, ({}, 0.0))
        if now >= due:
            self._facts[where] = known, now + _ASK_EVERY
            self._soon(partial(self._read, *where))
        return known.get(connection.model, ModelFacts())

    def _read(self, name: str, url: str) -> None:
        """Read a stored list, and keep what it says of models; of most, nothing is said."""
        stored = self._stored(name, url)
        if stored is not None:
            described = {model: facts for model, facts in stored[0].items() if facts}
            self._facts[name, url] = described, time.monotonic() + _ASK_EVERY

    def _stored(self, name: str, url: str) -> tuple[Mapping[str, ModelFacts], float] | None:
        try:
            return self._store.models(name, url)
        except StoreError as error:
            self._on_store_error(error)
            return None

    def of(self, connection: Connection, used: Secret | None) -> tuple[str, ...]:
        """Return the models of a connection's endpoint: those of the last ten minutes, else a new list.

        `used` is the key to ask with. After a failure return the stored list; blame no key and raise nothing.
        """
        name, url = connection.provider.name, connection.endpoint.url
        stored = self._stored(name, url)
        known, at = stored or ({}, 0.0)
        if stored is not None and self._store.now() - at < _ASK_EVERY:
            return tuple(known)
        listed = self._ask(connection, used)
        if isinstance(listed, Reply):
            return tuple(known)
        try:
            self._store.save_models(name, url, listed, self._store.now())
        except StoreError as error:
            self._on_store_error(error)
        return tuple(listed)


def refresh_provider(
    vault: Vault, store: Callable[[], Store], provider: Provider, own_profiles: Path | None = None
) -> None:
    """Ask a provider for its models at its first endpoint that lists any, and store them in `store()`.
    Raises the first HoldfastError if no endpoint does; no key is blamed."""
    first: HoldfastError | None = None
    for dialect in provider.served() or provider.dialects[:1]:
        try:
            refresh(vault, store, provider, dialect, own_profiles=own_profiles)
        except HoldfastError as error:
            first = first or error
        else:
            return
    if first is not None:
        raise first


def refresh(
    vault: Vault,
    store: Callable[[], Store],
    provider: Provider,
    dialect: Dialect,
    *,
    readable: Collection[Key] | None = None,
    own_profiles: Path | None = None,
    unreachable: Callable[[str], object] = str,
) -> Mapping[str, ModelFacts]:
    """Ask an endpoint for its models, store and return them. `store` opens the store, which a failure leaves
    closed. `readable` are the keys that may be used, None allows all; `own_profiles` is the directory of the
    user's error vocabularies. Raises HoldfastError if the endpoint lists none, having told `unreachable` why
    where its host cannot be reached; no key is blamed."""
    from ..calls import api_calls

    connection = listing_connection(provider, dialect, readable)
    secret = None
    if connection.key is not None:
        secret = vault.secret(connection.key)
    listed = api_calls.list_models(connection, secret)
    if isinstance(listed, Reply):
        fault = classify(
            listed, profiles.of(provider.profile, connection.endpoint.host, own_profiles), now=time.time()
        )
        what = f"{connection.endpoint.host} listed no models: {called(fault.kind, fault.cause)}"
        if fault.status is not None:
            what = f"{what} (HTTP {fault.status}) {fault.excerpt}".rstrip()
        elif fault.excerpt:
            what += f" ({fault.excerpt})"
        if fault.phase is Phase.CONNECT:
            unreachable(called(fault.kind, fault.cause))
        raise HoldfastError(what, next_step=f"holdfast check {provider.name}")
    opened = store()
    opened.save_models(provider.name, connection.endpoint.url, listed, opened.now())
    return listed


def stored_models(store: Store, provider: Provider) -> dict[str, ModelFacts]:
    """Return the models that the provider listed at its present endpoints, those of single keys included, and
    what the first list that has a model says of it. Raises StoreError."""
    models: dict[str, ModelFacts] = {}
    for url in _urls_of(provider):
        stored = store.models(provider.name, url)
        for model, facts in (stored or ({}, 0.0))[0].items():
            models.setdefault(model, facts)
    return models


def _urls_of(provider: Provider) -> Iterable[str]:
    """Return the addresses of a provider's endpoints, then those of single keys, each once."""
    of_keys = (endpoint for key in provider.keys for endpoint in key.endpoints)
    return dict.fromkeys(endpoint.url for endpoint in (*provider.endpoints, *of_keys))


def listing_connection(
    provider: Provider, dialect: Dialect, readable: Collection[Key] | None = None
) -> Connection:
    """Return the connection on which the models of a dialect are asked for."""
    return Connection(provider, dialect, _first_key(provider, dialect, readable), _ANY_MODEL)


def _first_key(provider: Provider, dialect: Dialect, readable: Collection[Key] | None) -> Key | None:
    """Return the first usable key of a dialect; None if it needs none or has none."""
    if provider.takes_no_key(dialect):
        return None
    for key in provider.keys_for(dialect):
        if readable is None or key in readable:
            return key
    return None
