"""Installs what the selected tests drive before the first of them begins: no installation runs in the time
that a test has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from suites import installing

if TYPE_CHECKING:
    import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "drives(*names): the environments of suites/packages.toml that a test needs"
    )


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.collectonly or hasattr(session.config, "workerinput"):
        return
    wanted = {name for item in session.items for mark in item.iter_markers("drives") for name in mark.args}
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        for name in sorted(wanted):
            installing.ensure(name, installing.place(name))
