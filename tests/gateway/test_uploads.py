"""A file passes through as it comes: neither side waits for all of it, and none of it is held for long."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import openai
import pytest

from holdfast.gateway.limits import Bounds
from holdfast.testing import ScriptedProvider, status
from tables import rows

from .conftest import BOUND, Running, StartGateway, parse, read_all  # type: ignore[import-not-found]
from .conftest import request as asked_for
from .raw_provider import chunk, sized  # type: ignore[import-not-found]

MIB = 1024**2
FORM = "multipart/form-data; boundary=b"
MADE = {"id": "file-1", "object": "file", "bytes": 3, "created_at": 1, "filename": "f", "purpose": "batch"}
BOUNDS = Bounds(look_every=0.02, held_bytes=64 * 1024, upload_bytes=64 * MIB, body=0.3, linger=0.3)


class Listener:
    """A provider that reads when it is told to."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}/v1"
        self.server.settimeout(5)

    def accept(self) -> socket.socket:
        sock, _ = self.server.accept()
        sock.settimeout(5)
        return sock


@pytest.fixture
def listener() -> Iterator[Listener]:
    held = Listener()
    yield held
    held.server.close()


@pytest.fixture
def plane(gateway: StartGateway, listener: Listener, request: pytest.FixtureRequest) -> Running:
    bounds = BOUNDS
    if request.node.name.endswith("[sends too much]"):
        bounds = replace(BOUNDS, upload_bytes=MIB)
    config = f'[provider.mine]\nurl = "{listener.url}"\nmodels = ["m"]\nkeys = ["env:KEY_A", "env:KEY_B"]\n'
    plane = gateway(config=config, bounds=bounds)
    plane.holdfast.session("desk", "mine/m")
    return plane


def head(length: int | None, path: str = "/s/desk/v1/files", **more: str) -> bytes:
    framing = {"transfer_encoding": "chunked", "content_length": ""}
    if length is not None:
        framing = {"content_length": str(length)}
    return asked_for(path, b"", content_type=FORM, **framing, **more)


def read_head(sock: socket.socket) -> tuple[bytes, bytes]:
    """Return the head of a request, and the part of its body that came with it."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += sock.recv(65536)
    before, _, after = got.partition(b"\r\n\r\n")
    return before, after


def read_exactly(sock: socket.socket, got: bytes, length: int) -> bytes:
    while len(got) < length:
        piece = sock.recv(MIB)
        assert piece, "it ended early"
        got += piece
    return got


def fill(sock: socket.socket, piece: bytes, most: int) -> int:
    """Send until the other side takes no more for a while. Return how many bytes it took."""
    sent = 0
    sock.setblocking(False)
    while sent < most and select.select([], [sock], [], 0.5)[1]:
        sent += sock.send(piece)
    sock.setblocking(True)
    sock.settimeout(5)
    return sent


@rows("by_chunks", [False, True])
def test_the_provider_gets_the_first_bytes_before_the_last_ones_are_sent(
    by_chunks: bool, plane: Running, listener: Listener
) -> None:
    body = bytes(range(256)) * 4096
    pieces = [body[:100], body[100:600_000], body[600_000:]]
    framed = [chunk(piece) for piece in pieces] if by_chunks else pieces
    with plane.connect() as client:
        client.sendall(head(None if by_chunks else len(body)) + framed[0])
        with listener.accept() as provider:
            start, got = read_head(provider)
            assert start.startswith(b"POST /v1/files HTTP/1.1\r\n")
            assert b"authorization: Bearer sk-aaaa" in start
            assert (b"transfer-encoding: chunked" in start) is by_chunks
            assert (b"content-length: %d" % len(body) in start) is not by_chunks
            got = read_exactly(provider, got, len(framed[0]))
            assert got == framed[0]
            client.sendall(framed[1])
            client.sendall(framed[2] + b"0\r\n\r\n" * by_chunks)
            if not by_chunks:
                assert read_exactly(provider, got, len(body)) == body
            else:
                while not got.endswith(b"\r\n0\r\n\r\n"):
                    got += provider.recv(MIB)
                assert unchunked(got) == body
            provider.sendall(sized(json.dumps(MADE).encode()))
            code, headers, answer = parse(read_all(client))
    assert (code, json.loads(answer)["id"], headers["connection"]) == (200, "file-1", "close")
    assert plane.holdfast.engine.objects.maker("file-1") is not None


def unchunked(data: bytes) -> bytes:
    out = b""
    while data:
        line, _, data = data.partition(b"\r\n")
        out, data = out + data[: int(line, 16)], data[int(line, 16) + 2 :]
    return out


def test_a_provider_that_reads_slowly_slows_down_its_client_and_nothing_is_held(
    plane: Running, listener: Listener
) -> None:
    piece, total = b"x" * MIB, 40 * MIB
    with plane.connect() as client:
        client.sendall(head(total))
        sent = client.send(piece)
        with listener.accept() as provider:
            provider.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            sent += fill(client, piece, total - sent)
            assert sent < 30 * MIB, "sockets hold a few MB, and nobody else any"
            time.sleep(2 * BOUNDS.body)  # while the provider is slow, the client has time
            start, got = read_head(provider)
            assert start
            count = len(got)
            while count < total:
                if sent < total and select.select([], [client], [], 0)[1]:
                    client.setblocking(False)
                    sent += client.send(piece[: min(MIB, total - sent)])
                if select.select([provider], [], [], 0.01)[0]:
                    count += len(provider.recv(MIB))
            provider.sendall(sized(json.dumps(MADE).encode()))
            client.settimeout(5)
            assert parse(read_all(client))[0] == 200


def test_an_answer_that_comes_before_the_end_is_passed_on_and_the_rest_is_not_wanted(
    plane: Running, listener: Listener
) -> None:
    refusal = b'{"error": {"message": "too large", "type": "invalid_request_error"}}'
    with plane.connect() as client:
        client.sendall(head(8 * MIB) + b"x" * 200_000)
        with listener.accept() as provider:
            read_head(provider)
            answer = sized(refusal).replace(b"200 OK", b"413 Too Large")
            provider.sendall(answer)
            code, headers, body = parse(read_all(client))
            assert (code, body, headers["connection"]) == (413, refusal, "close")
            with contextlib.suppress(ConnectionResetError):
                assert len(b"".join(iter(partial(provider.recv, MIB), b""))) < 8 * MIB, "it is not kept"
        assert plane.plane.busy == 0


@pytest.mark.parametrize("ends", ["leaves", "drips", "breaks its framing", "sends too much"])
def test_an_upload_that_breaks_off_reaches_its_provider_as_broken(
    ends: str, plane: Running, listener: Listener
) -> None:
    with plane.connect() as client:
        client.sendall(head(None) + chunk(b"x" * 100_000))
        with listener.accept() as provider:
            read_head(provider)
            if ends == "leaves":
                client.close()
            elif ends == "breaks its framing":
                client.sendall(b"zz\r\n")
            elif ends == "sends too much":
                client.sendall(chunk(b"x" * MIB))
            got = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := provider.recv(4 * MIB):
                    got += piece
            assert not got.endswith(b"0\r\n\r\n")
            if ends != "leaves":
                expected = {"drips": 408, "breaks its framing": 400, "sends too much": 413}[ends]
                assert parse(read_all(client))[0] == expected
    assert plane.done[-1].outcome is None or plane.done[-1].client_left


def test_what_is_too_large_or_comes_with_a_limited_token_is_refused_before_anything_is_sent(
    plane: Running, listener: Listener
) -> None:
    plane.holdfast.session("theirs", "mine/m")
    limited = head(2 * MIB, "/v1/files", authorization=f"Bearer {BOUND}")
    for asked, expected in ((head(65 * MIB), 413), (limited, 415)):
        with plane.connect() as client:
            client.sendall(asked + b"x" * 1000)
            assert parse(read_all(client))[0] == expected
    assert not select.select([listener.server], [], [], 0.1)[0]


def test_an_upload_is_sent_once_and_what_names_a_model_is_held_so_that_it_can_be_sent_again(
    gateway: StartGateway, provider: ScriptedProvider
) -> None:
    plane = gateway(provider, bounds=BOUNDS)
    plane.holdfast.session("desk", "mine/scripted-1")
    provider.follow(status(401, {"error": {"message": "no", "code": "invalid_api_key"}}))
    http = openai.DefaultHttpxClient(trust_env=False)
    with openai.OpenAI(base_url=f"{plane.root}/s/desk/v1", api_key=plane.token, http_client=http) as client:
        large = b"x" * BOUNDS.held_bytes * 2
        asks: list[tuple[Callable[[], Any], int]] = [
            (lambda: client.files.create(file=("f", large), purpose="batch"), 1),
            (lambda: client.audio.transcriptions.create(file=("a.wav", large), model="hears-1"), 2),
        ]
        for ask, sends in asks:
            provider.requests.clear()
            with pytest.raises(openai.AuthenticationError):
                ask()
            assert len(provider.requests) == sends
        provider.follow(status(200, {**MADE, "status": "processed"}))
        content = bytes(range(256)) * 20_000
        client.files.create(file=("in.jsonl", content), purpose="batch")
        assert content in provider.requests[-1].body
        client.files.list()
