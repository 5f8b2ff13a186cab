"""What a command looks at: home, configuration, vault and store, each opened when it is first asked for."""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ..config import Home
    from ..core.config import Config
    from ..core.identity import Provider
    from ..credentials import Vault
    from ..store.base import Store


class CliContext:
    """The home of one command line."""

    @cached_property
    def home(self) -> Home:
        from ..config.home import Home

        return Home.find()

    @cached_property
    def config(self) -> Config:
        """Raises ConfigError with every problem in it."""
        from ..config.home import load

        return load(self.home)

    @cached_property
    def vault(self) -> Vault:
        from ..credentials import Vault
        from ..engine.login import renewals

        return Vault(self.home.secrets, refresh=renewals(self.home))

    @cached_property
    def store(self) -> Store:
        """Made on first use; a command that only looks asks for `memory`. Raises ConfigError and
        StoreError."""
        from ..core.errors import ConfigError
        from ..engine.home_store import open_store
        from ..store.opening import open_store as open_as_it_is

        try:
            config = self.config
        except ConfigError:
            return open_as_it_is(self._setting, self.home.state)
        return open_store(self.home, config)

    @cached_property
    def database(self) -> Path:
        """The store's file, or where it would be."""
        from ..store.opening import database

        return database(self._setting, self.home.state) or self.home.state / "state.db"

    @property
    def _setting(self) -> str:
        """Which store it is; the usual one while the configuration cannot be read, so that `doctor` can look
        at it."""
        from ..core.config import GatewaySettings
        from ..core.errors import ConfigError

        try:
            return self.config.gateway.store
        except ConfigError:
            return GatewaySettings().store

    @property
    def memory(self) -> Store | None:
        """The store if there is one: looking makes no file. Raises ConfigError and StoreError."""
        from ..store.opening import database

        elsewhere = database(self._setting, self.home.state) is None
        return self.store if elsewhere or self.has_database else None

    @property
    def editable(self) -> Home:
        """The home, for an edit of holdfast.toml. What older software left in the store is brought up to date
        first: it is understood by the file as it was."""
        from ..core.errors import ConfigError
        from ..engine.home_store import settle

        with suppress(ConfigError):  # the edit says what is wrong
            settle(self.home, self.config)
        return self.home

    @property
    def has_database(self) -> bool:
        """Whether there is a store, or what is left of one; where we may not look, opening it will say so."""
        try:
            return any(
                one.name in (self.database.name, f"{self.database.name}-wal")
                for one in self.database.parent.iterdir()
            )
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True

    def provider(self, name: str) -> Provider:
        """The entry called `name`. Raises ConfigError with the nearest name."""
        from ..core.config import near
        from ..core.errors import ConfigError
        from ..core.identity import ProviderName

        found = self.config.providers.get(ProviderName(name))
        if found is None:
            raise ConfigError(
                f"no provider is called '{name}': {near(name, self.config.providers)}",
                next_step="holdfast provider list",
            )
        return found

    def close(self) -> None:
        if "store" in self.__dict__:
            with suppress(Exception):
                self.store.close()
