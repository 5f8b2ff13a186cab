"""Opening a home's store. Every program opens it here, so that data of older versions is updated once, by
whichever program comes first."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from .._files import quoted
from ..config.home import Home, unchanged_since
from ..core.config import Config
from ..core.errors import HoldfastError, StoreError
from ..core.identity import Key
from ..core.session import Session
from ..credentials import Vault
from ..credentials.pepper import check_value
from ..store import opening
from ..store.base import Store
from ..store.journal_events import Detail, Event, KeysRelabelled
from ..values.key_labels import is_position, label_of

_PEPPER = "pepper"
"""The name in a shared store of what tells which pepper its homes have."""


def open_store(home: Home, config: Config) -> Store:
    """Return the store of a home, with the current labels of keys. Raises StoreError when it cannot be
    opened, or belongs to homes with another pepper, ConfigError when this version has no such store."""
    store = opening.open_store(config.gateway.store, home.state, notify=config.store.notify)
    path = opening.database(config.gateway.store, home.state)
    if path is not None and path.is_relative_to(home.state):
        _replace_positions(home, config, store, path)
    if store.far:
        _check_pepper(home, config, store)
    return store


def take_over_store(home: Home, config: Config) -> None:
    """Let this home's pepper be the one of its store, which homes with another can use no more. Raises
    StoreError and ConfigError."""
    with opening.open_store(config.gateway.store, home.state) as store:
        store.claim(_PEPPER, _pepper_check(home, config), replace=True)


def _check_pepper(home: Home, config: Config, store: Store) -> None:
    """Raise StoreError if the other homes of a shared store recognise keys by another pepper."""
    try:
        mine = _pepper_check(home, config)
        if store.claim(_PEPPER, mine) == mine:
            return
    except BaseException:
        store.close()
        raise
    store.close()
    what = "the database belongs to homes with another pepper: by this one no key would be recognised"
    step = f"cp THE-OTHER-HOME/pepper {quoted(home.pepper)}   (or the same [store] pepper in both; "
    raise StoreError(what, next_step=step + "holdfast store pepper --replace keeps this home's)")


def _pepper_check(home: Home, config: Config) -> str:
    return check_value(Vault(home.secrets, pepper=lambda: config.store.pepper).pepper())


def update_store(home: Home, config: Config) -> None:
    """Update the home's own store from holdfast.toml before that file is written. Do nothing if there is no
    store yet, or it cannot be opened."""
    path = opening.database(config.gateway.store, home.state)
    if path is not None and path.exists():
        with suppress(HoldfastError):
            open_store(home, config).close()


def _replace_positions(home: Home, config: Config, store: Store, path: Path) -> None:
    """Replace positions that sessions store for keys by the keys' labels, where it is certain which keys were
    meant. Only for a store inside this home: in a shared one, other homes' files decide what was chosen."""

    def relabel(sessions: Sequence[Session], renamed: Collection[str]) -> list[tuple[Session, Event[Detail]]]:
        now = store.now()
        since = math.inf
        if _on_one_file_system(home.config, path):
            since = unchanged_since(home)
        changed = with_lasting_labels(config, sessions, unchanged_since=since, now=now, renamed=renamed)
        return [(after, _relabelled_event(before, after, now)) for before, after in changed]

    with suppress(StoreError):  # the store can still be read; the next program tries again
        store.relabel_once(relabel)


def _on_one_file_system(config: Path, database: Path) -> bool:
    """Return True if both files are on one file system. A file of another one (an image, a mount) may have
    been replaced as a whole, with its times, next to this store."""
    with suppress(OSError):
        return config.stat().st_dev == database.stat().st_dev
    return False


def _relabelled_event(before: Session, after: Session, now: float) -> Event[Detail]:
    """Return the journal event about a session's changed key labels."""
    detail = KeysRelabelled()
    if before.key != after.key:
        detail = detail._replace(before=before.key or "", key=after.key or "")
    if before.kept_key != after.kept_key:
        detail = detail._replace(forgotten=before.kept_key or "")
    return Event(now, detail, after.id, pin=str(after.pin))


def with_lasting_labels(
    config: Config,
    sessions: Iterable[Session],
    *,
    unchanged_since: float,
    now: float,
    renamed: Collection[str] = (),
) -> list[tuple[Session, Session]]:
    """Return the sessions that store a key by a position that is no key's label, as they are and as changed.

    A chosen key gets its current label if the list of keys cannot have changed since it was chosen: the
    session was changed after `unchanged_since`, not after `now` (epoch seconds; a clock that was wrong proves
    nothing), and by a choice, not by a rename of its provider (`renamed`: ids of such sessions). Otherwise
    the choice stays, and a request is refused with the candidates. A key that the session only kept is
    dropped."""
    changed = []
    for before in sessions:
        provider = config.providers.get(before.pin.provider)
        keys: Sequence[Key] = ()
        if provider is not None:
            keys = provider.keys
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
    """Return True if a stored label is a position and no key's label."""
    return label is not None and is_position(label) and label not in [key.label for key in keys]


def _counted(keys: Sequence[Key]) -> dict[str, str]:
    """Return the current labels of keys by the labels that older versions gave them by position ("k2"): keys
    that neither their user nor their reference named."""
    labels = {}
    for position, key in enumerate(keys, start=1):
        _, _, name = key.ref.partition(":")
        if key.label == label_of(key.ref) != name:
            labels[f"k{position}"] = key.label
    return labels
