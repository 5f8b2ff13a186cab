"""holdfast.toml on disk: where it is, the line of each value, and edits that keep its comments."""

from __future__ import annotations

from .edit import (
    add_key,
    add_provider,
    remove_key,
    remove_provider,
    rename_provider,
    set_account,
    set_endpoints,
    set_fallback,
    set_models,
)
from .home import Home, load, project_pin, revision
from .positions import Lines

__all__ = [
    "Home",
    "Lines",
    "add_key",
    "add_provider",
    "load",
    "project_pin",
    "remove_key",
    "remove_provider",
    "rename_provider",
    "revision",
    "set_account",
    "set_endpoints",
    "set_fallback",
    "set_models",
]
