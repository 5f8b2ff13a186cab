"""A home with three providers, and the command line in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.furnishing import CANARY, CONFIG, SECRETS, Cli, write
from holdfast.cli import app
from holdfast.fake_provider import ScriptedProvider
from holdfast.fake_provider.control import AmazeePlane


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


@pytest.fixture
def service(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AmazeePlane]:
    """A service that gives keys: trials of its own, and those of its LiteLLM proxy."""
    gateway = AmazeePlane()
    gateway.lists_openly = False
    monkeypatch.setenv("PROXY_ADMIN", gateway.master)
    with ScriptedProvider(gateway, models=None) as provider:
        gateway.root = provider.root
        yield gateway
