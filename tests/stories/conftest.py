"""Where every story takes place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stories.told import House


@pytest.fixture
def house(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A user's home. When the story ends, every request that reached any provider is looked at."""
    house = House(home, monkeypatch)
    yield house
    house.leave()
