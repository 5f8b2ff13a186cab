"""Another table of presets for one test."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from holdfast.providers import presets

if TYPE_CHECKING:
    import pytest


def replace_presets(patch: pytest.MonkeyPatch, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Let these be the known providers, also in what is remembered of the table."""
    patch.setattr(presets, "rows", lambda: rows)
    for remembered in ("_hosts", "_prefixes"):
        patch.setattr(presets, remembered, cache(getattr(presets, remembered).__wrapped__))
