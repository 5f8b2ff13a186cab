"""Tables, foreign text and documents: what commands have in common."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import pytest

from children import run
from cli.furnishing import Cli
from holdfast.cli import output
from holdfast.core.errors import HoldfastError
from holdfast.store.sqlite import SqliteStore

ROOT = Path(__file__).parents[2]


def test_rows_are_aligned_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("NAME", "WHAT"), [["a", "one"], ["longer", ""]], empty="nothing")
    assert capsys.readouterr().out == "NAME    WHAT\na       one\nlonger\n"


def test_without_rows_a_sentence_replaces_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("NAME",), [], empty="no name yet\n  run: holdfast init")
    assert capsys.readouterr().out == "no name yet\n  run: holdfast init\n"


@pytest.mark.parametrize("rich_is_there", [True, False])
def test_a_terminal_gets_a_drawn_table_if_it_can_be_drawn(
    rich_is_there: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = builtins.__import__

    def without_rich(name: str, *arguments: Any) -> Any:
        if name.startswith("rich") and not rich_is_there:
            raise ImportError(name)
        return load(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_rich)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.table(("NAME",), [["[bold]x[/bold]"]], empty="nothing")
    text = capsys.readouterr().out
    assert "[bold]x[/bold]" in text
    assert ("─" in text) is rich_is_there


def test_what_came_from_outside_cannot_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "evil\x1b[2J\x07\r"
    output.say(evil)
    output.table((evil,), [[evil]], empty=evil)
    output.refuse(HoldfastError(evil), as_json=False)
    output.refuse(HoldfastError(evil), as_json=True)
    printed = capsys.readouterr()
    assert not set(printed.out + printed.err) & set("\x1b\x07\r")


def test_a_listed_name_that_cannot_be_a_model_hides_no_other(cli: Cli, furnished: Path) -> None:
    with SqliteStore(furnished / "state.db") as store:
        store.save_models(
            "both",
            "https://both.example/v1",
            {name: {} for name in ("evil\x1b[2J", "", " padded", "good")},
            store.now(),
        )
    result = cli("models", "--provider", "both")
    assert (result.exit_code, [line.split()[0] for line in result.stdout.splitlines()]) == (
        0,
        ["PIN", "both/good"],
    )


def test_the_document_of_the_command_line_is_up_to_date() -> None:
    checked = run(
        [sys.executable, ROOT / "docs" / "_generate" / "cli.py", "--check"],
        capture_output=True,
        text=True,
    )
    assert (checked.returncode, checked.stderr) == (0, "")
