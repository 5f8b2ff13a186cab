"""A vault with a clock, a program, a sign-in service and background work that all do what a test says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.core.identity import Key, ProviderName
from holdfast.credentials import Vault
from holdfast.credentials.oauth_source import OAuthSource
from holdfast.credentials.secrets_file import Grant, SecretsFile
from holdfast.credentials.token_answers import TokenAnswer
from holdfast.values.secret import Secret

NOW = 1_000_000.0
PEPPER = b"p" * 32
OAUTH = Key(ProviderName("mimo"), "a", "oauth:corp")
TOOL = Key(ProviderName("mimo"), "t", "cmd:tool")


class Desk:
    """What a process has, and what it asks."""

    def __init__(self, directory: Path) -> None:
        self.now = NOW
        self.prints: object = {"token": "a-token", "expires_in": 600}
        self.runs = 0
        self.beside: list[Callable[[], None]] = []
        self.answers: list[Any | Callable[[], Any]] = []
        self.asked: list[Secret] = []
        self.path = directory / "secrets.toml"
        self.file = SecretsFile(self.path)
        self.vault = self.another()

    def another(self) -> Vault:
        """The vault of another process."""
        return Vault(
            self.path, run=self.run, refresh=self.ask, clock=lambda: self.now, background=self.beside.append
        )

    def source(self) -> OAuthSource:
        return OAuthSource("corp", SecretsFile(self.path), self.ask, lambda: self.now)

    def run(self, argv: Any, seconds: float) -> tuple[int, bytes, bytes]:
        self.runs += 1
        return 0, self.prints if isinstance(self.prints, bytes) else json.dumps(self.prints).encode(), b""

    def ask(self, name: str, refresh: Secret) -> TokenAnswer:
        self.asked.append(refresh)
        answer = self.answers.pop(0)
        return TokenAnswer(*(answer if isinstance(answer, tuple) else answer()))

    def sign_in(self, ends: float | None = NOW - 1, generation: int = 0) -> None:
        self.file.put_grant(
            "corp",
            Grant(
                "g",
                generation,
                Secret(f"access-{generation}"),
                Secret(f"refresh-{generation}"),
                NOW - 600,
                ends,
            ),
        )


def token(number: int, **more: object) -> tuple[int, bytes]:
    answer = {
        "access_token": f"access-{number}",
        "refresh_token": f"refresh-{number}",
        "token_type": "Bearer",
        "expires_in": 600,
    }
    return 200, json.dumps(
        {name: value for name, value in (answer | more).items() if value is not None}
    ).encode()
