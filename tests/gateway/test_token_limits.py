"""What a token may do travels with it: a session, pins, an end, one gateway. Every route and page obeys."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from holdfast.core.errors import StoreError
from holdfast.core.identity import Pin
from holdfast.gateway.permissions import is_good, may_see, usable_pins
from holdfast.gateway.tokens import Tokens, issue
from holdfast.store.memory import MemoryStore
from holdfast.store.sqlite import SqliteStore
from holdfast.store.token import Token
from holdfast.testing import ScriptedProvider, ok

from .conftest import TOKEN, read_all, request  # type: ignore[import-not-found]
from .raw_provider import After, RawProvider  # type: ignore[import-not-found]
from .served import provider as entry  # type: ignore[import-not-found]
from .served import serving, write_config

MINE, ONLY, OTHER = map(Pin.parse, ("mine/scripted-1", "mine/mine-only", "other/other-only"))
SESSION = Token("1", "", "t", session="s")
PINS = Token("1", "", "t", pins=(MINE, OTHER), strict=True)
BOTH = Token("1", "", "t", session="s", pins=(MINE,), strict=True)


def chat(model: str | None) -> dict[str, Any]:
    return ({} if model is None else {"model": model}) | {"messages": []}


@pytest.mark.parametrize(
    ("token", "path", "model", "answer"),
    [
        (SESSION, "", "mine/scripted-1", 200),
        (SESSION, "", None, 200),
        (SESSION, "", "scripted-1", 200),
        (SESSION, "", "mine/mine-only", "pin_mismatch"),
        (SESSION, "", "other/other-only", "pin_mismatch"),
        (SESSION, "", "mine/unheard-of", "pin_mismatch"),
        (SESSION, "", "other-onl", "model_not_found"),
        (SESSION, "/s/s", "mine/scripted-1", 200),
        (SESSION, "/s/else", "mine/scripted-1", "session_mismatch"),
        (PINS, "/s/s", "mine/scripted-1", 200),
        (PINS, "/s/s", "other/other-only", 200),
        (PINS, "/s/s", None, 200),
        (PINS, "/s/s", "mine/mine-only", "pin_mismatch"),
        (PINS, "/s/elsewhere", None, "pin_mismatch"),
        (PINS, "/s/elsewhere", "mine/mine-only", "pin_mismatch"),
        (PINS, "/s/new", "other/other-only", 200),
        (PINS, "/s/new", "mine/mine-only", "pin_mismatch"),
        (PINS, "/s/new", None, "model_ambiguous"),
        (BOTH, "", "mine/scripted-1", 200),
        (BOTH, "", "other/other-only", "pin_mismatch"),
        (BOTH, "/s/elsewhere", "mine/scripted-1", "session_mismatch"),
    ],
)
@pytest.mark.parametrize("route", ["chat/completions", "messages", "responses"])
def test_a_limited_token_reaches_no_other_session_provider_key_or_model(
    gateway: Any,
    provider: ScriptedProvider,
    route: str,
    token: Token,
    path: str,
    model: str | None,
    answer: int | str,
) -> None:
    plane = gateway(provider, provider)
    plane.holdfast.session("s", "mine/scripted-1")
    plane.holdfast.session("elsewhere", "mine/mine-only")
    plane.books.tokens[TOKEN.encode()] = token
    status, _, body = plane.post(f"{path}/v1/{route}", chat(model))
    if answer == 200:
        assert (status, len(provider.calls)) == (200, 1)
        return
    error = json.loads(body)["error"]["holdfast"]
    assert (error["class"], provider.calls) == (answer, [])
    candidates = [Pin.parse(name) for name in error.get("candidates", ())]
    assert set(candidates) <= set(usable_pins(token, MINE) or ())
    assert plane.holdfast.engine.store.session("new") is None


def test_a_token_of_one_session_cannot_choose_what_its_user_did_not(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider, provider)
    plane.books.tokens[TOKEN.encode()] = SESSION
    status, _, body = plane.post("chat/completions", chat("mine/scripted-1"))
    error = json.loads(body)["error"]["holdfast"]
    assert (status, error["class"]) == (409, "no_choice")
    assert error["next_step"] == "holdfast session pin s PROVIDER/MODEL"
    assert not provider.calls
    plane.holdfast.session("s", "mine/scripted-1")
    assert plane.post("chat/completions", chat("mine/scripted-1"))[0] == 200


def test_a_session_begins_on_the_one_pin_of_its_token(gateway: Any, provider: ScriptedProvider) -> None:
    plane = gateway(provider, provider)
    plane.books.tokens[TOKEN.encode()] = Token("1", "", "t", pins=(OTHER,))
    assert plane.post("chat/completions", chat(None))[0] == 200
    assert plane.holdfast.engine.store.session("token-t").pin == OTHER


@pytest.mark.parametrize(
    ("token", "now", "instance", "good"),
    [
        (Token("t", "", ""), 5.0, "here", True),
        (Token("t", "", "", revoked_at=1.0), 5.0, "here", False),
        (Token("t", "", "", expires_at=5.0), 4.9, "here", True),
        (Token("t", "", "", expires_at=5.0), 5.0, "here", False),
        (Token("t", "", "", instance="here"), 5.0, "here", True),
        (Token("t", "", "", instance="here"), 5.0, "there", False),
        (Token("t", "", "", instance="here"), 5.0, "", False),
    ],
)
def test_a_token_opens_nothing_after_its_end_or_at_another_gateway(
    token: Token, now: float, instance: str, good: bool
) -> None:
    assert is_good(token, now=now, instance=instance) is good


@pytest.mark.parametrize(
    ("token", "session", "pin", "seen"),
    [
        (Token("t", "", ""), "a", OTHER, True),
        (SESSION, "s", OTHER, True),
        (SESSION, "a", MINE, False),
        (PINS, "a", MINE, True),
        (PINS, "a", ONLY, False),
        (PINS, "a", "", False),
        (BOTH, "s", ONLY, True),
        (BOTH, "a", MINE, False),
    ],
)
def test_a_limited_token_sees_no_session_or_request_of_others(
    token: Token, session: str, pin: Pin | str, seen: bool
) -> None:
    assert may_see(token, session, pin) is seen


class Clocks:
    """The store's clock and the monotonic one, as one."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_ends_by_itself_although_nothing_changed_in_the_store() -> None:
    clock = Clocks()
    with MemoryStore(clock=clock) as store:
        tokens = Tokens(store, clock=clock)
        token, shown = issue(store, "ci", lasts=60.0)
        clock.now += 59
        assert tokens.check(shown.encode()) == token
        assert tokens.ids() == {token.id}
        clock.now += 1
        assert tokens.check(shown.encode()) is None
        assert tokens.ids() == set()


def test_a_token_ends_by_itself_although_the_store_is_away() -> None:
    clock = Clocks()
    errors: list[StoreError] = []
    store = MemoryStore(clock=clock)
    tokens = Tokens(store, clock=clock, tell=errors.append)
    _, shown = issue(store, "ci", lasts=60.0)
    clock.now += 1
    assert tokens.check(shown.encode())
    store.close()
    clock.now += 60
    assert tokens.check(shown.encode()) is None
    assert errors


def test_a_token_of_a_killed_run_ends_and_that_of_a_living_one_does_not(tmp_path: Path) -> None:
    clock = Clocks()
    with SqliteStore(tmp_path / "state.db", clock=clock) as store:
        token, shown = issue(store, "run s", "s", lasts=60.0, instance="run")
        its_own = Tokens(store, instance="run", kept=token.id, clock=clock)
        like_it = Tokens(store, instance="run", clock=clock)
        others = Tokens(store, instance="serve", clock=clock)
        for renewed in (True, True, False):
            assert others.check(shown.encode()) is None
            assert like_it.check(shown.encode())
            if renewed:
                clock.now += 50
                store.renew_token(token.id, clock.now + 60)
        clock.now += 60
        assert like_it.check(shown.encode()) is None
        assert its_own.check(shown.encode()), "nobody could renew it while the machine slept"
        store.revoke_token(token.id)
        clock.now += 1
        assert its_own.check(shown.encode()) is None


def test_a_token_that_is_presented_to_another_gateway_is_told_of_once() -> None:
    told_of: list[Token] = []
    clock = Clocks()
    with MemoryStore(clock=clock) as store:
        tokens = Tokens(store, instance="serve", foreign=told_of.append, clock=clock)
        token, shown = issue(store, "run s", "s", lasts=60.0, instance="run")
        _, own = issue(store, "laptop")
        _, revoked = issue(store, "ci", instance="run")
        store.revoke_token(revoked[3:11])
        for value in (shown, shown, own, revoked, "hf-guess", "\xff"):
            clock.now += 1
            tokens.check(value.encode("latin-1"))
        assert told_of == [token]
        clock.now += 60
        tokens.check(shown.encode())
        assert told_of == [token]


ASK = json.dumps({"model": "mine/scripted-1", "stream": True, "messages": []}).encode()


def _begun(plane: Any, path: str) -> socket.socket:
    """A connection whose stream has begun."""
    sock: socket.socket = plane.connect()
    sock.sendall(request(path, ASK, connection="close"))
    got = b""
    while b"data:" not in got:
        got += sock.recv(65536)
    return sock


@pytest.mark.parametrize("route", ["chat/completions", "messages", "responses"])
def test_no_stream_outlives_the_token_that_opened_it(
    gateway: Any, provider: ScriptedProvider, route: str
) -> None:
    provider.follow(ok("word " * 40, cut_after=3, stall=30.0))
    plane = gateway(provider)
    with _begun(plane, route) as sock:
        del plane.books.tokens[TOKEN.encode()]
        rest = read_all(sock)
    assert b"token_ended" in rest
    assert rest.endswith(b"0\r\n\r\n")
    assert [done.code for done in plane.done] == ["token_ended"]


def test_no_request_outlives_its_token_while_it_waits_for_an_answer(
    gateway: Any, provider: ScriptedProvider
) -> None:
    provider.follow(ok(delay=30.0))
    plane = gateway(provider)
    with plane.connect() as sock:
        sock.sendall(request("chat/completions", ASK, connection="close"))
        while not provider.calls:
            pass
        del plane.books.tokens[TOKEN.encode()]
        answer = read_all(sock)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"token_ended" in answer


def test_a_stream_that_is_within_an_event_is_cut_when_its_token_ends(gateway: Any) -> None:
    raw = RawProvider()
    piece = b'data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    raw.says(head + piece, b'data: {"choices":[{"index"', after=After.HANG)
    plane = gateway(
        config=f'[provider.mine]\nurl = "{raw.url}"\nmodels = ["scripted-1"]\nkeys = ["env:KEY_A"]\n'
    )
    try:
        with plane.connect() as sock:
            sock.sendall(request("chat/completions", ASK, connection="close"))
            got = b""
            while b'"index"' not in got.partition(b"hello")[2]:
                got += sock.recv(65536)
            del plane.books.tokens[TOKEN.encode()]
            rest = read_all(sock)
    finally:
        raw.close()
    assert b"token_ended" not in rest
    assert not rest.endswith(b"0\r\n\r\n")
    assert [done.code for done in plane.done] == ["token_ended"]


def test_a_stream_ends_within_a_second_when_another_process_revokes_its_token(
    home: Path, provider: ScriptedProvider
) -> None:
    provider.follow(ok("word " * 40, cut_after=3, stall=30.0))
    write_config(home, entry("p", provider.url))
    with serving(home) as served, served.stream() as answer:
        lines = answer.iter_lines()
        while "word" not in next(lines):
            pass
        with SqliteStore(home / "state.db") as store:
            began = time.monotonic()
            assert store.revoke_token(served.token[3:11])
        assert any("token_ended" in line for line in lines)
        assert time.monotonic() - began < 1.0
