"""The suite's modules import each other by name; a real proxy takes its time."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.sdk import api
from holdfast.sdk.api import Holdfast

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def hf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Holdfast]:
    """A home that has the proxy's master key in a variable, and tests a key again at once."""
    from proxy import MASTER

    monkeypatch.setenv("PROXY_ADMIN", MASTER)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "holdfast.toml").write_text("[settings]\nprobe_delays = [0.05]\n")
    with api.open(home) as held:
        yield held
