"""Two homes on one PostgreSQL: a key is obtained once, and each home can use it or says why not."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import holdfast
from holdfast.core.errors import NotReady
from holdfast.engine.provisioning import Ready
from holdfast.fake_provider import ScriptedProvider
from holdfast.fake_provider.control import AmazeePlane, slow
from holdfast.sdk.api import NOWHERE, Holdfast

ROLES = {"answer": ["*sonnet*"]}
PATHS = {"amazee": "/auth/generate-trial-access", "litellm": "/key/generate"}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[AmazeePlane, ScriptedProvider]]:
    plane = AmazeePlane()
    monkeypatch.setenv("PROXY_ADMIN", plane.master)
    with ScriptedProvider(plane, models=None) as provider:
        plane.root = provider.root
        yield plane, provider


@pytest.fixture
def homes(url: str, tmp_path: Path) -> list[Path]:
    """Two machines."""
    made = []
    for name in ("first", "second"):
        home = tmp_path / name
        home.mkdir(mode=0o700)
        (home / "holdfast.toml").write_text(f'[gateway]\nstore = "{url}"\n')
        made.append(home)
    return made


def ask(held: Holdfast, kind: str, root: str, consent: str | None = "a test") -> Ready | str:
    """Ask for the provider: ready, or the reason why not."""
    settings = {"url": root, "admin": "env:PROXY_ADMIN"}
    given: dict[str, Any] = {"kind": kind, "settings": settings, "patience": 20.0}
    try:
        return held.ensure_ready("trial", ROLES, consent=consent, **given)
    except NotReady as refused:
        return refused.reason


def call(held: Holdfast) -> int:
    session = held.session("work", "trial/claude-sonnet-4-5")
    body = {"model": session.model, "messages": [{"role": "user", "content": "hi"}]}
    with httpx2.Client(transport=session.transport(), base_url=f"{NOWHERE}/v1", timeout=30) as client:
        return client.post("/chat/completions", json=body).status_code


@pytest.mark.parametrize("kind", PATHS)
def test_two_homes_that_ask_at_once_obtain_one_key(
    homes: list[Path], service: tuple[AmazeePlane, ScriptedProvider], kind: str
) -> None:
    plane, provider = service
    plane.spoil(PATHS[kind], slow(0.5))
    with holdfast.open(homes[0]):
        shutil.copy(homes[0] / "pepper", homes[1] / "pepper")
    results: list[Ready | str] = []
    with holdfast.open(homes[0]) as first, holdfast.open(homes[1]) as second:

        def run(held: Holdfast) -> None:
            results.append(ask(held, kind, provider.root))

        threads = [threading.Thread(target=run, args=(held,)) for held in (first, second) * 2]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        ready = [held for held in (first, second) if isinstance(ask(held, kind, provider.root, None), Ready)]
        assert len(ready) == (2 if kind == "litellm" else 1)
        assert [call(held) for held in ready] == [200] * len(ready)
    asked = [seen for seen in provider.requests if seen.path == PATHS[kind]]
    assert (plane.minted, len(plane.keys), len(asked)) == (1, 1, 1)
    assert {result for result in results if isinstance(result, str)} <= {"key_elsewhere"}
