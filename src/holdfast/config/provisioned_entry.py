"""The entry that a provisioner writes for its user: whole, in one edit, and only where it says something
new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._files import quoted
from ..core.config import Config
from .edit import item, rewrite
from .home import Home, document_of, read

_ADDRESS = ("url", "dialect", "endpoints", "preset", "auth", "headers", "profile")


def enter(
    home: Home,
    name: str,
    address: Mapping[str, object],
    keys: Sequence[str],
    ours: str,
    models: Sequence[str] | None,
) -> bool:
    """Makes `[provider.NAME]` stand at this address, with these keys before the user's own, and with these
    models (None declares none). Keys whose reference begins with `ours` are the provisioner's to replace.
    What else stands there stays. Whether anything changed."""

    def wanted(table: Mapping[str, Any]) -> dict[str, Any]:
        kept = [
            key
            for key in table.get("keys", [])
            if not _reference(key).startswith(ours) and _reference(key) not in keys
        ]
        rest = {field: value for field, value in table.items() if field not in (*_ADDRESS, "keys", "models")}
        return {
            **address,
            **rest,
            "keys": [*keys, *kept],
            **({"models": list(models)} if models is not None else {}),
        }

    before = document_of(read(home.config), home.config).get("provider", {}).get(name, {})
    if before == wanted(before):
        return False

    def change(text: str, _: Config) -> str:
        import tomlkit

        document: Any = tomlkit.parse(text)
        if name not in document.get("provider", {}):
            fields = {field: item(value) for field, value in wanted({}).items()}
            added = tomlkit.dumps({"provider": {name: fields}})
            return f"{text.rstrip()}\n\n{added}".lstrip()
        table = document["provider"][name]
        after = wanted(table.unwrap())
        for field in [field for field in table if field not in after]:
            del table[field]
        for field, value in after.items():
            if field not in table or table[field] != value:
                table[field] = item(value)
        return tomlkit.dumps(document)

    rewrite(home, change, again=f"${{EDITOR:-vi}} {quoted(home.config)}")
    return True


def _reference(key: object) -> str:
    return str(key.get("from", "")) if isinstance(key, Mapping) else str(key)
