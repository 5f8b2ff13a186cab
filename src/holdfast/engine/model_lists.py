"""The models that an endpoint lists, kept in the store: requests ask for a list at most every ten minutes,
commands at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path

from ..core.classify import classify
from ..core.errors import HoldfastError, StoreError
from ..core.faults import Reply
from ..core.identity import Connection, Dialect, Key, Provider
from ..core.secret import Secret
from ..credentials import Vault
from ..providers import profiles
from ..store.base import Store

_ASK_EVERY = 600.0
"""Seconds for which a stored list is used."""
_ANY_MODEL = "any"
"""The model of a connection that only lists models; it is never sent."""

ListModels = Callable[[Connection, Secret | None], "tuple[str, ...] | Reply"]
"""Asks an endpoint for its models; returns them, or the reply that is no list."""


class ModelLists:
    """Lists of models by provider and URL. Errors of the store are passed to `on_store_error` and stop
    nothing."""

    def __init__(
        self, store: Store, list_models: ListModels, on_store_error: Callable[[StoreError], object]
    ) -> None:
        self._store, self._ask, self._on_store_error = store, list_models, on_store_error

    def of(self, connection: Connection, used: Secret | None) -> tuple[str, ...]:
        """Return the models of a connection's endpoint: those of the last ten minutes, else a new list.

        `used` is the key to ask with. After a failure return the stored list; blame no key and raise nothing.
        """
        name, url = connection.provider.name, connection.endpoint.url
        known: tuple[str, ...] = ()
        try:
            stored = self._store.models(name, url)
        except StoreError as error:
            self._on_store_error(error)
            stored = None
        if stored is not None:
            known, at = stored
            if self._store.now() - at < _ASK_EVERY:
                return known
        listed = self._ask(connection, used)
        if isinstance(listed, Reply):
            return known
        try:
            self._store.save_models(name, url, listed, self._store.now())
        except StoreError as error:
            self._on_store_error(error)
        return listed


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
) -> tuple[str, ...]:
    """Ask an endpoint for its models, store and return them. `store` opens the store, which a failure leaves
    closed. `readable` are the keys that may be used, None allows all; `own_profiles` is the directory of the
    user's error vocabularies. Raises HoldfastError if the endpoint
    lists none; no key is blamed."""
    from ..calls import api_calls

    connection = Connection(provider, dialect, _first_key(provider, dialect, readable), _ANY_MODEL)
    secret = None
    if connection.key is not None:
        secret = vault.secret(connection.key)
    listed = api_calls.list_models(connection, secret)
    if isinstance(listed, Reply):
        fault = classify(
            listed, profiles.of(provider.profile, connection.endpoint.host, own_profiles), now=time.time()
        )
        what = f"{connection.endpoint.host} listed no models: {fault.kind}"
        if fault.status is not None:
            what += f" (HTTP {fault.status})"
        what = f"{what} {fault.excerpt}".rstrip()
        raise HoldfastError(what, next_step=f"holdfast check {provider.name}")
    opened = store()
    opened.save_models(provider.name, connection.endpoint.url, listed, opened.now())
    return listed


def stored_models(store: Store, provider: Provider) -> list[str]:
    """Return the models that the provider listed at its present endpoints, those of single keys included.

    Raises StoreError.
    """
    endpoints = [*provider.endpoints]
    for key in provider.keys:
        endpoints += key.endpoints
    models: list[str] = []
    for url in dict.fromkeys(endpoint.url for endpoint in endpoints):
        stored = store.models(provider.name, url)
        if stored is not None:
            models += stored[0]
    return models


def _first_key(provider: Provider, dialect: Dialect, readable: Collection[Key] | None) -> Key | None:
    """Return the first usable key of a dialect; None if it needs none or has none."""
    if provider.takes_no_key(dialect):
        return None
    for key in provider.keys_for(dialect):
        if readable is None or key in readable:
            return key
    return None
