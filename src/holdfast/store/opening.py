"""The setting `[gateway] store` becomes a store: where its file is, and which engine opens it. Engines are
imported when they are asked for."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import ConfigError
from .base import Store


def database(setting: str, directory: Path) -> Path | None:
    """The file of a `sqlite:PATH`, which a relative path names within `directory`; None for a store without a
    file of ours."""
    scheme, _, rest = setting.partition(":")
    return directory / Path(rest or "state.db").expanduser() if scheme == "sqlite" else None


def open_store(setting: str, directory: Path) -> Store:
    """The store that `setting` names. Raises StoreError when it cannot be opened, ConfigError when this
    version has no such store."""
    path = database(setting, directory)
    if path is not None:
        from .sqlite import SqliteStore

        return SqliteStore(path)
    if setting.startswith("memory:"):
        from .memory import MemoryStore

        return MemoryStore()
    if setting.startswith("postgresql:"):
        from .postgres import PostgresStore

        return PostgresStore(setting)
    what = f'gateway.store: "{setting.partition(":")[0]}:" names no store'
    raise ConfigError(what, next_step='holdfast doctor   (after writing store = "sqlite:state.db")')
