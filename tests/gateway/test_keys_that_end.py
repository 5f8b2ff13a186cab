"""Keys that end, through the gateway: a sign-in's token (`oauth:`) and what a program's own function gives
(`call:`). Twenty requests that need a new one at the same time get it by one renewal, and the event loop, on
which all other clients wait, does none of that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.calls import token_endpoint
from holdfast.credentials.secrets_file import Grant, SecretsFile
from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, ok, status
from holdfast.values.secret import Secret
from signins.authority import Authority

from .conftest import Running, StartGateway

TOGETHER = 20
ENDED = status(401, {"error": {"message": "The token expired", "code": "token_expired"}})


def ask(plane: Running, provider: str) -> int:
    return plane.post("chat/completions", {"model": f"{provider}/m", "messages": []})[0]


def ask_together(plane: Running, provider: str) -> list[int]:
    """The statuses of twenty requests that begin at the same moment."""
    begin = threading.Barrier(TOGETHER)

    def one(_: int) -> int:
        begin.wait(10)
        return ask(plane, provider)

    with ThreadPoolExecutor(TOGETHER) as pool:
        return list(pool.map(one, range(TOGETHER)))


@pytest.fixture
def renewing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The threads that asked for a token or wrote one down."""
    threads: list[str] = []

    def noting(work: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **more: Any) -> Any:
            threads.append(threading.current_thread().name)
            return work(*args, **more)

        return noted

    monkeypatch.setattr(token_endpoint, "post_form", noting(token_endpoint.post_form))
    monkeypatch.setattr(SecretsFile, "replace_grant", noting(SecretsFile.replace_grant))
    return threads


@pytest.mark.parametrize(
    "ends_in", [-10.0, 3000.0], ids=["its token ended", "its token was withdrawn before its end"]
)
def test_a_sign_in_is_renewed_once_for_twenty_requests_and_never_on_the_loop(
    gateway: StartGateway, home: Path, renewing: list[str], ends_in: float
) -> None:
    with Authority(thinks=0.2) as authority:
        authority.issue()
        now = time.time()
        SecretsFile(home / "secrets.toml").put_grant(
            "corp",
            Grant("g1", 0, Secret(authority.access), Secret(authority.refresh), now - 3600, now + ends_in),
        )
        renewing.clear()
        if ends_in > 0:
            authority.access = "withdrawn"
        plane = gateway(config=authority.config())
        assert ask_together(plane, "corp") == [200] * TOGETHER
        assert (authority.refreshes, authority.refused) == (1, 0)
        assert len(renewing) >= 2, "it was asked for, and kept before it was used"
        assert "gateway" not in renewing
        assert ask(plane, "corp") == 200
        assert authority.refreshes == 1


class Program:
    """A program's function that takes its time, and the place where only its newest key is good. `lives` is
    for how long its first is."""

    def __init__(self, lives: float) -> None:
        self.lives = lives
        self.threads: list[str] = []

    def __call__(self) -> tuple[str, float]:
        self.threads.append(threading.current_thread().name)
        time.sleep(0.1)
        return f"key-{len(self.threads):04d}-0123456789", time.time() + (
            self.lives if len(self.threads) == 1 else 3600.0
        )

    def __getitem__(self, number: int) -> str:
        return f"key-{number:04d}-0123456789"


@pytest.mark.parametrize(
    "lives", [0.4, 3600.0], ids=["its key ended", "its key was withdrawn before its end"]
)
def test_a_programs_function_is_called_once_for_twenty_requests_and_never_on_the_loop(
    gateway: StartGateway, monkeypatch: pytest.MonkeyPatch, lives: float
) -> None:
    program, good = Program(lives), [1]

    def place(seen: SeenRequest) -> Behaviour:
        return ok() if seen.key == program[good[0]] else ENDED

    monkeypatch.setattr(holdfast, "open", partial(holdfast.open, keys={"corp": program}))
    with ScriptedProvider(place) as provider:
        plane = gateway(
            config=f'[provider.corp]\nurl = "{provider.url}"\nmodels = ["m"]\nkeys = ["call:corp"]\n'
        )
        assert ask(plane, "corp") == 200
        good[0] = 2
        time.sleep(0.25 if lives < 1 else 0.0)
        assert ask_together(plane, "corp") == [200] * TOGETHER
        assert len(program.threads) == 2
        assert "gateway" not in program.threads
        shown = [seen.key for seen in provider.calls]
        assert shown[0] == program[1]
        assert shown.count(program[2]) == TOGETHER
