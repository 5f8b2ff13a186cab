"""The objects that a command works on: home, configuration, vault and store, each opened on first use."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ..config import Home
    from ..core.config import Config
    from ..core.identity import Key, Provider
    from ..credentials import Vault
    from ..gateway.listener import Listener
    from ..store.base import Store
    from ..values.secret import Secret


class CliContext:
    """The home of one command line."""

    @cached_property
    def home(self) -> Home:
        """Return the home that the environment selects."""
        from ..config.home import Home

        return Home.find()

    @cached_property
    def config(self) -> Config:
        """Read holdfast.toml. Raises ConfigError with every problem in it."""
        from ..config.home import load

        return load(self.home)

    def forget_config(self) -> None:
        """Have holdfast.toml read again when it is needed next: this command has changed it."""
        self.__dict__.pop("config", None)

    @cached_property
    def vault(self) -> Vault:
        """Return the reader of keys. From now on this process leaves no core dump."""
        from ..credentials import Vault
        from ..engine.token_service import renewals
        from ..engine.workload_identity import exchanges
        from ..secrecy.core_dumps import forbid_core_dumps

        forbid_core_dumps()

        def read(key: Key) -> Secret:
            return vault.secret(key)

        vault = Vault(
            self.home.secrets,
            refresh=renewals(self.home, read=read),
            exchange=exchanges(self.home, lambda: vault),
            pepper=lambda: self.config.store.pepper,
        )
        return vault

    @cached_property
    def store(self) -> Store:
        """Open the store, creating it if there is none; a command that only reads uses `existing_store`.
        Raises ConfigError and StoreError."""
        from ..core.errors import ConfigError
        from ..engine.home_store import open_store
        from ..store.opening import open_store as open_as_it_is

        try:
            config = self.config
        except ConfigError:
            return open_as_it_is(self.setting, self.home.state)
        return open_store(self.home, config)

    @cached_property
    def database(self) -> Path:
        """Return the path of the store's file, or where it would be."""
        from ..store.opening import database

        return database(self.setting, self.home.state) or self.home.state / "state.db"

    @property
    def setting(self) -> str:
        """Return the setting that names the store; the default while the configuration cannot be read, so
        that `doctor` can look at the store."""
        from ..core.config import GatewaySettings
        from ..core.errors import ConfigError

        try:
            return self.config.gateway.store
        except ConfigError:
            return GatewaySettings().store

    @property
    def existing_store(self) -> Store:
        """Return the store, to read it: an empty one in memory while there is none, so that reading creates
        no file. Raises ConfigError and StoreError."""
        if self.has_store:
            return self.store
        return self._empty_store

    @cached_property
    def _empty_store(self) -> Store:
        from ..store.memory import MemoryStore

        return MemoryStore()

    @property
    def has_store(self) -> bool:
        """Tell whether there is a store to read: a file of ours, or a database elsewhere."""
        from ..store.opening import database

        return database(self.setting, self.home.state) is None or self.has_database

    @property
    def gateway_url(self) -> str:
        """Return the URL where a client finds the gateway of this home: where it runs, else where it would
        listen by its configuration. Raises ConfigError where several run and none is there."""
        from ..gateway.registry import root_url, standing

        return root_url(standing(self.home.state), self.configured_url)

    @property
    def configured_url(self) -> str:
        """Return the URL where the gateway of this home would listen by its configuration."""
        from ..config.listen import Listen

        return Listen.parse(self.config.gateway.listen).url

    def listener_at(self, url: str) -> Listener:
        """Return who listens at a root URL. Shows it no secret."""
        from ..gateway.listener import who_listens

        return who_listens(url, self.proof_key)

    @property
    def proof_key(self) -> bytes:
        """Return the key by which a gateway of this home proves itself; b"" where none can."""
        from ..core.errors import ConfigError
        from ..gateway.listener import proof_key

        with suppress(ConfigError):  # no gateway of this home could read it either
            if self.config.store.pepper or self.home.pepper.exists():  # reading creates no file
                return proof_key(self.vault.pepper())
        return b""

    @property
    def editable(self) -> Home:
        """Return the home, for an edit of holdfast.toml. Rows that older software left in the store are
        brought up to date first: they depend on the file as it was."""
        from ..core.errors import ConfigError
        from ..engine.home_store import update_store

        with suppress(ConfigError):  # the edit says what is wrong
            update_store(self.home, self.config)
        return self.home

    @property
    def has_database(self) -> bool:
        """Tell whether there is a store's file, or what is left of one; also where we may not look: opening
        it reports that."""
        names = (self.database.name, f"{self.database.name}-wal")
        try:
            return any(path.name in names for path in self.database.parent.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True

    def provider(self, name: str) -> Provider:
        """Return the provider called `name`. Raises ConfigError with the nearest name."""
        from ..core.config import near
        from ..core.errors import ConfigError
        from ..core.identity import ProviderName

        provider = self.config.providers.get(ProviderName(name))
        if provider is None:
            raise ConfigError(
                f"no provider is called '{name}': {near(name, self.config.providers)}",
                next_step="holdfast provider list",
            )
        return provider

    def providers(self, name: str | None) -> list[Provider]:
        """Return the provider called `name`, or all without a name. Raises ConfigError with the nearest
        name."""
        if name:
            return [self.provider(name)]
        return list(self.config.providers.values())

    def close(self) -> None:
        """Close the stores that were opened. Raises nothing."""
        for name in ("store", "_empty_store"):
            store = self.__dict__.get(name)
            if store is not None:
                with suppress(Exception):
                    store.close()
