"""Two gateways whose database hangs serve the sessions that they know; one that is killed loses nothing that
was acknowledged."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from test_two_gateways import ask, serving, soon
from test_when_the_server_fails import hanging

from holdfast.fake_provider import ScriptedProvider, ok
from holdfast.store.postgres import PostgresStore

KNOWN = 40
HANGS = 4.0
REFUSED_WITHIN, LIVE_WITHIN = 4.0, 1.0
"""Seconds: 2.5 and 0.05 on a machine that has nothing else to do."""


@pytest.fixture
def two(url: str, tmp_path: Path) -> Iterator[list[dict[str, Any]]]:
    """Two gateways with one pepper, and one token good at both."""
    with ExitStack() as stack:
        provider = stack.enter_context(ScriptedProvider(ok("hi")))
        running: list[dict[str, Any]] = []
        for name in ("a", "b"):
            home = tmp_path / name
            home.mkdir(mode=0o700)
            (home / "holdfast.toml").write_text(
                f'[provider.p]\nurl = "{provider.url}"\nmodels = ["m"]\nkeys = ["env:KEY_A"]\n'
                f'[gateway]\nstore = "{url}"\n'
            )
            if running:
                shutil.copy(tmp_path / "a" / "pepper", home / "pepper")
            running.append(stack.enter_context(serving(home)))
            running[-1]["token"] = running[0]["token"]
        yield running


def took(call: Callable[[], int]) -> tuple[int, float]:
    began = time.monotonic()
    return call(), time.monotonic() - began


@contextmanager
def known_sessions_asked(gateways: list[dict[str, Any]]) -> Iterator[Counter[int]]:
    """Ask in known sessions at all gateways meanwhile. Yield how often each status was the answer."""
    statuses, end = Counter[int](), threading.Event()

    def go_on(gateway: dict[str, Any]) -> None:
        number = 0
        while not end.is_set():
            number += 1
            statuses[ask(gateway, gateway["token"], f"known-{number % KNOWN}")[0]] += 1
            time.sleep(0.02)

    with ThreadPoolExecutor(len(gateways)) as pool:
        running = [pool.submit(go_on, gateway) for gateway in gateways]
        try:
            yield statuses
        finally:
            end.set()
            for each in running:
                each.result()


def test_a_server_that_hangs_stops_new_sessions_and_nothing_else(
    two: list[dict[str, Any]], server: dict[str, str]
) -> None:
    for gateway in two:
        for number in range(KNOWN):
            assert ask(gateway, gateway["token"], f"known-{number}")[0] == 200
    first = two[0]
    live = f"{first['url'].rstrip('/')}/health/live"
    with known_sessions_asked(two) as statuses:
        with hanging(server):
            until = time.monotonic() + HANGS
            status, seconds = took(lambda: ask(first, first["token"], "new-while-it-hangs")[0])
            assert status == 503
            assert seconds < REFUSED_WITHIN
            while time.monotonic() < until:
                status, seconds = took(lambda: httpx2.get(live, timeout=20).status_code)
                assert status == 200
                assert seconds < LIVE_WITHIN
                time.sleep(0.1)
            assert took(lambda: ask(first, first["token"], "another")[0])[1] < 1.0, "refused at once by now"
        assert soon(lambda: ask(first, first["token"], "new-after")[0] == 200)
    assert set(statuses) == {200}, statuses
    assert statuses[200] > KNOWN


def test_a_gateway_that_is_killed_loses_no_session_and_one_that_ends_no_count(
    two: list[dict[str, Any]], url: str
) -> None:
    acknowledged: list[str] = []
    killed, other = two

    def begin(part: int) -> None:
        for number in range(10_000):
            name = f"begun-{part}-{number}"
            try:
                assert ask(killed, killed["token"], name)[0] == 200
            except httpx2.TransportError:
                return
            acknowledged.append(name)

    with ThreadPoolExecutor(4) as pool:
        parts = [pool.submit(begin, part) for part in range(4)]
        while len(acknowledged) < 25:
            time.sleep(0.01)
        os.kill(killed["pid"], signal.SIGKILL)
        for part in parts:
            part.result()
    with PostgresStore(url) as store:
        assert {session.id for session in store.sessions()} >= set(acknowledged)
        for _ in range(7):
            assert ask(other, other["token"], acknowledged[0])[0] == 200
        os.kill(other["pid"], signal.SIGTERM)
        assert soon(lambda: not Path(f"/proc/{other['pid']}/status").exists() or _ended(other["pid"]))
        [counted] = store.usage(session=acknowledged[0])
        assert counted.requests in (7, 8), "the one of the gateway that was killed may be missing"
        assert counted.tokens_in % counted.requests == 0 < counted.tokens_in


def _ended(pid: int) -> bool:
    """Return whether a process has ended, though nobody has asked for its exit code yet."""
    return "State:\tZ" in Path(f"/proc/{pid}/status").read_text("utf-8")
