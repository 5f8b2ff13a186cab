"""Clients and providers that mean harm, or are only very slow: no other request waits for them, and what they
cost is bounded."""

from __future__ import annotations

import json
import resource
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from holdfast.gateway.http1.framing import _SIZES, Chunks
from holdfast.gateway.http1.request_body import RequestBody
from holdfast.gateway.limits import Bounds
from holdfast.gateway.process.listen import allow_many, open_files
from holdfast.testing import ScriptedProvider

from .conftest import request  # type: ignore[import-not-found]

CHAT = b'{"model":"mine/scripted-1","messages":[]}'
ANSWER = (
    b'{"id":"x","object":"chat.completion","model":"scripted-1","choices":[{"message":{"content":"%b"},'
    b'"finish_reason":"stop"}]}'
)


def answer(text: bytes = b"hi") -> bytes:
    body = ANSWER % text
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


@contextmanager
def speaking(talk: Callable[[socket.socket, int], None]) -> Iterator[str]:
    """A provider of raw bytes; `talk` has the n-th connection for itself."""
    server, over = socket.create_server(("127.0.0.1", 0)), threading.Event()
    server.settimeout(0.02)
    threads: list[threading.Thread] = []

    def carry(sock: socket.socket, number: int) -> None:
        with sock:
            sock.settimeout(5)
            try:
                talk(sock, number)
            except OSError:
                return

    def serve() -> None:
        while not over.is_set():
            try:
                sock, _ = server.accept()
            except TimeoutError:
                continue
            threads.append(threading.Thread(target=carry, args=(sock, len(threads) + 1), daemon=True))
            threads[-1].start()

    waiting = threading.Thread(target=serve, daemon=True)
    waiting.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
    finally:
        over.set()
        waiting.join()
        server.close()


def head_of(sock: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got and (piece := sock.recv(4096)):
        got += piece
    return got


def at(url: str) -> str:
    return f'[provider.mine]\nurl = "{url}"\nmodels = ["scripted-1"]\nkeys = ["env:KEY_A"]\n'


def test_a_connection_is_not_used_again_while_a_request_still_leaves_on_it(gateway: Any) -> None:
    over = threading.Event()

    def early(sock: socket.socket, number: int) -> None:
        head_of(sock)
        sock.sendall(answer(b"%d" % number))
        over.wait(5)

    with speaking(early) as url:
        plane = gateway(config=at(url))
        long = CHAT[:-2] + b'{"role":"user","content":"' + b"a" * 8_000_000 + b'"}]}'
        assert b'"1"' in plane.post("chat/completions", long)[2]
        assert b'"2"' in plane.post("chat/completions", CHAT)[2], "it waited behind the rest of the long one"
        over.set()


def narrow(plane: Any) -> socket.socket:
    """A client's connection on which neither side's system holds much that was not read."""
    before = {*plane.plane.clients}
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", plane.port))
    sock.settimeout(0.3)
    while not (new := {*plane.plane.clients} - before):
        time.sleep(0.002)
    new.pop()._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return sock


def test_a_client_that_asks_on_and_on_and_reads_nothing_is_not_answered_on_and_on(
    gateway: Any, provider: ScriptedProvider
) -> None:
    plane = gateway(provider, bounds=Bounds(look_every=0.02, high_water=16 * 1024))
    asked = request("/health/live", b"", method="GET", content_type="", content_length="") * 200
    with narrow(plane) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        sent = 0
        with suppress(TimeoutError):
            while sent < 2000:
                sock.sendall(asked)
                sent += 1
        assert sent < 2000, "it was read on and on"
        (client,) = plane.plane.clients
        assert client._transport.get_write_buffer_size() < 32 * 1024
        got = b""
        with suppress(TimeoutError):
            while piece := sock.recv(65536):
                got += piece
    assert got.count(b"HTTP/1.1 200 OK") == got.count(b"HTTP/1.1 ") > 1000, (
        "what was asked is answered once it is read"
    )


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_who_reads_nothing_of_an_answer_is_given_up_and_who_reads_slowly_is_not(
    gateway: Any, connection: str
) -> None:
    long = answer(b"x" * 900_000)

    def talk(sock: socket.socket, _: int) -> None:
        while head_of(sock):
            sock.sendall(long)

    with speaking(talk) as url:
        plane = gateway(config=at(url), bounds=Bounds(look_every=0.02, idle=0.3, high_water=16 * 1024))
        with narrow(plane) as slow, narrow(plane) as never:
            for sock in (slow, never):
                sock.sendall(request("chat/completions", CHAT, connection=connection))
            got, began = 0, time.monotonic()
            while time.monotonic() - began < 1.0:
                got += len(slow.recv(2000))
                time.sleep(0.01)
            assert len(plane.plane.clients) == 1, "the one that reads"
            while b'"}' not in (piece := slow.recv(65536)) and piece:
                got += len(piece)
            assert got + len(piece) > 900_000


def test_what_anybody_may_make_up_is_not_kept(gateway: Any, provider: ScriptedProvider) -> None:
    plane = gateway(provider)
    for number in range(3):
        plane.raw(request(f"/s/x/{'y' * 2000}{number}", b"", connection="close"))
        plane.raw(
            request("/health/live", b"", method="GET", host=f"{'y' * 2000}{number}", connection="close")
        )
        plane.raw(
            request(
                "/health/live", b"", method="GET", origin=f"http://{'y' * 2000}{number}", connection="close"
            )
        )
        Chunks().feed(b"1;%d%b\r\n" % (number, b"y" * 900))
    inside = plane.plane.admission
    assert all(
        len(entry) < 700
        for kept in (inside.routes, inside._known_hosts, inside._known_origins, _SIZES)
        for entry in kept
    )


def test_a_body_in_tiny_chunks_costs_no_object_for_each_of_them() -> None:
    body = RequestBody()
    body.begin(0, chunked=True, most=4000)
    assert body.take(b"2\r\nab\r\n" * 1000) is None
    assert body._pieces == [b"ab" * 1000]


def test_it_may_hold_as_many_connections_as_the_system_permits() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1000, hard), hard))
    try:
        allow_many()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (
            64 * 1024 if hard == resource.RLIM_INFINITY else min(hard, 64 * 1024),
            hard,
        )
        assert open_files() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "model", ["mine/" + "m" * 600, "m" * 300_000 + "/m", "mine/a\r\nx: y", "mine/ a", "a\nb"], ids=range(5)
)
def test_what_can_be_no_models_name_is_no_broken_configuration(
    gateway: Any, provider: ScriptedProvider, model: str
) -> None:
    plane = gateway(provider)
    for _ in range(2):
        status, headers, body = plane.post(
            "chat/completions", json.dumps({"model": model, "messages": []}).encode()
        )
        assert (status, headers["x-should-retry"], json.loads(body)["error"]["code"]) == (
            404,
            "false",
            "model_not_found",
        )
        assert len(body) < 1000
        plane.post("chat/completions", CHAT)


@pytest.mark.parametrize(
    "path",
    ["/v1/chat/completions", "/chat/completions/", "/v1//chat/completions", "/s/x//chat/completions//"],
)
def test_a_provider_is_asked_for_the_routes_own_path(gateway: Any, path: str) -> None:
    asked: list[bytes] = []

    def talk(sock: socket.socket, _: int) -> None:
        asked.append(head_of(sock))
        sock.sendall(answer())

    with speaking(talk) as url:
        plane = gateway(config=at(url))
        assert plane.post(path, CHAT)[0] == plane.post(f"{path}?beta=true", CHAT)[0] == 200
    assert [head.split(b" ")[1] for head in asked] == [
        b"/v1/chat/completions",
        b"/v1/chat/completions?beta=true",
    ]


def test_a_body_that_is_announced_costs_nothing_before_it_comes() -> None:
    body = RequestBody()
    body.begin(4_000_000, chunked=False, most=4_000_000)
    tracemalloc.start()
    body.take(b"{")
    body.take(b" ")
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 100_000
