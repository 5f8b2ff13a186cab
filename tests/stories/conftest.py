"""Where every story takes place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stories.faces import Face
from stories.story import House

BOTH = (Face.LIBRARY, Face.GATEWAY)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Through a gateway the SDKs are as they are: one way of each dialect tells it all."""
    spared = [item for item in items if _is_spared(getattr(item, "callspec", None))]
    config.hook.pytest_deselected(items=spared)
    items[:] = [item for item in items if item not in set(spared)]


def _is_spared(call: Any) -> bool:
    way = call.params.get("way") if call is not None else None
    return way is not None and call.params.get("face") is Face.GATEWAY and not (way.is_async and way.streams)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tell each story through all of its faces."""
    if "face" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("faces")
        metafunc.parametrize("face", mark.args if mark is not None else BOTH, ids=str)


@pytest.fixture
def house(home: Path, monkeypatch: pytest.MonkeyPatch, face: Face) -> Iterator[House]:
    """A user's home. When the story ends, every request that reached any provider is looked at."""
    house = House(home, monkeypatch, face)
    yield house
    house.leave()
