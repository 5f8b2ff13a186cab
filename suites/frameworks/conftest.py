"""The suite's modules import each other by name; real frameworks take their time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which framework a test drives: that of its parameter."""
    from test_frameworks import FRAMEWORKS

    for item in items:
        callspec = getattr(item, "callspec", None)
        if _HERE in item.path.parents and callspec is not None:
            environment = FRAMEWORKS[callspec.params["name"]].environment
            item.add_marker(pytest.mark.drives(f"frameworks-{environment}"))
