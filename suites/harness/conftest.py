"""The suite's modules import each other by name; real programs take their time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import programs
from stage import Stage, stage


@pytest.fixture
def on_stage(tmp_path: Path) -> Iterator[Stage]:
    with stage(tmp_path) as made:
        yield made


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which program a test drives: that of its parameter, or those that it is marked with."""
    for item in items:
        item.add_marker(pytest.mark.timeout(300))
        callspec = getattr(item, "callspec", None)
        if callspec is not None and "program" in callspec.params:
            item.add_marker(pytest.mark.drives(*programs.environments(callspec.params["program"])))
