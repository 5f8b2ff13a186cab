"""`holdfast import` with the file of another program says whose it is, and writes nothing."""

from __future__ import annotations

import json
from pathlib import Path

from cli.furnishing import Cli

CLAUDE = '{"env": {"ANTHROPIC_BASE_URL": "https://a.example"}}'


def test_the_command_line_names_the_importer_of_a_file(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(CLAUDE)
    for arguments in (["codex", str(file)], [str(file)], [str(tmp_path)]):
        result = cli("import", *arguments)
        assert result.exit_code == 2
        assert "is a file of Claude Code" in result.stderr
        assert f"holdfast import claude {arguments[-1]}" in result.stderr


def test_a_file_that_nobody_knows_is_left_to_its_importer(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"theme": "dark"}))
    assert cli("import", "claude", str(file)).exit_code == 0
    assert "is no file of a program that is known here" in cli("import", str(file)).stderr
    assert "is not one of" in cli("import", "nobody").stderr
