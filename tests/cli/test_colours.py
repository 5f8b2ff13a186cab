"""Colours have one owner, which obeys the option, the variables and the terminal; and what is waited for is
told on a terminal only."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from pathlib import Path
from threading import Event

import pytest

from cli.furnishing import Cli
from holdfast.cli import colours, progress
from tables import rows

VARIABLES = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE")


class Terminal(io.StringIO):
    """A text stream that says it is a terminal, and tells when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.told = Event()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.told.set()
        return super().write(text)


@rows(
    ("option", "variables", "terminal", "piped"),
    [
        ("auto", {}, True, False),
        ("auto", {"NO_COLOR": "1"}, False, False),
        ("auto", {"NO_COLOR": "", "TERM": "xterm"}, True, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ("auto", {"FORCE_COLOR": "1"}, True, True),
        ("auto", {"FORCE_COLOR": "0"}, True, False),
        ("auto", {"CLICOLOR_FORCE": "1"}, True, True),
        ("auto", {"CLICOLOR": "0"}, False, False),
        ("auto", {"TERM": "dumb"}, False, False),
        ("always", {"NO_COLOR": "1"}, True, True),
        ("never", {"FORCE_COLOR": "1"}, False, False),
    ],
)
def test_a_stream_gets_colours_as_the_user_says(
    option: str, variables: Mapping[str, str], terminal: bool, piped: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm", **variables}.items():
            patch.setenv(name, value)
        colours.choose(option)
        try:
            assert (colours.coloured(Terminal()), colours.coloured(io.StringIO())) == (terminal, piped)
        finally:
            colours.choose(colours.AUTO)


@rows(
    ("line", "moved"),
    [
        ("doctor", "doctor"),
        ("doctor --color never", "--color never doctor"),
        ("--color=always doctor", "--color=always doctor"),
        ("check p/m --color=never --json", "--color=never check p/m --json"),
        ("doctor --color", "--color always doctor"),
        ("doctor --color --json", "--color always doctor --json"),
        ("run pi -- --color never", "run pi -- --color never"),
    ],
)
def test_the_option_may_stand_anywhere_before_the_arguments_of_another_program(line: str, moved: str) -> None:
    assert " ".join(colours.hoisted(line.split())) == moved


def test_levels_steps_faults_and_refusals_are_coloured_and_json_is_not(cli: Cli, furnished: Path) -> None:
    with (furnished / "holdfast.toml").open("a") as file:
        file.write('[provider.plain]\nurl = "http://llm.example.com/v1"\n')
    doctor = cli("doctor", "--color", "always").stdout
    assert "\x1b[32mok\x1b[0m " in doctor
    assert "\x1b[31m\x1b[1mwrong\x1b[0m  address" in doctor
    assert "\x1b[36m                 run:\x1b[0m " in doctor
    assert "\x1b" not in cli("doctor", "--json", "--color", "always").stdout
    assert "\x1b" not in cli("doctor").stdout
    refused = cli("provider", "show", "mimmo", "--color=always").stderr
    assert refused.startswith("\x1b[31m\x1b[1mholdfast\x1b[0m: no provider")
    assert "\x1b[36m  run:\x1b[0m holdfast provider list" in refused
    assert "\x1b" not in cli("provider", "show", "mimmo", "--json", "--color=always").stderr
    checked = cli("check", "local/small", "--color=always")
    assert "\x1b[31m\x1b[1mwrong\x1b[0m" in checked.stdout
    explained = cli("why", checked.stdout.split()[-1], "--color=always").stdout
    assert "\x1b[31mconnection refused\x1b[0m" in explained
    assert cli("doctor", "--color", "sometimes").exit_code == 2


@rows(
    ("line", "hint"),
    [
        ("serv", "did you mean 'serve'?"),
        ("provider add-endpoint", "did you mean 'endpoint'?"),
        ("key remov", "did you mean 'remove'?"),
        ("session pinn", "did you mean 'pin'?"),
        ("check --no-prob p/m", "--no-probe"),
        ("provider add p --modl m", "--model"),
        ("serve --backgroun", "--background"),
    ],
)
def test_a_command_or_option_that_does_not_exist_is_refused_with_the_nearest(
    line: str, hint: str, cli: Cli, furnished: Path
) -> None:
    refused = cli(*line.split())
    assert (refused.exit_code, hint in refused.stderr, "Traceback" in refused.stderr) == (2, True, False)
    assert "  run: holdfast" in refused.stderr


def test_what_is_waited_for_is_told_on_a_terminal_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_EVERY", 0.001)
    monkeypatch.setenv("TERM", "xterm")
    terminal, file = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.waiting("calling\x07 m"):
        assert terminal.told.wait(30)
    written = terminal.getvalue()
    assert "calling\N{REPLACEMENT CHARACTER} m (1 s)" in written
    assert written.endswith("\r\x1b[K")
    monkeypatch.setenv("TERM", "dumb")
    with progress.waiting("calling m"):
        pass
    monkeypatch.setattr(sys, "stderr", file)
    with progress.waiting("calling m"):
        pass
    assert (terminal.getvalue(), file.getvalue()) == (written, "")
