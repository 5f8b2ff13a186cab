"""The suite's modules import each other by name; judges take their time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


_DRIVEN = {
    "test_llm_comply": ("judges-comply",),
    "test_published_schemas": ("judges-schemas",),
    "test_sdk_suites": (
        *("judges-openai", "judges-anthropic", "judges-sdks"),
        *("judges-schemas", "judges-steady"),
    ),
}
"""The environments that the tests of a module need; recorded answers are read while tests are collected."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.timeout(300))
        item.add_marker(pytest.mark.drives(*_DRIVEN.get(item.path.stem, ())))
