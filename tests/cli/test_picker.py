"""The list to pick from: what is typed filters it, and nothing is drawn where nothing can be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from cli.furnishing import Cli
from holdfast.cli import picker
from holdfast.cli.picker import Choice, Item, pick
from tables import rows

ITEMS = [Item("small"), Item("large", "64k"), Item("largest", "evil\x1b[2J")]
DOWN, UP, BACK = "\x1b[B", "\x1b[A", "\x7f"


@rows(
    ("keys", "picked"),
    [
        ("\r", "small"),
        ("lar\r", "large"),
        ("LARGEST\r", "largest"),
        (f"{DOWN}\r", "large"),
        (f"{DOWN * 9}{UP}\r", "large"),
        ("64\r", "large"),
        ("sm 64\r" + BACK * 3 + "\r", "small"),
        ("my-own\r", "my-own"),
        ("none\r" + BACK * 4 + "\t\r", "large"),
    ],
)
def test_keys_pick_an_item(keys: str, picked: str) -> None:
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        pipe.send_text(keys)
        assert pick("Model", ITEMS, lambda text: "as typed" if text.startswith("my-") else "") == picked


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_who_gives_up_picks_nothing(key: str) -> None:
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        pipe.send_text(key)
        with pytest.raises(KeyboardInterrupt):
            pick("Model", ITEMS)


def test_the_rows_show_the_mark_and_how_many_more_there_are() -> None:
    choice = Choice([Item(f"model-{number}", "words") for number in range(30)])
    assert choice.lines()[0] == ("reverse", "> model-0  words\n")
    assert len(choice.lines()) == 11
    assert "20 more" in choice.lines()[-1][1]
    choice.move(29)
    assert choice.lines()[-2] == ("reverse", "> model-29  words\n")
    choice.filter("nothing of it")
    assert (choice.marked, choice.lines()) == (None, [("", "  nothing matches\n")])
    assert "\x1b" not in "".join(row[1] for row in Choice(ITEMS).lines())


def test_nothing_is_drawn_without_a_terminal_or_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert not picker.can_pick()
    monkeypatch.setattr(picker, "in_a_terminal", lambda: True)
    assert picker.can_pick()
    for term in ("dumb", ""):
        monkeypatch.setenv("TERM", term or "dumb")
        assert not picker.can_pick()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert not picker.can_pick()


def test_a_run_without_a_pin_asks_for_one_in_a_terminal(
    cli: Cli, furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, list[str]]] = []

    def picked(question: str, items: list[Item]) -> str:
        asked.append((question, [item.value for item in items]))
        return "local/small"

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("holdfast.cli.pin_question.pick", picked)
    assert "needs a pin" in cli("run", "pi").stderr
    monkeypatch.setattr("holdfast.cli.pin_question.can_pick", lambda: True)
    assert "needs a pin" not in cli("run", "pi").stderr
    assert asked == [("Model for Pi", ["mimo/mimo-pro", "mimo/mimo-lite", "local/small"])]
    assert "prompt_toolkit.application" in sys.modules
