"""Edits of the plain fields of a provider's table, and of what its endpoints take."""

from __future__ import annotations

from collections.abc import Mapping

from ..core.config import Config
from .edit import edit, known_provider
from .home import Home
from .toml_draft import Draft


def set_fields(home: Home, provider: str, fields: Mapping[str, object]) -> Config:
    """Set fields of `[provider.NAME]`; None removes one. Raises ConfigError; nothing is changed then."""

    def change(draft: Draft, config: Config) -> None:
        known_provider(config, provider)
        path = ("provider", provider)
        for field, value in fields.items():
            if value is not None:
                draft.put((*path, field), value)
            elif field in draft.at(path):
                draft.remove_field((*path, field))

    return edit(home, change, again="holdfast provider edit --help")


def set_caps(home: Home, provider: str, dialect: str, members: Mapping[str, object]) -> Config:
    """Set what a provider's endpoint of a dialect takes; its other members stay. Raises ConfigError; nothing
    is changed then."""

    def change(draft: Draft, config: Config) -> None:
        known_provider(config, provider)
        path = ("provider", provider)
        caps = draft.at(path).get("caps", {})
        if dialect not in caps:
            draft.put(
                (*path, "caps", dialect) if caps else (*path, "caps"), members if caps else {dialect: members}
            )
            return
        for member, value in members.items():
            draft.put((*path, "caps", dialect, member), value)

    return edit(home, change, again="holdfast check --help")
