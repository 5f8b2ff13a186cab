"""A furnished home, and how tests look at it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

CANARY = "sk-canary-93b1f0d2e7a64c58"
KEPT = "tp-canary-kept-5d0c7be1a9f24473"

CONFIG = """\
# my own words
[provider.mimo]
url    = "https://mimo.example/v1"   # the plan
models = ["mimo-pro", "mimo-lite"]
keys   = ["env:MIMO_KEY", { from = "store:team", label = "team", account = "team" }]

[provider.both]
endpoints = { openai-chat = "https://both.example/v1", anthropic-messages = "https://both.example" }
keys      = ["env:BOTH_KEY"]

[provider.local]
url    = "http://127.0.0.1:9/v1"
auth   = "none"
models = ["small"]

[fallback]
"mimo/mimo-pro" = { then = ["both/big"] }
"""
SECRETS = f'[mimo]\nteam = "{KEPT}"\n'

Cli = Callable[..., Result]


def write(path: Path, text: str) -> None:
    """A private file, as the product would write it."""
    path.write_text(text, "utf-8")
    path.chmod(0o600)


def contents(home: Path) -> dict[str, bytes]:
    """Every file that matters: locks, SQLite's companions and the pepper come and go by themselves."""
    passing = (".lock", "-wal", "-shm", "pepper")
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and not path.name.endswith(passing)
    }


def child_environment(**more: str) -> dict[str, str]:
    """The test's environment for a child process."""
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **more}
