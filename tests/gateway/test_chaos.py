"""Providers that break off at any byte in any dialect, that stall while others answer, and clients that
leave, thousands of times: no answer is wrong, nothing is left open, and the others go on."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.conftest import TOKEN, Running, parse, request
from gateway.served import eventually
from gateway.test_answers import chunked, speaking, steady, whole
from holdfast.gateway.limits import Bounds
from holdfast.testing import ScriptedProvider, ok, stall

EVERY = 1 if os.environ.get("OFFSETS") == "all" else 17
"""At which bytes of an answer a provider breaks off: at each with `make test-offsets`."""
PATIENCE = 1.0
"""For how long (seconds) a silent provider is waited for."""
ASK = {"model": "mine/m", "messages": [], "max_tokens": 9}


def events(*rows: dict[str, Any]) -> bytes:
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (row["type"].encode(), json.dumps(row).encode()) for row in rows
    )


CHAT_END = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
STREAMS = {
    "chat/completions": (
        b'data: {"choices":[{"delta":{"role":"assistant"}}]}\n\n'
        b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
    )
    + CHAT_END,
    "responses": events(
        {"type": "response.created", "response": {"id": "r", "model": "m", "status": "in_progress"}},
        {"type": "response.output_text.delta", "delta": "hello", "output_index": 0},
        {
            "type": "response.completed",
            "response": {"id": "r", "model": "m", "status": "completed", "output": []},
        },
    ),
    "messages": events(
        {"type": "message_start", "message": {"id": "m", "model": "m", "content": []}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ),
}
ENDS = {
    "chat/completions": b'"finish_reason":"stop"',
    "responses": b'"type": "response.completed"',
    "messages": b'"type": "message_stop"',
}
"""The last event without which an answer is not whole: after it, [DONE] says nothing new."""
PLAIN = {
    "chat/completions": {
        "id": "c",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}],
    },
    "responses": {
        "id": "r",
        "object": "response",
        "model": "m",
        "status": "completed",
        "output": [{"type": "message", "content": []}],
    },
    "messages": {
        "id": "m",
        "type": "message",
        "model": "m",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
    },
}


@contextmanager
def breaking(gateway: Any, reply: bytes) -> Iterator[tuple[Running, dict[str, int]]]:
    """A gateway before a provider that resets its connection once, after `offset` bytes of its answer, and
    answers well afterwards."""
    state = {"offset": 0, "tries": 0}

    def answer(number: int) -> tuple[bytes, bool]:
        state["tries"] += 1
        return (reply[: state["offset"]], True) if state["tries"] == 1 else (reply, False)

    with speaking(answer) as (url, _):
        root = url.removesuffix("/v1")
        endpoints = f'{{ openai-chat = "{url}", openai-responses = "{url}", anthropic-messages = "{root}" }}'
        yield (
            gateway(
                config=(
                    f'[provider.mine]\nendpoints = {endpoints}\nkeys = ["env:KEY_A"]\n[settings]\n'
                    "probe_delays = [0, 0]\n"
                )
            ),
            state,
        )


def each_offset(plane: Running, reply: bytes, state: dict[str, int], ask: Callable[[int], None]) -> None:
    for offset in [*range(0, len(reply) - 1, EVERY), len(reply) - 1]:
        state |= {"offset": offset, "tries": 0}
        engine = plane.holdfast.engine
        steady(plane)
        for endpoint in engine.config().providers["mine"].endpoints:  # type: ignore[index]
            engine.health.bucket(endpoint).__init__()  # type: ignore[misc]
        ask(offset)


@pytest.mark.parametrize("route", PLAIN)
def test_an_answer_that_is_reset_at_any_byte_is_asked_for_again_in_every_dialect(
    gateway: Any, route: str
) -> None:
    body = json.dumps(PLAIN[route]).encode()
    reply = whole(body)
    with breaking(gateway, reply) as (plane, state):

        def ask(offset: int) -> None:
            code, _, got = plane.post(route, ASK)
            assert (code, got, state["tries"]) == (200, body, 2), offset

        each_offset(plane, reply, state, ask)


@pytest.mark.parametrize("route", STREAMS)
def test_a_stream_that_is_reset_at_any_byte_is_repeated_reported_or_read_to_its_end_by_clients(
    gateway: Any, route: str
) -> None:
    stream = STREAMS[route]
    reply = chunked(stream, step=64)
    with breaking(gateway, reply) as (plane, state):

        def ask(offset: int) -> None:
            answer = plane.raw(
                request(route, json.dumps(ASK | {"stream": True}).encode(), connection="close")
            )
            head, _, rest = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), offset
            finished = rest.endswith(b"0\r\n\r\n")
            if state["tries"] == 2:
                assert parse(answer)[2] == stream, offset
            elif finished:  # all of it had come, or the client gets an error in its dialect
                got = parse(answer)[2]
                read = got[: got.rindex(b"\n\n")]  # what has no blank line behind it, no client reads
                assert b"stream_truncated" in read or ENDS[route] in read, (offset, got)

        each_offset(plane, reply, state, ask)


def test_providers_that_stall_delay_no_other_request(gateway: Any, provider: ScriptedProvider) -> None:
    with ScriptedProvider(stall()) as silent:
        plane = gateway(silent, provider, bounds=Bounds(look_every=0.02, answer=PATIENCE))
        codes: list[int] = []
        waiting = [
            threading.Thread(
                target=lambda: codes.append(
                    plane.post("chat/completions", ASK | {"model": "mine/scripted-1"})[0]
                )
            )
            for _ in range(20)
        ]
        for thread in waiting:
            thread.start()
        eventually(lambda: len(silent.calls) >= 20)
        for _ in range(20):
            begun = time.monotonic()
            assert plane.post("chat/completions", ASK | {"model": "other/scripted-1"})[0] == 200
            assert time.monotonic() - begun < PATIENCE
        for thread in waiting:
            thread.join()
    assert set(codes) == {504}


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def memory() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def leave(sock: socket.socket, *, rudely: bool) -> None:
    if rudely:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="what is open is read from /proc")
def test_after_thousands_of_clients_that_left_nothing_is_open_and_nothing_is_kept(
    gateway: Any, provider: ScriptedProvider
) -> None:
    """They leave within their head, within their body, before the answer, and within the stream; politely and
    by a reset."""
    provider.follow(lambda seen: ok("word " * 50, event_delay=0.05) if seen.streams else ok(delay=0.05))
    plane = gateway(provider, bounds=Bounds(look_every=0.02, pool_idle=0.1))
    assert plane.post("chat/completions", ASK | {"model": "mine/scripted-1"})[0] == 200
    text = json.dumps(ASK | {"model": "mine/scripted-1", "stream": True}).encode()
    streamed = request("chat/completions", text)
    waiting = request("chat/completions", text.replace(b"true", b"false"))
    begun = [streamed[:60], streamed[:-9], waiting, streamed]

    def rounds(count: int) -> None:
        for _ in range(count):
            socks = []
            for number in range(40):
                socks.append(plane.connect())
                socks[-1].sendall(begun[number % 4])
            for sock in socks[3::4]:
                assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
            for number, sock in enumerate(socks):
                leave(sock, rudely=number % 8 < 4)

    def nothing_is_open() -> bool:
        return (
            not plane.plane.clients and not plane.plane.tasks and not provider._open and open_files() <= files
        )

    eventually(lambda: not provider._open, 10)
    files = open_files()
    rounds(10)
    eventually(nothing_is_open, 10)
    before = memory()
    rounds(40)
    eventually(nothing_is_open, 10)
    assert memory() - before < 16 * 1024**2
    assert plane.books.done[-1].client_left
    assert not plane.holdfast.engine.store.cooldowns(), "nobody is blamed"
    provider.follow(ok())
    assert plane.post("chat/completions", ASK | {"model": "mine/scripted-1"})[0] == 200
    assert TOKEN not in str(plane.holdfast.engine.store.journal(limit=50))
