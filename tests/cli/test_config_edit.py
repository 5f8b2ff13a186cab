"""`holdfast config edit` replaces the file by a correct draft, or leaves it and keeps the draft."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from cli.furnishing import CONFIG, Cli, write
from holdfast.config import schema_file

WITH_ONE_MORE = CONFIG.replace('models = ["small"]', 'models = ["small", "smaller"]')
WRONG = CONFIG.replace("url    =", "base_url =", 1)


def editor(folder: Path, text: str, *, also: str = "") -> str:
    """The command of an editor that saves `text`, and then runs a line of Python."""
    program = folder / "editor.py"
    program.write_text(f"import pathlib, sys\npathlib.Path(sys.argv[1]).write_text({text!r})\n{also}\n")
    return f"{sys.executable} {program}"


def test_a_correct_draft_replaces_the_file(
    cli: Cli, furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", editor(tmp_path, WITH_ONE_MORE))
    result = cli("config", "edit")
    assert (result.exit_code, result.stdout) == (0, f"Changed {furnished / 'holdfast.toml'}\n")
    assert (furnished / "holdfast.toml").read_text() == WITH_ONE_MORE
    assert (furnished / "holdfast.toml").stat().st_mode & 0o777 == 0o600
    assert not list(furnished.glob("*.draft"))
    assert cli("config", "edit").stdout == "Nothing was changed.\n"


def test_a_wrong_draft_changes_nothing_and_the_next_edit_goes_on_with_it(
    cli: Cli, furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", editor(tmp_path, WRONG))
    result = cli("config", "edit")
    assert result.exit_code == 2
    assert "holdfast.toml.draft:3" in result.stderr
    assert "run: holdfast config edit   (goes on with the draft)" in result.stderr
    assert (furnished / "holdfast.toml").read_text() == CONFIG
    assert (furnished / "holdfast.toml.draft").read_text() == WRONG
    mend = "p = pathlib.Path(sys.argv[1]); p.write_text(p.read_text().replace('base_url', 'url'))"
    (tmp_path / "editor.py").write_text(f"import pathlib, sys\n{mend}\n")
    assert cli("config", "edit").exit_code == 0
    assert (furnished / "holdfast.toml").read_text() == WRONG.replace("base_url", "url")


def test_a_file_that_is_wrong_can_be_mended(
    cli: Cli, furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(furnished / "holdfast.toml", WRONG)
    monkeypatch.setenv("VISUAL", editor(tmp_path, CONFIG))
    assert cli("config", "edit").exit_code == 0
    assert cli("provider", "list").exit_code == 0


def test_what_another_program_wrote_meanwhile_is_not_overwritten(
    cli: Cli, furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = furnished / "holdfast.toml"
    other = f"pathlib.Path({str(file)!r}).write_text({WITH_ONE_MORE!r})"
    monkeypatch.setenv("VISUAL", editor(tmp_path, CONFIG.replace("# my own words", "# mine"), also=other))
    os.utime(file, (1, 1))
    for _ in range(2):
        result = cli("config", "edit")
        assert (result.exit_code, "was changed after your draft" in result.stderr) == (2, True)
        assert file.read_text() == WITH_ONE_MORE
        os.utime(file)


@pytest.mark.parametrize(("command", "why"), [("false", "ended with 1"), ("no-such-editor", "cannot be run")])
def test_an_editor_that_fails_changes_nothing(
    command: str, why: str, cli: Cli, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", command)
    result = cli("config", "edit")
    assert (result.exit_code, why in result.stderr) == (2, True)
    assert (furnished / "holdfast.toml").read_text() == CONFIG


def test_without_an_editor_and_a_terminal_nothing_is_started(
    cli: Cli, furnished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    for line in (["config", "edit"], ["provider", "edit", "mimo"]):
        result = cli(*line)
        assert (result.exit_code, "run: holdfast config path" in result.stderr) == (2, True)
    assert not list(furnished.glob("*.draft"))


def test_the_schema_of_the_file_is_printed_put_beside_it_and_kept_up_to_date(
    cli: Cli, furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, file = furnished / "holdfast.schema.json", furnished / "holdfast.toml"
    assert cli("config", "schema").stdout == schema_file.text()
    assert not copy.exists()
    for _ in range(2):  # the line is not written twice
        assert cli("config", "schema", "--write").stdout == f"Wrote {copy}\n"
        assert file.read_text() == f"#:schema ./holdfast.schema.json\n\n{CONFIG}"
        assert copy.read_text() == schema_file.text()
    monkeypatch.setenv("VISUAL", editor(tmp_path, CONFIG))
    for command in ("edit", "upgrade"):
        copy.write_text("{}")
        assert cli("config", command).exit_code == 0
        assert copy.read_text() == schema_file.text()


@pytest.mark.parametrize(
    "line",
    [["init"], ["setup", "--url", "http://127.0.0.1:1/v1", "--auth", "none", "--model", "m"]],
    ids=lambda line: line[0],
)
def test_a_new_file_names_its_schema(cli: Cli, home: Path, line: list[str]) -> None:
    cli(*line)
    assert (home / "holdfast.toml").read_text().startswith("#:schema ./holdfast.schema.json\n")
    assert (home / "holdfast.schema.json").read_text() == schema_file.text()
