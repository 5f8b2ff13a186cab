"""A control plane on a real socket, a home, and other programs of the same user."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from children import Popen
from holdfast.core.errors import NotReady
from holdfast.core.provisioning_state import Record
from holdfast.engine.provisioning import Ready
from holdfast.fake_provider import ScriptedProvider
from holdfast.fake_provider.control import AmazeePlane
from holdfast.sdk import api
from holdfast.sdk.api import Holdfast

ROLES = {"answer": ["*sonnet*"], "expand": ["*haiku*"]}
TRIAL, GENERATE = "/auth/generate-trial-access", "/key/generate"
_CHILD = Path(__file__).with_name("child.py")


class Rig:
    """One user's home and the service they get a key from: Amazee's (a trial, once) or a LiteLLM proxy (any
    number, by our own value)."""

    def __init__(self, home: Path, gateway: AmazeePlane, provider: ScriptedProvider) -> None:
        self.home, self.gateway, self.provider = home, gateway, provider
        self.kind = "amazee"

    @property
    def settings(self) -> dict[str, Any]:
        return {"url": self.provider.root} | ({"admin": "env:PROXY_ADMIN"} if self.kind == "litellm" else {})

    @property
    def mints(self) -> list[str]:
        """Every request for a key that arrived."""
        return [seen.path for seen in self.provider.requests if seen.path in (TRIAL, GENERATE)]

    @contextmanager
    def open(self) -> Iterator[Holdfast]:
        with api.open(self.home) as held:
            yield held

    def asks(self, held: Holdfast, consent: str | None = "a test", **more: Any) -> Ready | str:
        """Ask for the provider: ready, or the reason why not."""
        try:
            return held.ensure_ready(
                "trial",
                more.pop("roles", ROLES),
                kind=self.kind,
                settings=self.settings,
                consent=consent,
                **more,
            )
        except NotReady as refused:
            return refused.reason

    def start(self, consent: str | None = "a test", **more: Any) -> Ready | str:
        """The same, by a program that starts for it."""
        with self.open() as held:
            return self.asks(held, consent, **more)

    def record(self) -> Record:
        with self.open() as held:
            record = held.engine.store.provision("trial")
        assert record is not None
        return record

    def change(self, **changes: Any) -> None:
        """What time, or an operator's hand, does to the stored record."""
        with self.open() as held:
            record = held.engine.store.provision("trial")
            assert record is not None
            held.provisioning.runner.change(
                record,
                lambda current, now: current.to(
                    current.state, now, current.reason, current.detail, **{"next_at": 0.0, **changes}
                ),
            )

    def leases_end(self) -> None:
        """What time does to the lease of a program that was killed."""
        self.sql("UPDATE lease SET until = 0")

    def sql(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.home / "state.db")) as database, database:
            database.execute(statement, values)

    def child(self, job: str, **facts: Any) -> subprocess.Popen[str]:
        """Another program; see child.py."""
        process = Popen(
            [sys.executable, str(_CHILD), job],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(
            json.dumps({"kind": self.kind, "settings": self.settings, "roles": ROLES, **facts}) + "\n"
        )
        process.stdin.flush()
        return process

    def killed(self, at: str) -> int:
        """Let a program die at this step; what it ended with."""
        process = self.child("killed", at=at)
        process.communicate(timeout=30)
        self.leases_end()
        return process.returncode


@pytest.fixture
def rig(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    gateway = AmazeePlane()
    gateway.lists_openly = False
    (home / "holdfast.toml").write_text("[settings]\nprobe_delays = [0.01]\n")
    monkeypatch.setenv("PROXY_ADMIN", gateway.master)
    with ScriptedProvider(gateway, models=None) as provider:
        gateway.root = provider.root
        yield Rig(home, gateway, provider)
