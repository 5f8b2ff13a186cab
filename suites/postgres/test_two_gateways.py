"""Two gateways on one PostgreSQL know the same, soon after one of them learns it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import psycopg

from holdfast.core.changes import Cooldown, CooldownStarted
from holdfast.core.faults import Fault, FaultClass, Scope
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.engine import following
from holdfast.engine.account_objects import AccountObjects
from holdfast.engine.following import Following
from holdfast.engine.journal_writer import JournalWriter
from holdfast.fake_provider import ScriptedProvider, ok
from holdfast.store.postgres import PostgresStore

if TYPE_CHECKING:
    import pytest

WITHIN = 2.0
"""Seconds: 0.1 on a machine that has nothing else to do."""


@contextmanager
def serving(home: Path) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-P", "-m", "holdfast", "serve", "--listen", "127.0.0.1:0", "--json"]
    environ = os.environ | {"HOLDFAST_HOME": str(home), "KEY_A": "sk-aaaaaaaaaaaaaaaaaaaaaaaa"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def ask(gateway: dict[str, Any], token: str, session: str, model: str = "m") -> tuple[int, str | None]:
    """Ask in a session; the status, and the pin that answered."""
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    headers = {"authorization": f"Bearer {token}"}
    url = f"{gateway['url'].rstrip('/')}/s/{session}/v1/chat/completions"
    answer = httpx2.post(url, json=body, headers=headers, timeout=20)
    return answer.status_code, answer.headers.get("holdfast-pin")


def soon(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + WITHIN
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


def test_what_one_gateway_is_told_the_other_knows(url: str, tmp_path: Path) -> None:
    homes = [tmp_path / name for name in ("first", "second")]
    with ExitStack() as stack:
        provider = stack.enter_context(ScriptedProvider(ok("hi")))
        for home in homes:
            home.mkdir(mode=0o700)
            (home / "holdfast.toml").write_text(
                "".join(
                    f'[provider.{name}]\nurl = "{provider.url}"\nmodels = ["m"]\nkeys = ["env:KEY_A"]\n'
                    for name in "pq"
                )
                + f'[gateway]\nstore = "{url}"\n'
            )
        first = stack.enter_context(serving(homes[0]))
        token = first["token"]
        store = stack.enter_context(PostgresStore(url))
        shutil.copy(homes[0] / "pepper", homes[1] / "pepper")
        second = stack.enter_context(serving(homes[1]))
        store.save_session(Session("s", Pin.parse("p/m")), None)
        assert [ask(gateway, token, "s") for gateway in (first, second)] == [(200, "p/m")] * 2
        row = store.session("s")
        assert row is not None
        store.save_session(row.choose(Pin.parse("q/m"), store.now()), row.version)
        for gateway in (first, second):
            assert soon(lambda gateway=gateway: ask(gateway, token, "s")[1] == "q/m")
        [issued] = store.tokens()
        store.revoke_token(issued.id)
        for gateway in (first, second):
            assert soon(lambda gateway=gateway: ask(gateway, token, "s")[0] == 401)


def test_with_notify_others_are_told_at_once_and_where_a_connection_broke_they_look(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = Fault(FaultClass.RATE_LIMITED, Scope.KEY)
    monkeypatch.setattr(following, "FAR_LOOK_EVERY", 10.0)

    def learns_of(subject: str) -> bool:
        now = other.now()
        other.apply([CooldownStarted(Cooldown(subject, now + 60, now, 0, fault))], now)
        return soon(lambda: follower.health.cooled(subject) is not None)

    with PostgresStore(url, notify=True) as store, PostgresStore(url, notify=True) as other:
        writer = JournalWriter(store)
        objects = AccountObjects(store, writer, lambda _: None)
        follower = Following(store, objects, writer.changes, print)
        follower.look()
        follower.start()
        with psycopg.connect(url, autocommit=True) as admin:
            listeners = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE 'LISTEN%'"
            assert soon(lambda: bool(admin.execute(f"SELECT 1 {listeners}".encode()).fetchall()))
            assert all(learns_of(f"k{number}") for number in range(3))
            monkeypatch.setattr(following, "FAR_LOOK_EVERY", 0.05)
            admin.execute(f"SELECT pg_terminate_backend(pid) {listeners}".encode())
            assert learns_of("k9")
        follower.close()
