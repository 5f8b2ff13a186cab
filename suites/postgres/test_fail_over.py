"""A standby takes over: the gateway goes on, finds the new primary by itself, and misses nothing there."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from programs import Cluster
from test_two_gateways import ask, serving, soon

from holdfast.core.identity import Pin
from holdfast.fake_provider import ScriptedProvider, ok
from holdfast.store.postgres import PostgresStore


@pytest.fixture
def servers(server: dict[str, str]) -> Iterator[tuple[Cluster, Path]]:
    """A primary, and the folder for its standbys."""
    with tempfile.TemporaryDirectory(prefix="hf-fo-") as name:
        folder, owner = Path(name), Path(server["host"], "postmaster.pid").stat()
        folder.chmod(0o777)
        primary = Cluster.new(folder / "a", owner.st_uid)
        try:
            yield primary, folder
        finally:
            for each in "abc":
                Cluster(folder / each, owner.st_uid).stop()


@contextmanager
def asking(gateway: dict[str, Any], token: str, session: str) -> Iterator[Counter[int]]:
    """Ask in a session again and again meanwhile. Yield how often each status was the answer."""
    statuses, end = Counter[int](), threading.Event()

    def go_on() -> None:
        while not end.is_set():
            statuses[ask(gateway, token, session)[0]] += 1
            time.sleep(0.02)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield statuses
    finally:
        end.set()
        thread.join()


def switch(url: str, session: str, pin: str) -> None:
    """Choose another pin in the database, as another gateway would."""
    with PostgresStore(url) as store:
        row = store.session(session)
        assert row is not None
        store.save_session(row.choose(Pin.parse(pin), store.now()), row.version)


def is_ready(gateway: dict[str, Any]) -> bool:
    return httpx2.get(f"{gateway['url'].rstrip('/')}/health/ready", timeout=20).status_code == 200


def test_a_gateway_goes_on_when_a_standby_takes_over(servers: tuple[Cluster, Path], tmp_path: Path) -> None:
    first, folder = servers
    url = f"postgresql://postgres@/postgres?host={','.join(str(folder / each) for each in 'abc')}"
    with ExitStack() as stack:
        provider = stack.enter_context(ScriptedProvider(ok("hi")))
        providers = "".join(
            f'[provider.{name}]\nurl = "{provider.url}"\nmodels = ["m"]\nkeys = ["env:KEY_A"]\n'
            for name in "pq"
        )
        (tmp_path / "holdfast.toml").write_text(f"{providers}[gateway]\nstore = {json.dumps(url)}\n")
        gateway = stack.enter_context(serving(tmp_path))
        token = gateway["token"]
        acknowledged = ["s"]
        switches = iter(["q/m", "p/m"])
        assert ask(gateway, token, "s", "p/m")[0] == 200
        statuses = stack.enter_context(asking(gateway, token, "s"))
        # The old primary stays, read-only, and keeps its connections; then one goes without a word.
        for name, primary_goes in (("b", False), ("c", True)):
            second = first.standby(folder / name)
            acknowledged.append(f"before-{name}")
            assert ask(gateway, token, acknowledged[-1], "p/m")[0] == 200
            first.wait_for(second)
            if primary_goes:
                first.stop()
            else:
                first.make_read_only()
            second.promote()
            assert soon(lambda name=name: ask(gateway, token, f"after-{name}", "p/m")[0] == 200)
            acknowledged.append(f"after-{name}")
            assert soon(lambda: is_ready(gateway))
            pin = next(switches)
            switch(url, "s", pin)
            assert soon(lambda pin=pin: ask(gateway, token, "s")[1] == pin), "what others changed there"
            first = second
        with PostgresStore(url) as store:
            assert {session.id for session in store.sessions()} >= {*acknowledged}
        assert set(statuses) == {200}, statuses
