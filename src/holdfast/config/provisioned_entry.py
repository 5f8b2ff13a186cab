"""The entry that a provisioner writes for its user: in one edit, and only if it changes something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._files import quoted
from ..core.config import Config
from .edit import edit
from .home import Home, document_of, read
from .toml_draft import Draft

_ADDRESS = ("url", "dialect", "endpoints", "preset", "auth", "headers", "profile")


def enter(
    home: Home,
    name: str,
    address: Mapping[str, object],
    keys: Sequence[str],
    ours: str,
    models: Sequence[str] | None,
) -> bool:
    """Write `[provider.NAME]` with this address, these keys before the user's own, and these models (None
    declares none). Return whether anything changed. Raises ConfigError.

    Keys whose reference begins with `ours` were written by the provisioner and are replaced. Other fields of
    the table stay as they are."""

    def is_of_user(key: object) -> bool:
        return not _reference(key).startswith(ours) and _reference(key) not in keys

    def wanted(table: Mapping[str, Any]) -> dict[str, Any]:
        rest = {field: value for field, value in table.items() if field not in (*_ADDRESS, "keys", "models")}
        entry = {**address, **rest, "keys": [*keys, *filter(is_of_user, table.get("keys", []))]}
        if models is not None:
            entry["models"] = list(models)
        return entry

    before = document_of(read(home.config), home.config).get("provider", {}).get(name, {})
    if before == wanted(before):
        return False

    def change(draft: Draft, _: Config) -> None:
        path = ("provider", name)
        if name not in draft.document.get("provider", {}):
            draft.append_table(path, wanted({}))
            return
        table = dict(draft.at(path))
        after = wanted(table)
        for field, value in after.items():
            if field not in table or table[field] != value:
                draft.put((*path, field), value)
        for field in table:
            if field not in after:
                draft.remove_field((*path, field))

    edit(home, change, again=f"${{EDITOR:-vi}} {quoted(home.config)}")
    return True


def _reference(key: object) -> str:
    """Return the reference in an entry of `keys`."""
    if isinstance(key, Mapping):
        return str(key.get("from", ""))
    return str(key)
