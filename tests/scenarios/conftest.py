"""Where every scenario takes place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scenarios.stage import Face, Stage


@pytest.fixture
def stage(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A user's home and the face of this run. When it ends, every request that reached any provider is looked
    at."""
    stage = Stage(Face(request.param), home, monkeypatch)
    yield stage
    stage.leave()
