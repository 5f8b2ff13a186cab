"""A request that is like one before it ends as on the full path where it is interrupted: its client leaves,
its token ends, its provider falls silent, or something fails inside the gateway."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from holdfast.core.changes import KeyFailed
from holdfast.core.faults import FaultClass
from holdfast.core.identity import Dialect, Pin
from holdfast.wire.request_head import OutboundRequest

from . import test_the_fast_path as table  # type: ignore[import-not-found]
from .conftest import TOKEN, Running, read_all  # type: ignore[import-not-found]
from .raw_provider import END as LAST  # type: ignore[import-not-found]
from .raw_provider import After, RawProvider, Said, chunk, chunked, head, raw_provider  # type: ignore[import-not-found]
from .test_the_fast_path import END, GOOD, GOOD_STREAM, KEY, MODEL, ROLE, WORDS, effects, started  # type: ignore[import-not-found]

Send = Callable[[Running, bytes], bytes]
Break = Callable[[Running, pytest.MonkeyPatch], object]
WAITS = chunked(ROLE, last=b"")
"""A stream whose output does not begin."""
REFUSED = table.refused(401, "invalid_api_key")
BEGINS = head("transfer-encoding: chunked")


def leaves(plane: Running, wanted: bytes) -> bytes:
    """Send a request, and leave after a moment without an answer."""
    with plane.connect() as sock:
        sock.sendall(wanted)
        time.sleep(0.05)
    return b""


def leaves_in_stream(plane: Running, wanted: bytes) -> bytes:
    """Send a request, and leave once its answer has begun."""
    with plane.connect() as sock:
        sock.sendall(wanted)
        sock.recv(1)
    return b""


def ends_token(plane: Running, wanted: bytes, first: int = 0) -> bytes:
    """Send a request whose token ends while its answer is awaited, or once `first` bytes of it have come."""
    with plane.connect() as sock:
        sock.sendall(wanted)
        time.sleep(0.05)
        begun = sock.recv(first) if first else b""
        token = plane.books.tokens.pop(TOKEN.encode())
        try:
            return begun + read_all(sock, 0.3)
        finally:
            plane.books.tokens[TOKEN.encode()] = token


def meanwhile(act: Callable[[Running], object]) -> Send:
    """Send a request, and do something while its answer is awaited."""

    def send(plane: Running, wanted: bytes) -> bytes:
        with plane.connect() as sock:
            sock.sendall(wanted)
            time.sleep(0.05)
            act(plane)
            return read_all(sock, 1.0)

    return send


def refuses_key(plane: Running) -> None:
    """Another request's key, the same, is refused."""
    engine = plane.holdfast.engine
    route = engine.routes(Pin.parse(f"mine/{MODEL}"), Dialect.OPENAI_CHAT, None)[0]
    name, url = engine.fingerprint(route.connections[0].key), route.connections[0].endpoint.url
    engine.persist([KeyFailed(name, url, FaultClass.AUTH_REJECTED, engine.store.now())], engine.store.now())


def replaces_key(_: Running) -> None:
    os.environ["KEY_A"] = "sk-anew-0123456789abcdef"


def edits(plane: Running) -> None:
    path = plane.home / "holdfast.toml"
    path.write_text(path.read_text() + "sends = 2\n")
    plane.holdfast.engine.config_watch.expire()


def waits_for(answer: bytes) -> Callable[[], Said]:
    return lambda: Said(slowly(b"", answer, waits=0.2))


def slowly(first: bytes, *later: bytes, waits: float) -> Iterable[bytes]:
    yield first
    for piece in later:
        time.sleep(waits)
        yield piece


class Case(NamedTuple):
    """What the provider says to the first request, how it is sent, and what else is done first."""

    says: Callable[[], Said]
    send: Send = Running.raw
    before: Break = lambda *_: None
    stream: bool = False


def gives_peeks(seconds: float) -> Break:
    def before(plane: Running, _: pytest.MonkeyPatch) -> None:
        bounds = plane.plane.conversation_bounds
        plane.plane.conversation_bounds = replace(bounds, peek_seconds=seconds)

    return before


def sets(**bounds: float) -> Break:
    def before(plane: Running, _: pytest.MonkeyPatch) -> None:
        plane.plane.bounds = replace(plane.plane.bounds, **bounds)

    return before


def fails_once(owner: Any, name: str) -> Break:
    """Let a function fail at its next call."""

    def before(_: Running, patch: pytest.MonkeyPatch) -> None:
        real, left = getattr(owner, name), [RuntimeError("broken")]

        def broken(*given: Any, **named: Any) -> Any:
            if left:
                raise left.pop()
            return real(*given, **named)

        patch.setattr(owner, name, broken)

    return before


def hangs(*pieces: bytes) -> Callable[[], Said]:
    return lambda: Said(pieces, After.HANG)


CASES: dict[str, Case] = {
    "its client leaves before an answer": Case(hangs(b""), leaves),
    "its client leaves in the head": Case(hangs(GOOD[:20]), leaves),
    "its client leaves in the body": Case(hangs(GOOD[:-9]), leaves),
    "its client leaves before the output": Case(hangs(WAITS), leaves, stream=True),
    "its client leaves after the output": Case(hangs(WAITS, chunk(WORDS)), leaves_in_stream, stream=True),
    "its token ends before an answer": Case(hangs(b""), ends_token),
    "its token ends before the output": Case(hangs(WAITS), ends_token, stream=True),
    "its token ends after the output": Case(
        hangs(WAITS, chunk(WORDS)), lambda *given: ends_token(*given, first=1), stream=True
    ),
    "its provider says nothing": Case(hangs(b""), before=sets(answer=0.3)),
    "its provider falls silent in the body": Case(hangs(GOOD[:-9]), before=sets(stall=0.3)),
    "its provider falls silent before the output": Case(hangs(WAITS), before=sets(stall=0.3), stream=True),
    "its output begins late": Case(
        lambda: Said(slowly(WAITS, chunk(WORDS), chunk(END), LAST, waits=0.3)),
        before=gives_peeks(0.1),
        stream=True,
    ),
    "its error comes late": Case(
        lambda: Said(slowly(WAITS, chunk(table.FAILED), LAST, waits=0.3)),
        before=gives_peeks(0.2),
        stream=True,
    ),
    "its client is told to wait": Case(
        lambda: Said(slowly(BEGINS, *map(chunk, (ROLE, WORDS, END)), LAST, waits=0.1)),
        before=sets(comment=0.05),
        stream=True,
    ),
    "its client is told to wait for an error": Case(
        lambda: Said(slowly(b"", table.refused(400, "context_length_exceeded"), waits=0.2)),
        before=sets(comment=0.05),
        stream=True,
    ),
    "its key is refused meanwhile": Case(waits_for(GOOD), meanwhile(refuses_key)),
    "its key is refused meanwhile, and for it": Case(waits_for(REFUSED), meanwhile(refuses_key)),
    "its key has another value meanwhile": Case(waits_for(GOOD), meanwhile(replaces_key)),
    "its key has another value when it is refused": Case(waits_for(REFUSED), meanwhile(replaces_key)),
    "its session is removed meanwhile": Case(
        waits_for(GOOD), meanwhile(lambda plane: plane.holdfast.engine.store.remove_session("s"))
    ),
    "the configuration changes meanwhile": Case(waits_for(REFUSED), meanwhile(edits)),
    "it cannot be written": Case(lambda: Said([GOOD]), before=fails_once(OutboundRequest, "write_to")),
}  # fmt: skip


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> Iterator[RawProvider]:
    monkeypatch.setenv("KEY_A", KEY)
    monkeypatch.setenv("KEY_B", "sk-bbbb-0123456789abcdef")
    with raw_provider() as provider:
        yield provider


@pytest.mark.parametrize("case", CASES)
def test_an_interrupted_request_ends_as_on_the_full_path(
    case: str, raw: RawProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says, send, before, stream = CASES[case]
    good, body = (
        (Said([GOOD_STREAM]), table.BODY | {"stream": True}) if stream else (Said([GOOD]), table.BODY)
    )
    both = []
    for on in (True, False):
        monkeypatch.setenv("KEY_A", KEY)
        with (
            started(tmp_path / str(on), raw, good, body, on=on) as plane,
            pytest.MonkeyPatch.context() as patch,
        ):
            assert bool(plane.holdfast.engine.fast_path._known) is on
            before(plane, patch)
            sends = [Running.raw, send]
            both.append(
                effects(plane, raw, [says()], good, body, send=lambda *given, s=sends: s.pop()(*given))
            )
    assert both[0] == both[1]
