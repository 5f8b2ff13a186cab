"""While the store hangs, is locked or cannot be written, nobody waits but a request whose answer needs it,
and that one not for long."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

import holdfast
from gateway.conftest import TOKEN, Running
from gateway.served import Served, provider
from holdfast.engine import state, store_guard
from holdfast.fake_provider import ScriptedProvider, ok, status
from holdfast.gateway.admin.routes import AdminRoutes
from holdfast.gateway.limits import Bounds
from holdfast.gateway.telemetry.metrics import Metrics
from holdfast.gateway.tokens import Tokens, issue
from holdfast.store.token import Token

BODY = {"model": "mine/m", "messages": [{"role": "user", "content": "hi"}]}
ALLOWED = 0.3
"""Seconds that a call of the store may take in these tests."""
SOON = 0.25
"""Seconds in which what does not wait for the store is done, also on a busy machine."""
THROTTLED = status(
    429, {"error": {"message": "slow", "code": "rate_limit_exceeded"}}, headers={"retry-after": "40"}
)


@pytest.fixture
def upstream() -> Iterator[ScriptedProvider]:
    with ScriptedProvider(ok("hi")) as made:
        yield made


@pytest.fixture(params=["beside a file", "over a network"])
def plane(
    request: Any, home: Path, upstream: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Running]:
    """A gateway that has served the session `known`."""
    monkeypatch.setattr(store_guard, "PATIENCE", ALLOWED)
    monkeypatch.setattr(state, "_AT_LAST", 2 * ALLOWED)
    monkeypatch.setattr(store_guard, "_LONGEST_PAUSE", 0.05)
    for letter in "AB":
        monkeypatch.setenv(f"K_{letter}", f"sk-{letter * 16}")
    (home / "holdfast.toml").write_text(
        f'[provider.mine]\nurl = "{upstream.url}"\nkeys = ["env:K_A", "env:K_B"]\nmodels = ["m"]\n'
    )
    running = Running(home, Bounds(look_every=0.02), None, "uvloop", far=request.param == "over a network")
    try:
        running.holdfast.session("known", "mine/m")
        assert ask(running, "known")[0] == 200
        running.holdfast.engine.journal_writer.flush()
        running.holdfast.engine.catch_up()
        assert ask(running, "known")[0] == 200
        yield running
    finally:
        running.store.recover()
        running.close()


def ask(plane: Running, session: str, token: str = TOKEN) -> tuple[int, Any]:
    """One request; its status and its body."""
    named = {"holdfast_session": session, "authorization": f"Bearer {token}"}
    code, _, body = plane.post("chat/completions", BODY, **named)
    return code, json.loads(body)


def seconds(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def is_soon(true: Callable[[], bool], patience: float = 5.0) -> bool:
    until = time.monotonic() + patience
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(0.002)
    return True


def test_a_store_that_hangs_holds_up_no_known_session_and_a_new_one_only_so_long(
    plane: Running, upstream: ScriptedProvider
) -> None:
    plane.store.hang()
    slowest = max(seconds(lambda: ask(plane, "known")) for _ in range(20))
    assert slowest < SOON
    code, body = ask(plane, "first")
    assert (code, body["error"]["code"]) == (503, "store_unavailable")
    assert "gave no answer within 0.3 s" in body["error"]["message"]
    assert seconds(lambda: ask(plane, "second")) < SOON, "it is known by now that the store is away"
    assert ask(plane, "known")[0] == 200
    plane.store.recover()
    assert is_soon(lambda: ask(plane, "third")[0] == 200)
    assert plane.store.on_the_loop == []


def test_a_verdict_counts_at_once_and_is_stored_when_the_store_is_back(
    plane: Running, upstream: ScriptedProvider
) -> None:
    upstream.follow([THROTTLED, ok("hi")])
    plane.store.hang()
    assert seconds(lambda: ask(plane, "known")) < ALLOWED + SOON, "the other key is tested, alone if possible"
    sent = len(upstream.requests)
    assert ask(plane, "known")[0] == 200
    assert len(upstream.requests) == sent + 1, "the key that rests is not asked again"
    engine = plane.holdfast.engine
    assert engine.journal_writer.changes.waiting
    plane.store.recover()
    assert is_soon(lambda: not engine.journal_writer.changes.waiting)
    assert [cooldown.fault.kind for cooldown in plane.store.inner.cooldowns()] == ["rate_limited"]
    row = plane.store.inner.session("known")
    assert row.kept_key == "K_B"


def test_a_store_that_cannot_be_written_is_tried_in_the_background(plane: Running) -> None:
    plane.store.refuse("it is read-only")
    code, body = ask(plane, "first")
    assert (code, "it is read-only" in body["error"]["message"]) == (503, True)
    writes = plane.store.calls.count("save_session")
    assert ask(plane, "second")[0] == 503
    assert plane.store.calls.count("save_session") == writes
    assert ask(plane, "known")[0] == 200
    plane.store.recover()
    assert is_soon(lambda: ask(plane, "third")[0] == 200)


def test_readiness_tells_which_requests_would_be_refused(plane: Running) -> None:
    engine = plane.holdfast.engine
    routes = AdminRoutes(Metrics(), "1")

    class Context:
        draining = replaced = False

        def __init__(self) -> None:
            self.engine = engine

        def in_store_thread(self, call: Callable[[], Any]) -> Any:
            return call()

    def ready(query: str = "") -> tuple[int, str]:
        answer: Any = routes.answer(Context(), "/health/ready", query, [], Token("t", "", "all"))  # type: ignore[arg-type]
        return answer[0], answer[2].decode()

    assert [ready()[0], ready("strict=1")[0]] == [200, 200]
    plane.store.refuse("it is full")
    code, text = ready()
    assert (code, "it is full" in text, '"refused": "new sessions"' in text) == (200, True, True)
    assert [ready("strict=1")[0], ready("strict")[0]] == [503, 503]
    plane.store.recover()
    assert is_soon(lambda: ready("strict=1")[0] == 200)
    plane.store.hang()
    code, text = ready()
    assert (code, "that this gateway has not served yet" in text) == (200, True)
    assert ready("strict=1")[0] == 503
    engine.sessions._recent.clear()
    assert ready()[0] == 503, "it knows no session that it could serve"


def test_an_unknown_token_is_looked_for_before_it_is_refused(plane: Running) -> None:
    engine = plane.holdfast.engine
    tokens = Tokens(engine.store, soon=engine.soon)
    plane.plane.tokens = plane.plane.admission._tokens = tokens
    _, shown = issue(plane.store.inner, "a program")
    for wanted, token in ((200, shown), (401, "hf-nobody"), (200, shown)):
        assert ask(plane, "known", token)[0] == wanted
    plane.store.hang()
    assert seconds(lambda: ask(plane, "known", "hf-nobody")) < ALLOWED + SOON
    assert ask(plane, "known", shown)[0] == 200, "a known token stays good"
    assert plane.store.on_the_loop == []


def test_a_gateway_ends_in_time_although_its_store_hangs(plane: Running) -> None:
    plane.store.hang()
    ask(plane, "first")
    assert seconds(plane.holdfast.engine.close) < 10 * ALLOWED


def test_what_waits_at_the_end_is_written_where_the_store_comes_back_soon(plane: Running) -> None:
    plane.store.refuse("it is locked")
    assert ask(plane, "known")[0] == 200
    back = Timer(ALLOWED, plane.store.recover)
    back.start()
    engine, store = plane.holdfast.engine, plane.store.inner
    engine._write_at_last()
    assert not engine.journal_writer.unsaved
    assert sum(sums.requests for sums in store.usage()) == 3
    back.join()


def test_a_caller_of_the_library_is_refused_in_its_dialect(
    home: Path, plane: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane.store.hang()
    with pytest.raises(holdfast.HoldfastError, match="gave no answer"):
        plane.holdfast.session("another", "mine/m")


def test_another_process_that_keeps_the_file_locked_makes_nobody_wait_but_a_new_session(
    home: Path, upstream: ScriptedProvider
) -> None:
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "holdfast.toml").write_text(provider("p", upstream.url, models=["m"]))
    served = Served(home)
    try:
        assert served.chat(holdfast_session="known").status_code == 200
        with closing(sqlite3.connect(home / "state.db", isolation_level=None)) as other:
            is_soon(lambda: _locked(other))
            assert seconds(lambda: served.chat(holdfast_session="known")) < 2 * SOON
            assert seconds(lambda: served.ask("/health/live")) < 2 * SOON
            began = time.monotonic()
            refused = served.chat(holdfast_session="new")
            assert refused.status_code == 503
            assert "for 2 s" in refused.text or "within 2 s" in refused.text
            assert 1.5 < time.monotonic() - began < 5
            assert served.ask("/health/ready").status_code == 200
            assert served.ask("/health/ready?strict=1").status_code == 503
            began = time.monotonic()
            other.execute("ROLLBACK")
        assert is_soon(lambda: served.chat(holdfast_session="new").status_code == 200)
    finally:
        served.end()


def _locked(other: sqlite3.Connection) -> bool:
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    return True
