"""The suite's modules import each other by name; real clients take their time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from suites.installing import PACKAGES

sys.path.insert(0, str(Path(__file__).parent))

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    names = [name for kind in ("python", "npm") for name in PACKAGES[kind] if name.startswith("clients-")]
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.drives(*names))
