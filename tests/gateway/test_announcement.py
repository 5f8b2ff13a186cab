"""What a gateway tells when it starts: a token that somebody has, and what cannot work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

from children import Popen
from holdfast.config.listen import Listen
from holdfast.config.parse import parse
from holdfast.gateway.process.announcement import announce_start
from holdfast.gateway.process.sockets import Listening
from holdfast.gateway.process.worker import Options
from holdfast.gateway.tokens import issue, label_of_program
from holdfast.providers import presets
from holdfast.store.memory import MemoryStore
from tables import rows

if TYPE_CHECKING:
    import pytest

URL = "https://x.example"


def announced(capsys: pytest.CaptureFixture[str], store: MemoryStore, **providers: object) -> dict[str, Any]:
    config = parse({"provider": providers}, presets=presets.find, locate=str)
    listening = Listening(Listen.parse("127.0.0.1:1"), [])
    announce_start(Options(as_json=True), listening, config, store)
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    return shown


def test_the_first_token_is_shown_when_only_programs_have_one(capsys: pytest.CaptureFixture[str]) -> None:
    with MemoryStore() as store:
        issue(store, label_of_program("pi"))
        issue(store, "connect codex")
        issue(store, "run", instance="one")
        assert announced(capsys, store)["token"].startswith("hf-")
        assert "token" not in announced(capsys, store)


@rows(
    ("provider", "warning"),
    [
        (None, "there is no provider yet; run: holdfast setup"),
        (
            {"url": URL, "keys": ["env:NO_KEY", "env:NOR"]},
            "provider 'p' has no key here, since no variable NO_KEY or NOR is set; run: holdfast check p",
        ),
        ({"url": URL, "keys": ["env:NO_KEY", "file:/k"]}, None),
        ({"url": URL, "keys": ["env:NO_KEY", "env:A_KEY"]}, None),
        ({"url": URL, "auth": "none"}, None),
    ],
)
def test_what_cannot_work_is_told(
    provider: dict[str, object] | None,
    warning: str | None,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A_KEY", "sk-of-a-test")
    with MemoryStore() as store:
        shown = announced(capsys, store, **({} if provider is None else {"p": provider}))
    assert shown.get("warnings", []) == ([] if warning is None else [warning])


def test_a_gateway_answers_while_nobody_reads_its_announcement(home: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while os.write(writing, b"x" * 4096):
            pass
    os.set_blocking(writing, True)
    command = [sys.executable, "-m", "holdfast", "serve", "--listen", "127.0.0.1:0", "--json"]
    environ = {**os.environ, "HOLDFAST_HOME": str(home)}
    process = Popen(command, env=environ, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    try:
        started = json.loads(process.stderr.readline())
        assert httpx2.get(f"{started['url']}/health/live", timeout=10).status_code == 200
    finally:
        os.close(reading)
        process.terminate()
        process.communicate(timeout=20)
