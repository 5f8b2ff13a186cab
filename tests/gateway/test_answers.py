"""What a provider says reaches the client byte for byte, and what it fails to send is reported truthfully:
cut anywhere, stalled, refused."""

from __future__ import annotations

import gzip
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any

import pytest

from holdfast.gateway import relay
from holdfast.gateway.http1.errors import UpstreamError
from holdfast.gateway.limits import Bounds
from holdfast.gateway.relay import Relay
from holdfast.testing import (
    ScriptedProvider,
    error_event,
    fails_for,
    ok,
    only_keys,
    reset,
    stall,
    status,
    truncated,
)
from holdfast.wire.conversation import Conversation, run_conversation
from holdfast.wire.operations import Perform, Read
from holdfast.wire.request_head import OutboundRequest

CHAT = {"model": "mine/scripted-1", "messages": []}
ROUTES = ["chat/completions", "responses", "messages"]
PLAIN = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "model": "scripted-1",
        "choices": [{"message": {"content": "é…" * 50}, "finish_reason": "stop"}],
    }
)
NUMBER = re.compile(rb"\d+")
EVENTS = (
    b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
    b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
    b"data: "
    b'{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":7}}\n\n'
    b"data: [DONE]\n\n"
)


@contextmanager
def speaking(answer: Callable[[int], tuple[bytes, bool]]) -> Iterator[tuple[str, list[bytes]]]:
    """A provider of raw bytes: for the n-th request what it says, and whether it then resets the connection
    (or closes it). A whole answer says that it closes: the next request would else leave on the dying
    connection now and then, and cost an attempt."""
    server, seen = socket.create_server(("127.0.0.1", 0)), []
    server.settimeout(0.05)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                sock, _ = server.accept()
            except TimeoutError:
                continue
            with sock:
                sock.settimeout(5)
                got = b""
                while b"\r\n\r\n" not in got:
                    got += sock.recv(65536)
                head, _, body = got.partition(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                while len(body) < length:
                    body += sock.recv(65536)
                seen.append(head + b"\r\n\r\n" + body)
                data, resets = answer(len(seen))
                sock.sendall(data)
                if resets:
                    time.sleep(0.003)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.getsockname()[1]}/v1", seen
    over.set()
    thread.join()
    server.close()


def config(url: str) -> str:
    return f'[provider.mine]\nurl = "{url}"\nkeys = ["env:KEY_A"]\n[settings]\nprobe_delays = [0, 0]\n'


def steady(plane: Any) -> None:
    """Let an endpoint that broke so often be tried again, and at once."""
    engine = plane.holdfast.engine
    engine._jitter = lambda: 0.0
    engine.health.bucket(engine.config().providers["mine"].endpoints[0]).__init__()


def whole(body: bytes, kind: str = "application/json", extra: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: %b\r\n%bcontent-length: %d\r\n\r\n%b" % (
        kind.encode(),
        extra,
        len(body),
        body,
    )


def chunked(body: bytes, *, step: int = 40, kind: bytes = b"text/event-stream") -> bytes:
    pieces = [body[i : i + step] for i in range(0, len(body), step)]
    head = (
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n"
        % kind
    )
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("route", ROUTES)
def test_bodies_pass_byte_for_byte_plain_packed_and_streamed(
    gateway: Any, provider: ScriptedProvider, route: str, loop: str
) -> None:
    plane = gateway(provider, loop=loop)
    provider.follow(lambda seen: ok(compressed="gzip" in seen.headers.get("accept-encoding", "")))
    asked = {"model": "mine/scripted-1", "messages": [], "max_tokens": 5}
    _, _, plain = plane.post(route, asked)
    _, headers, packed = plane.post(route, asked, accept_encoding="gzip")
    assert (headers["content-encoding"], headers["holdfast-attempts"]) == ("gzip", "1")

    def strip(text: bytes) -> dict[str, Any]:
        ignored = ("id", "created", "created_at")
        return {name: value for name, value in json.loads(text).items() if name not in ignored}

    assert strip(gzip.decompress(packed)) == strip(plain)
    code, headers, streamed = plane.post(route, asked | {"stream": True})
    assert (code, headers["content-type"]) == (200, "text/event-stream")
    direct = json.dumps({"model": "scripted-1", "stream": True}).encode()
    with socket.create_connection(("127.0.0.1", provider.port)) as sock:
        head = f"POST /v1/{route} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(direct)}\r\n\r\n".encode()
        sock.sendall(head + direct)
        got = b""
        while not got.endswith(b"\r\n0\r\n\r\n"):
            got += sock.recv(65536)
    # The scripted provider counts its answers and dates them; everything else is the same to the byte.
    assert NUMBER.sub(b"N", streamed) == NUMBER.sub(b"N", _chunks(got.partition(b"\r\n\r\n")[2]))


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (whole(PLAIN.encode()), PLAIN.encode()),
        (
            whole(gzip.compress(PLAIN.encode()), extra=b"content-encoding: gzip\r\n"),
            gzip.compress(PLAIN.encode()),
        ),
        (chunked(PLAIN.encode(), kind=b"application/json"), PLAIN.encode()),
        (chunked(EVENTS), EVENTS),
        (chunked(EVENTS, step=1), EVENTS),
        (b"HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + EVENTS, EVENTS),
        (b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + whole(PLAIN.encode()), PLAIN.encode()),
    ],
    ids=["plain", "packed", "chunked", "stream", "stream of single bytes", "until close", "after a hint"],
)
def test_the_very_bytes_of_a_provider_arrive_and_nothing_that_is_not_for_clients(
    gateway: Any, answer: bytes, body: bytes
) -> None:
    answer = answer.replace(
        b"\r\ncontent-type",
        b"\r\nset-cookie: a=b\r\nalt-svc: h3\r\nholdfast-pin: forged\r\nx-request-id: r1\r\ncontent-type",
        1,
    )
    with speaking(lambda number: (answer, False)) as (url, seen):
        plane = gateway(config=config(url))
        code, headers, got = plane.post(
            "chat/completions",
            CHAT | {"stream": b"event-stream" in answer},
            cookie="mine",
            x_forwarded_for="1.2.3.4",
            x_title="1",
        )
        assert (code, sha256(got).digest()) == (200, sha256(body).digest())
    assert headers["x-request-id"] == "r1"
    assert headers["holdfast-pin"] == "mine/scripted-1"
    assert not {"set-cookie", "alt-svc"} & headers.keys()
    assert b"x-title: 1" in seen[0]
    assert b"cookie" not in seen[0]
    assert b"forwarded" not in seen[0]


@pytest.mark.parametrize("resets", [True, False])
def test_an_answer_that_breaks_at_any_byte_is_asked_for_again_and_never_handed_on_in_part(
    gateway: Any, resets: bool
) -> None:
    reply = whole(PLAIN.encode())
    offsets = [*range(len(reply) - len(PLAIN.encode()) + 4), len(reply) - 9, len(reply) - 1]
    with speaking(
        lambda number: (reply[: offsets[number // 2]], resets) if number % 2 else (reply, False)
    ) as (
        url,
        seen,
    ):
        plane = gateway(config=config(url))
        for offset in offsets:
            steady(plane)
            code, _, got = plane.post("chat/completions", CHAT)
            assert (code, got) == (200, PLAIN.encode()), offset
    assert len(seen) == 2 * len(offsets)


@pytest.mark.parametrize("resets", [True, False])
def test_a_stream_that_breaks_at_any_byte_is_repeated_before_its_output_and_reported_after(
    gateway: Any, resets: bool
) -> None:
    reply = chunked(EVENTS)
    begun = reply.index(b"hello") + 60
    offsets = [*range(0, len(reply) - 2, 7), len(reply) - 3]
    state = {"offset": 0, "tries": 0}

    def answer(number: int) -> tuple[bytes, bool]:
        state["tries"] += 1
        return (reply[: state["offset"]], resets) if state["tries"] == 1 else (reply, False)

    with speaking(answer) as (url, _):
        plane = gateway(config=config(url))
        for offset in offsets:
            state |= {"offset": offset, "tries": 0}
            steady(plane)
            answer_bytes = plane.raw(b"".join(_ask(CHAT | {"stream": True})))
            head, _, rest = answer_bytes.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), offset
            got = _chunks(rest)
            if state["tries"] == 2:
                assert got == EVENTS, offset
                assert offset < begun
            else:
                added = got.removeprefix(EVENTS)
                assert (
                    got != EVENTS
                    or not rest.endswith(b"0\r\n\r\n")
                    or b"[DONE]" in reply[:offset]
                    or b"stream_truncated" in added
                ), (offset, got)
                assert EVENTS.startswith(got) or b"stream_truncated" in got, (offset, got)


def _ask(body: Any) -> tuple[bytes, bytes]:
    text = json.dumps(body).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
        b"authorization: Bearer hf-test-0123456789\r\nconnection: close\r\n"
    )
    return head + b"content-length: %d\r\n\r\n" % len(text), text


def _chunks(data: bytes) -> bytes:
    """What chunks carry, also where they break off."""
    parts, at = [], 0
    while at < len(data):
        start = data.index(b"\r\n", at) + 2
        size = int(data[at:start], 16)
        parts.append(data[start : start + size])
        at = start + size + 2
    return b"".join(parts)


@pytest.mark.parametrize("route", ROUTES)
def test_a_cut_stream_ends_with_an_error_of_its_dialect(
    gateway: Any, provider: ScriptedProvider, route: str
) -> None:
    provider.follow(truncated(after=3))
    plane = gateway(provider)
    code, _, got = plane.post(route, CHAT | {"stream": True, "max_tokens": 5})
    assert code == 200
    assert b"cut short" in got.split(b"\n\n")[-2]
    assert b"[DONE]" not in got


def test_an_error_before_the_output_is_recovered_from(gateway: Any, provider: ScriptedProvider) -> None:
    provider.follow([error_event("overloaded", "overloaded_error"), ok()])
    code, headers, got = gateway(provider).post("chat/completions", CHAT | {"stream": True})
    assert (code, headers["holdfast-attempts"]) == (200, "2")
    assert b"overloaded" not in got


def test_the_next_key_answers_where_the_first_is_refused(gateway: Any, provider: ScriptedProvider) -> None:
    provider.follow(only_keys({"sk-bbbb-0123456789abcdef"}))
    code, headers, _ = gateway(provider).post("chat/completions", CHAT)
    assert (code, headers["holdfast-key"]) == (200, "KEY_B")


def test_a_good_key_that_is_refused_for_a_moment_is_asked_again(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(
        config=(
            f'[provider.mine]\nurl = "{provider.url}"\nkeys = ["env:KEY_A"]\n[settings]\n'
            "probe_delays = [0.05, 0.1]\n"
        )
    )
    assert plane.post("chat/completions", CHAT)[0] == 200
    provider.follow(fails_for(0.05))
    code, headers, _ = plane.post("chat/completions", CHAT)
    assert code == 200
    assert int(headers["holdfast-attempts"]) >= 2


def test_a_provider_that_stalls_is_given_up_in_time_before_and_after_its_output(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider, bounds=Bounds(look_every=0.02, answer=0.1, stall=0.15))
    provider.follow(stall())
    code, headers, got = plane.post("chat/completions", CHAT)
    assert (code, headers["holdfast-fault"]) == (504, "transient")
    provider.follow(stall(after=2))
    code, _, got = plane.post("chat/completions", CHAT | {"stream": True})
    assert code == 200
    assert b"silent for 0.15 s" in got


def test_a_client_that_waits_long_for_its_stream_gets_a_sign_of_life(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider, bounds=Bounds(look_every=0.02, comment=0.1))
    provider.follow(ok(delay=0.35))
    code, _, got = plane.post("chat/completions", CHAT | {"stream": True})
    assert code == 200
    assert got.startswith(b": holdfast\n\n: holdfast\n\n")
    assert got.endswith(b"data: [DONE]\n\n")
    provider.follow(
        replace(status(400, {"error": {"message": "bad thing", "type": "invalid_request_error"}}), delay=0.2)
    )
    code, _, got = plane.post("messages", CHAT | {"stream": True, "max_tokens": 1})
    assert code == 200
    assert b"event: error\n" in got
    assert b"bad thing" in got


def test_a_client_that_leaves_ends_the_providers_stream_and_costs_no_key(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider)
    provider.follow(ok("word " * 200, event_delay=0.02))
    with plane.connect() as sock:
        sock.sendall(b"".join(_ask(CHAT | {"stream": True})))
        assert sock.recv(1000)
    assert plane.done[-1].client_left
    deadline = time.monotonic() + 3
    while provider._open and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not provider._open
    assert not plane.holdfast.engine.store.cooldowns()


def test_a_slow_reader_makes_the_provider_wait(gateway: Any) -> None:
    body = b'{"choices":[{"message":{"content":"' + b"x" * 12_000_000 + b'"}}]}'
    with speaking(lambda number: (whole(body), False)) as (url, _):
        plane = gateway(config=config(url))
        with plane.connect() as sock:
            sock.sendall(b"".join(_ask(CHAT)))
            time.sleep(0.3)
            (client,) = plane.plane.clients
            assert client.paused
            assert client._transport.get_write_buffer_size() < 4_000_000
            pieces = []
            while piece := sock.recv(1 << 20):
                pieces.append(piece)
        passed = _chunks(b"".join(pieces).partition(b"\r\n\r\n")[2])
        assert sha256(passed).digest() == sha256(body).digest()


def test_a_large_body_goes_up_unchanged(gateway: Any, provider: ScriptedProvider) -> None:
    body = json.dumps({"messages": [{"content": "x" * 10_000_000}], "model": "scripted-1"}).encode()
    with speaking(lambda number: (whole(PLAIN.encode()), False)) as (url, seen):
        plane = gateway(config=config(url).replace("url =", 'models = ["scripted-1"]\nurl ='))
        assert plane.post("chat/completions", body)[0] == 200
        assert sha256(seen[0].partition(b"\r\n\r\n")[2]).digest() == sha256(body).digest()


def test_a_kept_connection_that_was_closed_meanwhile_costs_no_attempt(gateway: Any) -> None:
    with speaking(lambda number: (whole(PLAIN.encode()), False)) as (url, seen):
        plane = gateway(config=config(url))
        for _ in range(5):
            code, headers, _ = plane.post("chat/completions", CHAT)
            assert (code, headers["holdfast-attempts"]) == (200, "1")
    assert len(seen) == 5


@pytest.mark.parametrize("after", [OutboundRequest, Read])
@pytest.mark.parametrize("route", ROUTES)
def test_a_connection_that_breaks_while_a_step_runs_in_a_thread_is_not_forgotten(
    gateway: Any, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, route: str, after: type
) -> None:
    broken, failed = threading.Event(), Relay.failed

    def notes(self: Relay, error: Exception) -> None:
        failed(self, error)
        broken.set()

    def with_a_step(**named: Any) -> Conversation:
        """The conversation, with a step in a thread after the first of these operations."""
        inner, waited = run_conversation(**named), False
        op = next(inner)
        while True:
            try:
                result = yield op
                if type(op) is after and not waited:
                    waited = True
                    yield Perform(partial(broken.wait, 5))
            except UpstreamError as error:
                step = partial(inner.throw, error)
            else:
                step = partial(inner.send, result)
            try:
                op = step()
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    monkeypatch.setattr(Relay, "failed", notes)
    monkeypatch.setattr(relay, "run_conversation", with_a_step)
    plane = gateway(provider)
    provider.follow(reset(after=3))
    began = time.monotonic()
    answer = plane.post(route, CHAT | {"stream": True, "input": "hi", "max_tokens": 9})
    assert time.monotonic() - began < 4
    assert (answer[0], b"error" in answer[2]) == (200, True)
