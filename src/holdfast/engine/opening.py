"""Opening a home: its vault, its store and the engine over both, for the library and the gateway."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from .. import distribution
from ..calls.network import Network
from ..config import Home
from ..config import load as load_config
from ..core.config import Config, StoreSettings
from ..core.errors import ConfigError
from ..core.identity import Key
from ..values.secret import Secret
from .failback import FailbackMonitor
from .provisioning import Provisioning
from .state import Engine
from .upkeep import StoreUpkeep

if TYPE_CHECKING:
    from types import TracebackType

    from ..credentials import Vault
    from ..credentials.callback_source import Supplier
    from ..store.base import Store


class OpenHome:
    """An opened home: its engine and its background work.

    Use as a context manager, or `close()` when done; the journal is complete after either.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.failback = FailbackMonitor(engine)
        settings, warn = self._store_settings, engine.journal_writer.warn_once
        self.upkeep = StoreUpkeep(engine.store, settings, engine.owner, tell=warn)
        engine.journal_writer.wrote = self.upkeep.wrote
        self.provisioning = Provisioning(engine)
        """Providers that programs set up; applications call its `ensure_ready`."""
        self.sleep: Callable[[float], None] | None = None
        """What lets seconds pass instead of the clock, in the tests of programs."""

    def _store_settings(self) -> StoreSettings:
        return self.engine.config().store

    def close(self) -> None:
        """End the background work, write the journal and close the store."""
        self.upkeep.close()
        self.failback.close()
        self.provisioning.close()
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def build_engine(
    home: Home,
    *,
    keys: Mapping[str, Supplier] | None = None,
    store: Store | None = None,
    vault: Vault | None = None,
    serving: Config | None = None,
    environ: Mapping[str, str] = os.environ,
    network: Network | None = None,
) -> Engine:
    """Build the engine of a home; a vault and a store that are not given are opened.

    `keys` are the functions for keys that the configuration writes as `call:NAME`. With `serving`, the
    configuration to start with, the last good one stays in force while the file is broken. `environ` holds
    the variables of keys; it is read at every request, so that a changed variable is a changed key. Its
    HOLDFAST_FAST_PATH=off sends every request on the full path. `network` says how connections to providers
    are opened. Raises ConfigError when the configuration is broken,
    StoreError when the store cannot be opened.
    """
    if not distribution.runs_here():
        raise ConfigError(distribution.NOT_HERE, next_step=distribution.INSTEAD)
    from ..credentials import Vault as FileVault
    from .token_service import post, renewals
    from .workload_identity import exchanges

    network = network or Network()

    def read(key: Key) -> Secret:
        return opened.secret(key)

    send = partial(post, network=network)
    opened = vault or FileVault(
        home.secrets,
        environ=environ,
        refresh=renewals(home, send, read),
        exchange=exchanges(home, lambda: opened, send),
        suppliers=keys,
        pepper=partial(_pepper_of, home, serving),
    )
    list_models = partial(_list_models, network)
    engine = Engine(home, opened, store or open_store(home), list_models, serving=serving, network=network)
    engine.fast_path.on = environ.get("HOLDFAST_FAST_PATH") != "off"
    return engine


def open_store(home: Home) -> Store:
    """Open the store that the home's configuration names, by default SQLite in its state file.

    Raises ConfigError and StoreError.
    """
    from . import home_store

    return home_store.open_store(home, load_config(home))


def _pepper_of(home: Home, serving: Config | None) -> str:
    """Return the reference to a home's pepper."""
    return (serving or load_config(home)).store.pepper


def _list_models(network: Network, connection: Any, secret: Any) -> Any:
    from ..calls.api_calls import list_models

    return list_models(connection, secret, network=network)
