"""docs/guides/first-hour.md, played with the real Claude Code and Codex: their screens are those of the
page."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import programs
import pytest

ROOT = Path(__file__).parents[2]
AGENTS = ("claude", "codex")


@pytest.mark.drives(*{name for agent in AGENTS for name in programs.environments(agent)})
def test_the_screens_of_the_first_hour_are_those_of_the_real_programs(tmp_path: Path) -> None:
    page = runpy.run_path(str(ROOT / "docs" / "_generate" / "first_hour.py"))
    text = page["DOCUMENT"].read_text("utf-8")
    path = os.pathsep.join(str(programs.directory(agent)) for agent in AGENTS)
    assert page["steady"](page["played"](text, tmp_path, path)) == page["steady"](text)
