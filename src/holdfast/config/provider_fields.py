"""Edits of the plain fields of a provider's table."""

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
