"""The command line in this process."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from cli.furnishing import Cli
from holdfast.cli import app


@pytest.fixture
def cli() -> Cli:
    """Runs one command line; the result has exit_code, stdout and stderr."""

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return run
