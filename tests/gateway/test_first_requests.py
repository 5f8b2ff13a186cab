"""The first request of a session needs one call of the store, which many share; a further one needs none."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gateway.conftest import TOKEN, Running
from holdfast.core.identity import Pin
from holdfast.core.session import Session
from holdfast.engine import first_requests
from holdfast.engine.first_requests import FirstRequest
from holdfast.fake_provider import ScriptedProvider, ok
from holdfast.gateway.limits import Bounds

TOML = '[provider.{name}]\nurl = "{url}"\nkeys = ["env:K_A"]\nmodels = ["{name}-1", "both"]\n'
OF_SESSIONS = {"session", "sessions_named", "create_sessions", "save_session", "first_object"}
"""The calls for which a request may wait."""


@pytest.fixture(params=["beside a file", "over a network"])
def plane(request: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A gateway with two providers, which has served one request."""
    monkeypatch.setenv("K_A", "sk-aaaaaaaaaaaaaaaaaaaa")
    with ScriptedProvider(ok("hi")) as provider:
        (home / "holdfast.toml").write_text(
            "".join(TOML.format(name=name, url=provider.url) for name in "pq")
        )
        running = Running(
            home, Bounds(look_every=0.02), None, "uvloop", far=request.param == "over a network"
        )
        try:
            assert ask(running, "before")[0] == 200
            running.holdfast.engine.journal_writer.flush()
            yield running
        finally:
            running.store.recover()
            running.close()


def ask(plane: Running, session: str, model: str = "p-1") -> tuple[int, str | None, Any]:
    """Send one request. Return its status, the pin that answered, and its body."""
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    named = {"holdfast_session": session, "authorization": f"Bearer {TOKEN}"}
    status, headers, text = plane.post("chat/completions", body, **named)
    return status, headers.get("holdfast-pin"), json.loads(text)


def calls(plane: Running, begin: int) -> list[str]:
    return [name for name in plane.store.calls[begin:] if name in OF_SESSIONS]


def test_a_new_session_is_one_call_of_the_store_and_a_known_one_none(plane: Running) -> None:
    begin = len(plane.store.calls)
    for number in range(5):
        assert ask(plane, f"new-{number}")[:2] == (200, "p/p-1")
    made = calls(plane, begin)
    # A session is looked for where news of another change came while it was made.
    assert (made.count("create_sessions"), len(made) <= 7) == (5, True), made
    begin = len(plane.store.calls)
    for _ in range(5):
        assert ask(plane, "new-3")[0] == 200
    assert calls(plane, begin) == []
    assert plane.store.on_the_loop == []


def test_first_requests_that_come_at_once_share_a_call_and_get_one_pin_for_each_session(
    plane: Running,
) -> None:
    begin = len(plane.store.calls)
    plane.store.hang()
    with ThreadPoolExecutor(13) as pool:
        first = pool.submit(ask, plane, "first")
        waiting = plane.holdfast.engine.first_requests._worker
        while not waiting._working.locked() or waiting.waiting:
            time.sleep(0.001)
        names = [f"s{number % 6}" for number in range(12)]
        others = [pool.submit(ask, plane, name, f"{'pq'[at % 5 > 2]}-1") for at, name in enumerate(names)]
        while waiting.waiting < len(others):
            time.sleep(0.001)
        plane.store.recover()
        assert first.result()[0] == 200
        answers = [each.result() for each in others]
    # The first one alone, then all others. While the store hung, others may have changed what was made.
    assert calls(plane, begin).count("create_sessions") == 2
    assert [status for status, _, _ in answers] == [200] * len(others)
    stored = {session.id: str(session.pin) for session in plane.store.inner.sessions()}
    assert stored.keys() == {"before", "first", *names}
    assert all(str(plane.holdfast.engine.session(name).pin) == stored[name] for name in names)


def test_a_session_that_another_process_made_is_found_with_its_pin(plane: Running) -> None:
    for name, pin, model in (("named", "q/q-1", "q-1"), ("ambiguous", "q/both", "both")):
        plane.store.inner.create_sessions([(Session(name, Pin.parse(pin)), ())])
        begin = len(plane.store.calls)
        assert ask(plane, name, model)[:2] == (200, pin)
        tried = ["create_sessions"] if model == "q-1" else []
        assert calls(plane, begin) == [*tried, "sessions_named", "first_object"], name
        assert str(plane.store.inner.session(name).pin) == pin


def test_what_can_be_read_goes_on_while_nothing_can_be_written(plane: Running) -> None:
    plane.store.inner.create_sessions([(Session("theirs", Pin.parse("q/q-1")), ())])
    plane.store.refuse("it is read-only")
    status, _, body = ask(plane, "mine")
    assert (status, "it is read-only" in body["error"]["message"]) == (503, True)
    assert ask(plane, "theirs", "q-1")[:2] == (200, "q/q-1")


def test_who_waited_too_long_is_served_where_the_session_is_stored_and_gets_no_new_one(
    plane: Running,
) -> None:
    plane.store.inner.create_sessions([(Session("theirs", Pin.parse("q/q-1")), ())])
    errors: list[object] = []
    late = time.monotonic() - 60.0
    firsts = [FirstRequest(name, lambda _: 1 / 0, int, errors.append, late) for name in ("theirs", "mine")]
    plane.holdfast.engine.first_requests._work(firsts)
    assert errors[0] is None
    assert "did not take the session within" in str(errors[1])
    assert plane.store.inner.session("mine") is None


def test_a_request_that_may_begin_no_session_is_refused_and_those_beside_it_are_not(plane: Running) -> None:
    with ThreadPoolExecutor(4) as pool:
        asked = {"unlisted": "nowhere-1", "ambiguous": "both", "good": "q-1"}
        answers = dict(zip(asked, pool.map(lambda name: ask(plane, name, asked[name]), asked), strict=True))
    assert answers["good"][:2] == (200, "q/q-1")
    for name in ("unlisted", "ambiguous"):
        assert answers[name][0] in (400, 404), answers[name]
    assert {session.id for session in plane.store.inner.sessions()} == {"before", "good"}


def test_no_client_waits_for_ever_whatever_a_batch_meets(
    plane: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = plane.holdfast.engine
    monkeypatch.setattr(engine.objects, "none_yet", lambda _: 1 / 0)
    assert ask(plane, "unlucky")[0] == 200, "its session was stored"
    monkeypatch.setattr(first_requests, "_AT_ONCE", 1)
    errors: list[object] = []
    firsts = [FirstRequest(name, lambda _: 1 / 0, int, errors.append) for name in "ab"]
    engine.first_requests._work(firsts)
    assert errors == [None, None], "each is left to the start of its request"


def test_more_first_requests_than_may_wait_are_refused_at_once(
    plane: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_requests, "_MOST", 0)
    status, _, body = ask(plane, "one-too-many")
    assert (status, "new sessions wait for the store already" in body["error"]["message"]) == (503, True)
