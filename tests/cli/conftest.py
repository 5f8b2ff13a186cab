"""A home with three providers, and the command line in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.furnishing import CANARY, CONFIG, SECRETS, Cli, write
from holdfast.cli import app


@pytest.fixture
def cli() -> Cli:
    """Runs one command line; the result has exit_code, stdout and stderr."""

    def run(*arguments: str, input: str | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=input)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run


@pytest.fixture
def furnished(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with CONFIG and a kept key; both variables are set."""
    write(home / "holdfast.toml", CONFIG)
    write(home / "secrets.toml", SECRETS)
    monkeypatch.setenv("MIMO_KEY", CANARY)
    monkeypatch.setenv("BOTH_KEY", f"{CANARY}-both")
    return home
