"""The command line in this process, and a furnished home, as the command line's own tests have them."""

from __future__ import annotations

from cli.conftest import cli, furnished

__all__ = ["cli", "furnished"]
