"""The table of known providers (presets.toml), read when somebody first asks for a row."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from ..core.config import near
from ..core.errors import IdentityError


@cache
def rows() -> Mapping[str, Mapping[str, Any]]:
    """All presets by name, in the order of the table. The columns are explained at the head of
    presets.toml."""
    import tomllib
    from importlib.resources import files

    return tomllib.loads(files("holdfast.providers").joinpath("presets.toml").read_text("utf-8"))


def find(name: str) -> Mapping[str, Any]:
    """The row of one preset. Raises IdentityError with the nearest name when there is none."""
    row = rows().get(name)
    if row is None:
        raise IdentityError(f"no preset is called '{name}'", next_step=f"{near(name, rows())}")
    return row


def owner_of_variable(variable: str) -> str | None:
    """The preset whose key an environment variable holds; each variable has one owner."""
    return next((name for name, row in rows().items() if variable in row.get("env", ())), None)
