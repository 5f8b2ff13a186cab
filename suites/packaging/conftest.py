"""The server of the suite for PostgreSQL serves here too."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".venv-packaging" / "bin"
_POSTGRES = runpy.run_path(str(ROOT / "suites" / "postgres" / "conftest.py"))
server, url = _POSTGRES["server"], _POSTGRES["url"]


@pytest.fixture(scope="session")
def judged() -> Callable[..., dict[str, Any]]:
    """Asks `judge.py`."""

    def ask(**question: Any) -> dict[str, Any]:
        command = [str(TOOLS / "python"), str(Path(__file__).with_name("judge.py"))]
        done = subprocess.run(
            command, input=json.dumps(question), capture_output=True, text=True, timeout=100, check=False
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return ask


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a directory for a home."""
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def _no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may read the home of whoever runs the suite."""
    for name in [name for name in os.environ if name.startswith(("HOLDFAST_", "PG"))]:
        monkeypatch.delenv(name)
