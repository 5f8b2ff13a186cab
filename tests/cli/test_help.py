"""Every command explains itself with an example, every list and show knows --json, and names complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from cli.furnishing import Cli, write
from holdfast.cli import app
from tables import rows


def walk(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from walk(child, (*path, name))


EVERY = dict(walk(app))


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_has_a_help_with_an_example(path: tuple[str, ...], cli: Cli) -> None:
    result = cli(*path, "--help")
    assert result.exit_code == 0
    example = result.stdout.partition("Example:")[2]
    assert f"holdfast {' '.join(path)}".strip() in example


@pytest.mark.parametrize(
    "path",
    [
        path
        for path, command in EVERY.items()
        if isinstance(command, click.Group) and not command.invoke_without_command
    ],
    ids=" ".join,
)
def test_a_group_without_a_command_shows_its_help_with_no_summary_cut_off(
    path: tuple[str, ...], cli: Cli
) -> None:
    result = cli(*path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: holdfast")
    assert "..." not in result.stderr.partition("Commands:")[2]


@rows("path", EVERY, ids=" ".join)
def test_every_example_is_a_command_line_that_is_understood(path: tuple[str, ...]) -> None:
    lines = (EVERY[path].help or "").partition("Example:")[2].splitlines()
    for line in lines:
        words = line.rpartition("| holdfast")[2].split() if "| holdfast" in line else line.split()[1:]
        if line.strip().startswith("holdfast "):
            command, taken = EVERY[()], 0
            while isinstance(command, click.Group) and taken < len(words):
                command = EVERY[tuple(words[: taken + 1])]
                taken += 1
            options = {name for parameter in command.params for name in parameter.opts}
            own = (
                words[: words.index("--")] if "--" in words else words
            )  # what follows is for another program
            assert {word for word in own if word.startswith("--")} <= options, line


def test_every_list_show_and_check_knows_json() -> None:
    must = {
        path for path in EVERY if path and path[-1] in {"list", "show", "models", "check", "doctor", "why"}
    }
    assert len(must) >= 9
    assert not [
        path for path in must if not any("--json" in parameter.opts for parameter in EVERY[path].params)
    ]


def completed(*words: str) -> list[str]:
    *given, incomplete = words
    return [
        completion.value
        for completion in ShellComplete(app, {}, "holdfast", "_HOLDFAST_COMPLETE").get_completions(
            given, incomplete
        )
    ]


COMPLETED = [
    (("prov",), ["provider", "provision"]),
    (("provider", "show", "mi"), ["mimo"]),
    (("provider", "add", "x", "--preset", "openr"), ["openrouter"]),
    (("session", "pin", "s", "mimo/"), ["mimo/mimo-lite", "mimo/mimo-pro"]),
    (("session", "pin", "s", "mimo/mimo-pro", "--key", ""), ["MIMO_KEY", "team"]),
    (("session", "show", ""), ["issue-42"]),
    (("check", "l"), ["local", "local/small"]),
    (("key", "reset", "mimo", "t"), ["team"]),
    (("why", "iss"), ["issue-42"]),
]


@pytest.mark.parametrize(("words", "expected"), COMPLETED, ids=[" ".join(words) for words, _ in COMPLETED])
def test_the_names_that_the_user_gave_are_completed(
    words: tuple[str, ...], expected: list[str], cli: Cli, furnished: Path
) -> None:
    cli("session", "pin", "issue-42", "mimo/mimo-pro")
    assert completed(*words) == expected


@pytest.mark.parametrize(
    "words", [words for words, _ in COMPLETED[1:] if "--preset" not in words], ids=" ".join
)
def test_completion_is_silent_when_something_is_broken(
    words: tuple[str, ...], furnished: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(furnished / "holdfast.toml", "[provider.")
    write(furnished / "state.db", "not a database")
    assert completed(*words) == []
    assert capfd.readouterr() == ("", "")
