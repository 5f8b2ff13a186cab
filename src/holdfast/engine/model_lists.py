"""The models that an endpoint lists, kept in the store for ten minutes."""

from __future__ import annotations

from collections.abc import Callable

from ..core.errors import StoreError
from ..core.faults import Reply
from ..core.identity import Connection, Provider
from ..core.secret import Secret
from ..store.base import Store

_ASK_EVERY = 600.0
"""Seconds for which a stored list is used."""

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
