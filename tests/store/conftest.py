"""The store as it is."""

from __future__ import annotations

import pytest

from holdfast.store import sqlite

_BUILD = sqlite._build


@pytest.fixture(autouse=True)
def every_database_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build each new database as the product does."""
    monkeypatch.setattr(sqlite, "_build", _BUILD)
