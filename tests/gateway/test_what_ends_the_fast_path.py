"""Between two equal requests anything may happen that the full path looks at: the second one takes it then.
What concerns only others changes nothing."""

from __future__ import annotations

import contextlib
import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from holdfast.core.changes import Cooldown, CooldownStarted, FallbackStarted, KeyFailed, subject
from holdfast.core.faults import Fault, FaultClass, Scope
from holdfast.core.identity import Connection, Dialect, Pin
from holdfast.gateway.limits import Bounds
from holdfast.store.base import Store
from holdfast.store.sqlite import SqliteStore
from holdfast.store.token import Token
from holdfast.testing import ScriptedProvider

from .conftest import TOKEN, Running, request  # type: ignore[import-not-found]
from .served import eventually  # type: ignore[import-not-found]

CONFIG = """
[provider.mine]
url = "{url}"
models = ["scripted-1", "scripted-2"]
keys = ["env:KEY_A", "env:KEY_B"]
[provider.other]
url = "{url}"
models = ["scripted-1"]
keys = ["env:KEY_C"]
[fallback]
"mine/scripted-1" = {{ then = ["other/scripted-1"] }}
"""
BODY = {"model": "scripted-1", "messages": [{"role": "user", "content": "hi"}]}
FILE = {"type": "file", "file": {"file_id": "file-abc123def456"}}
Event = Callable[[Running, pytest.MonkeyPatch], object]


def chosen(plane: Running) -> Connection:
    """The connection on which the session's requests leave."""
    return plane.holdfast.engine.routes(Pin.parse("mine/scripted-1"), Dialect.OPENAI_CHAT, None)[
        0
    ].connections[0]


def fingerprint(plane: Running, key: Any) -> str:
    return plane.holdfast.engine.fingerprint(key)


def cooled(plane: Running, scope: Scope, *, minutes: float = 1.0, other: bool = False) -> CooldownStarted:
    """A verdict on what the session uses, or on what another provider has."""
    connection, now = chosen(plane), plane.holdfast.engine.store.now()
    if other:
        connection = plane.holdfast.engine.routes(Pin.parse("other/scripted-1"), Dialect.OPENAI_CHAT, None)[
            0
        ].connection
    name = subject(scope, fingerprint(plane, connection.key), connection)
    fault = Fault(FaultClass.RATE_LIMITED, scope)
    return CooldownStarted(Cooldown(name, now + minutes * 60, now, 0, fault))


def learns(*scopes: Scope, other: bool = False) -> Event:
    """Another request of this process learns of trouble."""

    def event(plane: Running, _: pytest.MonkeyPatch) -> None:
        for scope in scopes:
            plane.holdfast.engine.health.apply(cooled(plane, scope, other=other))

    return event


@contextlib.contextmanager
def other_process(plane: Running) -> Iterator[Store]:
    with SqliteStore(plane.home / "state.db") as store:
        yield store


def writes(make: Callable[[Running], Any]) -> Event:
    """Another process learns something."""

    def event(plane: Running, _: pytest.MonkeyPatch) -> None:
        with other_process(plane) as store:
            store.apply([make(plane)], store.now())

    return event


def fails(plane: Running, _: pytest.MonkeyPatch) -> None:
    engine, connection = plane.holdfast.engine, chosen(plane)
    later = engine.store.now() + 1
    failed = KeyFailed(
        fingerprint(plane, connection.key), connection.endpoint.url, FaultClass.AUTH_REJECTED, later
    )
    engine.health.apply(failed)


def edits(old: str, new: str) -> Event:
    def event(plane: Running, _: pytest.MonkeyPatch) -> None:
        path = plane.home / "holdfast.toml"
        path.write_text(path.read_text().replace(old, new))
        plane.holdfast.engine.config_watch.expire()

    return event


def removes(plane: Running, _: pytest.MonkeyPatch) -> None:
    with other_process(plane) as store:
        store.remove_session("s")


def falls_back(plane: Running) -> FallbackStarted:
    return FallbackStarted("s", "other/scripted-1", "rate_limited", plane.holdfast.engine.store.now() + 60)


ENDS: dict[str, Event] = {
    "its user switches it": lambda plane, _: plane.holdfast.session("s").switch("mine/scripted-2"),
    "its user switches it and back": lambda plane, _: [
        plane.holdfast.session("s").switch(pin) for pin in ("other/scripted-1", "mine/scripted-1")
    ],
    "its user chooses a key": lambda plane, _: plane.holdfast.session("s").switch(
        "mine/scripted-1", key="KEY_B"
    ),
    "it is removed": removes,
    "it falls back": writes(falls_back),
    "the configuration changes": edits('"scripted-2"]', '"scripted-2", "scripted-3"]'),
    "its key leaves the configuration": edits('"env:KEY_A", ', ""),
    "its key has another value": lambda _, patch: patch.setenv("KEY_A", "sk-anew-0123456789abcdef"),
    "its key is gone": lambda _, monkeypatch: monkeypatch.delenv("KEY_A"),
    "its key was refused since": fails,
    **{f"the {scope} rests": learns(scope) for scope in Scope if scope in (
        Scope.KEY, Scope.KEY_MODEL, Scope.MODEL, Scope.ENDPOINT, Scope.ACCOUNT
    )},
    "its key rests in another process": writes(lambda plane: cooled(plane, Scope.KEY)),
    "a verdict on its key is over": writes(lambda plane: cooled(plane, Scope.KEY, minutes=-1.0)),
}  # fmt: skip
GOES_ON: dict[str, Event] = {
    "nothing happens": lambda *_: None,
    "another session begins": lambda plane, _: plane.holdfast.session("t", "mine/scripted-1"),
    "another session switches": lambda plane, _: [
        plane.holdfast.session("t", pin) for pin in ("mine/scripted-1",)
    ] + [plane.holdfast.session("t").switch("other/scripted-1")],
    "another key rests": learns(Scope.KEY, other=True),
    "another key rests in another process": writes(lambda plane: cooled(plane, Scope.KEY, other=True)),
    "another session is answered": lambda plane, _: plane.post(
        "chat/completions", BODY | {"model": "other/scripted-1"}, holdfast_session="u"
    ),
}  # fmt: skip


@pytest.fixture
def plane(home: Path, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A gateway that has answered requests of the session `s`."""
    for name in "ABC":
        monkeypatch.setenv(f"KEY_{name}", f"sk-{name.lower() * 4}-0123456789abcdef")
    (home / "holdfast.toml").write_text(CONFIG.format(url=provider.url))
    running = Running(home, Bounds(look_every=0.02), None, "uvloop")
    try:
        running.holdfast.session("s", "mine/scripted-1")
        for _ in range(3):
            assert running.post("chat/completions", BODY, holdfast_session="s")[0] == 200
            running.holdfast.engine.journal_writer.flush()
        yield running
    finally:
        running.close()


def is_recalled(plane: Running) -> bool:
    """Send the request once more; return whether it took the fast path, and not the full one in its place."""
    fast_path, sent = plane.holdfast.engine.fast_path, []
    sends = fast_path.sends
    fast_path.sends = lambda recalled: sent.append(recalled) or sends(recalled)
    plane.post("chat/completions", BODY, holdfast_session="s")
    fast_path.sends = sends
    return len(sent) == 1


@pytest.mark.parametrize("event", ENDS)
def test_what_concerns_a_session_sends_its_next_request_on_the_full_path(
    event: str, plane: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert is_recalled(plane)
    ENDS[event](plane, monkeypatch)
    plane.holdfast.engine.look_again()
    assert not is_recalled(plane)


@pytest.mark.parametrize("event", GOES_ON)
def test_what_concerns_others_leaves_a_session_on_the_fast_path(
    event: str, plane: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    GOES_ON[event](plane, monkeypatch)
    plane.holdfast.engine.look_again()
    assert is_recalled(plane)


def test_a_token_that_has_ended_opens_no_fast_path(plane: Running) -> None:
    assert is_recalled(plane)
    del plane.books.tokens[TOKEN.encode()]
    assert plane.post("chat/completions", BODY, holdfast_session="s")[0] == 401


@pytest.mark.parametrize(
    "body",
    [
        BODY | {"model": "scripted-2"},
        BODY | {"model": "mine/scripted-1"},
        BODY | {"messages": [{"role": "user", "content": [FILE]}]},
    ],
    ids=["another model", "another name of the model", "a file of an account"],
)  # fmt: skip
def test_another_request_takes_the_full_path(body: dict[str, Any], plane: Running) -> None:
    fast_path = plane.holdfast.engine.fast_path
    sent: list[Any] = []
    fast_path.sends = sent.append
    assert plane.post("chat/completions", body, holdfast_session="s")[0] == 200
    assert not sent


VECTORS = {"model": "vectors-1", "input": "hi"}


def test_a_model_that_may_be_asked_for_vectors_is_still_none_to_talk_to(plane: Running) -> None:
    for _ in range(2):
        assert plane.post("embeddings", VECTORS, holdfast_session="s")[0] == 200
    code, _, body = plane.post("chat/completions", BODY | {"model": "vectors-1"}, holdfast_session="s")
    assert (code, b"vectors-1" in body) == (404, True)


def test_no_key_stays_in_memory_that_another_value_has_replaced(
    plane: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast_path = plane.holdfast.engine.fast_path
    for session in "tu":
        plane.holdfast.session(session, "mine/scripted-1")
        for _ in range(3):
            assert plane.post("chat/completions", BODY, holdfast_session=session)[0] == 200
            plane.holdfast.engine.journal_writer.flush()
    assert {question[0] for question in fast_path._known} == {"s", "t", "u"}
    monkeypatch.setenv("KEY_A", "sk-anew-0123456789abcdef")
    assert not is_recalled(plane)
    assert {question[0] for question in fast_path._known} <= {"s"}


def reachable(root: object, wanted: Callable[[object], bool]) -> list[object]:
    """Return the objects that are reachable from `root` and are `wanted`."""
    left, seen, matches = [root], {id(root)}, []
    while left:
        for each in gc.get_referents(left.pop()):
            if id(each) in seen or isinstance(each, type | ModuleType):
                continue
            seen.add(id(each))
            left.append(each)
            if wanted(each):
                matches.append(each)
    return matches


def test_no_token_stays_in_memory_that_has_ended(plane: Running) -> None:
    digits = "0987612345"[::-1]  # the token as a whole stands nowhere in the test

    def holds(value: object) -> bool:
        return isinstance(value, bytes | bytearray) and digits[::-1].encode() in bytes(value)

    def wanted(**headers: str) -> bytes:
        return request("chat/completions", json.dumps(BODY).encode(), holdfast_session="s", **headers)

    plane.books.tokens[f"hf-{digits[::-1]}".encode()] = Token("9", "", "ends", session="s")
    with plane.connect() as sock, plane.connect() as other:
        for _ in range(3):
            sock.sendall(wanted(authorization=f"Bearer hf-{digits[::-1]}"))
            assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        other.sendall(wanted()[:-9])
        assert reachable(plane.plane.repeats, holds)
        plane.books.tokens.popitem()
        eventually(lambda: not reachable(plane.plane, holds))
        other.sendall(wanted()[-9:])
        assert other.recv(65536).startswith(b"HTTP/1.1 200")


def test_no_decision_stays_in_memory_that_has_ended(plane: Running) -> None:
    assert is_recalled(plane)
    repeats, fast_path = plane.plane.repeats, plane.holdfast.engine.fast_path
    plane.holdfast.session("s").switch("mine/scripted-2")
    for _ in range(2):
        assert not is_recalled(plane)
    decisions = [kind.learnt for known in repeats._known.values() for kind in known.kinds.values()]
    assert not any(learnt.ended for learnt in [*decisions, *fast_path._known.values()])


def test_a_configuration_that_was_replaced_does_not_stay_in_memory(
    plane: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        answer = plane.post("chat/completions", BODY | {"model": "other/scripted-1"}, holdfast_session="t")
        assert answer[0] == 200
    edits('"scripted-2"]', '"scripted-2", "scripted-3"]')(plane, monkeypatch)
    assert not is_recalled(plane)
    config = plane.holdfast.engine.config()
    assert all(learnt.plan.config is config for learnt in plane.holdfast.engine.fast_path._known.values())


def test_a_name_of_any_length_is_not_remembered(plane: Running) -> None:
    (learnt,) = plane.holdfast.engine.fast_path._known.values()
    before = set(learnt.models)
    learnt.add_model("x" * 1_000)
    assert learnt.models == before


def test_a_repetition_by_the_client_takes_the_full_path(plane: Running) -> None:
    sent: list[Any] = []
    plane.holdfast.engine.fast_path.sends = sent.append
    again = plane.post("chat/completions", BODY, holdfast_session="s", x_stainless_retry_count="1")
    assert (again[0], sent) == (200, [])
