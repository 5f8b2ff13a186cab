"""Opening the store that the setting `[gateway] store` names. The modules of the engines are imported on
use."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import ConfigError, StoreError
from .base import Store


def database(setting: str, directory: Path) -> Path | None:
    """Return the file of a `sqlite:PATH`, relative paths taken from `directory`; None for a store without a
    file of ours."""
    scheme, _, rest = setting.partition(":")
    if scheme != "sqlite":
        return None
    return directory / Path(rest or "state.db").expanduser()


def open_store(setting: str, directory: Path, *, notify: bool = False) -> Store:
    """Return the store that `setting` names; with `notify` a database tells others of changes at once. Raises
    StoreError if it cannot be opened, ConfigError if this version has no such store."""
    path = database(setting, directory)
    if path is not None:
        from .sqlite import SqliteStore

        return SqliteStore(path)
    if setting.startswith("memory:"):
        from .memory import MemoryStore

        return MemoryStore()
    if setting.startswith("postgresql:"):
        from .postgres import PostgresStore

        return PostgresStore(setting, notify=notify)
    what = f'gateway.store: "{setting.partition(":")[0]}:" names no store'
    raise ConfigError(what, next_step='holdfast doctor   (after writing store = "sqlite:state.db")')


def may_pass(error: StoreError) -> bool:
    """Return whether a store that could not be opened may open later: the database is away, busy or full (an
    OperationalError of its driver, as PEP 249 calls it), and not damaged, or of a newer version."""
    cause = error.__cause__
    names = [kind.__name__ for kind in type(cause).__mro__]
    return isinstance(cause, OSError) or "OperationalError" in names
