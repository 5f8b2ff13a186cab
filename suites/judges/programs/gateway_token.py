"""A plugin of pytest: it gives an SDK's own tests the token of a gateway in place of their invented key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    for plugin in session.config.pluginmanager.get_plugins():
        if hasattr(plugin, "api_key") and hasattr(plugin, "base_url"):
            plugin.api_key = os.environ["TEST_API_KEY"]
