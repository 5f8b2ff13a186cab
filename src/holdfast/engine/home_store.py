"""Opening a home's store: every program that does it asks here, so that what older software left is brought
up to date whoever comes first, and once."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..config.home import Home, unchanged_since
from ..core.config import Config
from ..core.errors import HoldfastError, StoreError
from ..core.identity import Key
from ..core.key_labels import is_position, label_of
from ..core.session import Session
from ..store import opening
from ..store.base import Store
from ..store.journal_events import Detail, Event, KeysRelabelled


def open_store(home: Home, config: Config) -> Store:
    """Return the store of a home, with the labels that keys have now. Raises StoreError when it cannot be
    opened, ConfigError when this version has no such store."""
    store = opening.open_store(config.gateway.store, home.state)
    path = opening.database(config.gateway.store, home.state)
    if path is not None and path.is_relative_to(home.state):
        _replace_positions(home, config, store, path)
    return store


def settle(home: Home, config: Config) -> None:
    """Bring the home's own store up to date by holdfast.toml as it stands, before it is written. Nothing
    happens where there is no store yet, or it cannot be opened."""
    path = opening.database(config.gateway.store, home.state)
    if path is not None and path.exists():
        with suppress(HoldfastError):
            open_store(home, config).close()


def _replace_positions(home: Home, config: Config, store: Store, path: Path) -> None:
    """Give keys that sessions store by a position the labels that they have now, where it is certain which
    keys were meant. Only in a store of this home alone: whatever other homes write there was chosen by other
    files."""

    def relabel(sessions: Sequence[Session], renamed: Collection[str]) -> list[tuple[Session, Event[Detail]]]:
        now = store.now()
        since = unchanged_since(home) if _side_by_side(home.config, path) else math.inf
        changed = with_lasting_labels(config, sessions, unchanged_since=since, now=now, renamed=renamed)
        return [(after, _line(before, after, now)) for before, after in changed]

    with suppress(StoreError):  # it can be read at least; the next program tries again
        store.relabel_once(relabel)


def _side_by_side(config: Path, database: Path) -> bool:
    """Return whether both files are on one file system: a file of another one (an image, a mount) may have
    been exchanged, whole and with its times, beside this store."""
    with suppress(OSError):
        return config.stat().st_dev == database.stat().st_dev
    return False


def _line(before: Session, after: Session, now: float) -> Event[Detail]:
    """Return the journal line that tells which labels of a session changed."""
    detail = KeysRelabelled()
    if before.key != after.key:
        detail = replace(detail, before=before.key or "", key=after.key or "")
    if before.kept_key != after.kept_key:
        detail = replace(detail, forgotten=before.kept_key or "")
    return Event(now, detail, after.id, pin=str(after.pin))


def with_lasting_labels(
    config: Config,
    sessions: Iterable[Session],
    *,
    unchanged_since: float,
    now: float,
    renamed: Collection[str] = (),
) -> list[tuple[Session, Session]]:
    """Return the sessions that store a key by a position, where no key is called that, before and after.

    A chosen key gets the label that it has now if nobody can have changed the list of keys since it was
    chosen: the session was changed after `unchanged_since`, not after `now` (epoch seconds; a clock that was
    wrong proves nothing), and by a choice, not with its provider's name (`renamed`: ids). Else the choice
    stays as it is, and is refused with the candidates. A key that the session only kept is forgotten."""
    changed = []
    for before in sessions:
        provider = config.providers.get(before.pin.provider)
        keys = provider.keys if provider is not None else ()
        after = before
        if _is_lost(before.kept_key, keys):
            after = replace(after, kept_key=None)
        chosen_from_this_list = unchanged_since < before.changed_at <= now and before.id not in renamed
        if chosen_from_this_list and _is_lost(before.key, keys):
            after = replace(after, key=_counted(keys).get(str(before.key), before.key))
        if after != before:
            changed.append((before, after))
    return changed


def _is_lost(label: str | None, keys: Sequence[Key]) -> bool:
    """Return whether a stored label is a position by which no key is called."""
    return label is not None and is_position(label) and label not in [key.label for key in keys]


def _counted(keys: Sequence[Key]) -> dict[str, str]:
    """Return what older software called the keys that neither their user nor their reference named ("k2"),
    with their labels now."""
    labels = {}
    for position, key in enumerate(keys, start=1):
        _, _, name = key.ref.partition(":")
        if key.label == label_of(key.ref) != name:
            labels[f"k{position}"] = key.label
    return labels
