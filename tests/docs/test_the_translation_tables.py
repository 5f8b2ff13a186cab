"""docs/reference/translation.md lists what may be lost, and which presets the programs reach."""

from __future__ import annotations

import sys
from pathlib import Path

from children import run

ROOT = Path(__file__).parents[2]


def test_the_tables_of_translation_are_those_of_the_code() -> None:
    command = [sys.executable, ROOT / "docs" / "_generate" / "translation.py", "--check"]
    checked = run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_claude_code_and_codex_reach_every_preset_but_for_a_reason() -> None:
    page = (ROOT / "docs" / "reference" / "translation.md").read_text("utf-8")
    rows = [line for line in page.partition("generated: presets")[2].splitlines() if line.startswith("| `")]
    refused = [line.split("`")[1] for line in rows if "refused" in line]
    assert len(rows) > 60
    assert refused == ["kimi-coding"], "this turn has a call of another model, whose thoughts it wants"
