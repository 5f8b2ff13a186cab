"""docs/reference/coding-agents.md lists the programs and versions that src/holdfast/harness has plans for."""

from __future__ import annotations

import sys
from pathlib import Path

from children import run

ROOT = Path(__file__).parents[2]


def test_the_table_of_agents_is_that_of_their_plans() -> None:
    command = [sys.executable, ROOT / "docs" / "_generate" / "agents.py", "--check"]
    checked = run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
