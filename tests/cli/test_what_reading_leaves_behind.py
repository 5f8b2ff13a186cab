"""A command that only reads, or only asks a provider, leaves no file behind where none was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.furnishing import CANARY, Cli, write
from holdfast.fake_provider import ScriptedProvider, ok, status
from tables import rows

READING = [
    "check refused",
    "check gone",
    "check gone/m",
    "check broken",
    "models",
    "models --all --json",
    "models --provider refused --refresh",
    "models --provider broken --refresh",
    "models --harness claude",
    "provider list",
    "provider show good",
    "key list",
    "session list",
    "session show work",
    "token list",
    "why work",
    "why --json work",
    "provision status good",
    "report --list",
    "run --list",
    "config show",
    "status",
    "doctor",
    "env work",
    "completion bash",
]


@pytest.fixture
def server() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(ok(), models=["m"]) as server:
        yield server


@pytest.fixture
def without_list() -> Iterator[ScriptedProvider]:
    """A provider that refuses every request, for a list too."""
    with ScriptedProvider(status(401), models=None) as server:
        yield server


@pytest.fixture
def bare(
    home: Path, server: ScriptedProvider, without_list: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A home that holds a configuration and nothing else. `broken` has no address that answers."""
    monkeypatch.setenv("OWN", CANARY)
    text = f"""
[provider.good]
url  = "{server.url}"
keys = ["env:OWN"]
[provider.refused]
url  = "{without_list.url}"
keys = ["env:OWN"]
[provider.broken]
url  = "http://127.0.0.1:9/v1"
keys = ["env:OWN"]
"""
    write(home / "holdfast.toml", text)
    return home


def files(home: Path) -> set[str]:
    return {str(path.relative_to(home.parent)) for path in home.parent.rglob("*")}


@rows("line", READING)
def test_a_command_that_only_reads_creates_no_file(line: str, bare: Path, cli: Cli) -> None:
    before = files(bare)
    cli(*line.split())
    assert files(bare) == before


@pytest.mark.parametrize("line", ["check good", "models --provider good --refresh"])
def test_a_list_that_came_is_stored(line: str, bare: Path, cli: Cli) -> None:
    assert cli(*line.split()).exit_code == 0
    assert "good/m" in cli("models").stdout


def test_a_list_that_failed_leaves_an_older_one_as_it_was(
    bare: Path, cli: Cli, server: ScriptedProvider
) -> None:
    cli("check", "good")
    text = (bare / "holdfast.toml").read_text()
    server.close()
    assert cli("models", "--provider", "good", "--refresh").exit_code == 1
    assert (bare / "holdfast.toml").read_text() == text
    assert "good/m" in cli("models").stdout
