"""Whatever two programs could read differently is refused, answered and cut off; the next connection is
served as if nothing had been."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.gateway.http1.ports import ClientConnection
from holdfast.gateway.http1.request_head import Head
from holdfast.gateway.http1.server_connection import ServerConnection
from holdfast.testing import ScriptedProvider

BODY = b'{"model":"mine/scripted-1","messages":[]}'
HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer hf-test-0123456789\r\n"
)
LENGTH = b"content-length: %d\r\n" % len(BODY)
CHUNKED = b"transfer-encoding: chunked\r\n"


def read(port: int, data: bytes) -> bytes:
    """What comes back until the gateway closes; a gateway that does not close fails the test."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(data)
        got = b""
        while piece := sock.recv(65536):
            got += piece
        return got


TABLE = {
    "two lengths": (400, HEAD + LENGTH + LENGTH + b"\r\n" + BODY),
    "two lengths that differ": (400, HEAD + LENGTH + b"Content-Length: 0\r\n\r\n" + BODY),
    "a length and chunks": (400, HEAD + LENGTH + CHUNKED + b"\r\n0\r\n\r\n"),
    "chunks and a length": (400, HEAD + CHUNKED + LENGTH + b"\r\n0\r\n\r\n"),
    "chunks twice": (400, HEAD + CHUNKED + CHUNKED + b"\r\n0\r\n\r\n"),
    "another coding": (501, HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "a coding that is almost one": (400, HEAD + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "a coding with a vertical tab": (400, HEAD + b"transfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n"),
    "a length with a sign": (400, HEAD + b"content-length: +5\r\n\r\nabcde"),
    "a length in hex": (400, HEAD + b"content-length: 0x5\r\n\r\nabcde"),
    "a list of lengths": (400, HEAD + b"content-length: 5, 5\r\n\r\nabcde"),
    "a length without end": (400, HEAD + b"content-length: 99999999999999999999\r\n\r\n"),
    "no length at all in it": (400, HEAD + b"content-length:\r\n\r\n"),
    "a folded header": (400, HEAD + b"x-a: 1\r\n b\r\n\r\n"),
    "a folded first header": (400, b"POST /v1/chat/completions HTTP/1.1\r\n host: localhost\r\n\r\n"),
    "white space before a colon": (400, HEAD + b"content-length : 5\r\n\r\nabcde"),
    "a bare LF": (400, HEAD + b"x-a: 1\ncontent-length: 5\r\n\r\nabcde"),
    "a bare CR": (400, HEAD + b"x-a: 1\rcontent-length: 5\r\n\r\nabcde"),
    "a NUL in a value": (400, HEAD + b"x-a: 1\x002\r\n\r\n"),
    "a NUL in a name": (400, HEAD + b"x\x00a: 1\r\n\r\n"),
    "a header without a colon": (400, HEAD + b"nothing\r\n\r\n"),
    "a header without a name": (400, HEAD + b": 1\r\n\r\n"),
    "a name with a space": (400, HEAD + b"x a: 1\r\n\r\n"),
    "two hosts": (400, HEAD + b"host: localhost\r\n\r\n"),
    "no host": (400, b"POST /v1/models HTTP/1.1\r\n\r\n"),
    "two credentials of a kind": (400, HEAD + b"authorization: Bearer x\r\n\r\n"),
    "HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /\r\n\r\n"),
    "a version that is none": (400, b"GET / HTTP/1.10\r\nhost: localhost\r\n\r\n"),
    "a method that is none": (400, b"ge t / HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    "two spaces": (400, b"GET  / HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    "another proxy's target": (403, b"GET http://evil.example/ HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    "a tab in the first line": (400, b"GET\t/ HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    "a tab in the query": (400, HEAD.replace(b" HTTP", b"?a\tb HTTP") + LENGTH + b"\r\n" + BODY),
    "a path that is not ASCII": (400, b"GET /\xc3\xa4 HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "a chunk size that is none": (400, HEAD + CHUNKED + b"\r\nzz\r\n"),
    "a chunk size with a sign": (400, HEAD + CHUNKED + b"\r\n+5\r\nabcde\r\n0\r\n\r\n"),
    "a chunk size in C": (400, HEAD + CHUNKED + b"\r\n0x5\r\nabcde\r\n0\r\n\r\n"),
    "a chunk size with an underscore": (400, HEAD + CHUNKED + b"\r\n1_0\r\n"),
    "a chunk size that is negative": (400, HEAD + CHUNKED + b"\r\n-1\r\n"),
    "a chunk size without end": (400, HEAD + CHUNKED + b"\r\n" + b"f" * 17 + b"\r\n"),
    "a chunk that is longer than its size": (400, HEAD + CHUNKED + b"\r\n3\r\nabcde\r\n0\r\n\r\n"),
    "a chunk that ends with a bare LF": (400, HEAD + CHUNKED + b"\r\n5\nabcde\n0\n\n"),
    "a chunk extension with a control character": (
        400,
        HEAD + CHUNKED + b"\r\n5;a=\x01\r\nabcde\r\n0\r\n\r\n",
    ),
    "a trailer that is none": (400, HEAD + CHUNKED + b"\r\n0\r\nnothing\r\n\r\n"),
    "trailers without end": (400, HEAD + CHUNKED + b"\r\n0\r\n" + b"x: y\r\n" * 3000),
    "chunks in HTTP/1.0": (400, HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + CHUNKED + b"\r\n0\r\n\r\n"),
    "a head without end": (431, HEAD + b"x-a: " + b"a" * 70_000),
    "too many headers": (431, HEAD + b"x-a: 1\r\n" * 200 + b"\r\n"),
    "a path without end": (414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    "a body too large": (413, HEAD + b"content-length: 99999999999\r\n\r\n"),
    "an expectation": (417, HEAD + b"expect: miracles\r\n\r\n"),
    "a session that cannot be one": (400, b"GET /s/%00x/v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    "a foreign host": (
        403,
        b"GET /v1/models HTTP/1.1\r\nhost: evil.example\r\nauthorization: Bearer hf-test-0123456789\r\n\r\n",
    ),
    "a foreign origin": (403, HEAD + b"origin: https://evil.example\r\n\r\n"),
    "no token": (401, b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    "a wrong token": (401, b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-api-key: hf-wrong\r\n\r\n"),
    "another method": (405, HEAD.replace(b"POST", b"DELETE") + b"\r\n"),
}


@pytest.fixture
def plane(gateway: Any, provider: ScriptedProvider) -> Any:
    return gateway(provider)


def test_what_is_malformed_is_answered_cut_off_and_forgotten(plane: Any, provider: ScriptedProvider) -> None:
    for name, (status, data) in TABLE.items():
        got = read(plane.port, data)
        assert got.startswith(b"HTTP/1.1 %d " % status), (name, got[:200])
        assert got.count(b"HTTP/1.1 %d " % status) == 1, name
        assert b"\r\nconnection: close\r\n" in got, name
        assert b"Traceback" not in got, name
        good = read(plane.port, HEAD + LENGTH + b"connection: close\r\n\r\n" + BODY)
        assert good.startswith(b"HTTP/1.1 200 "), name
    assert len(provider.calls) == len(TABLE)
    assert not plane.plane.clients


def test_a_valid_request_is_the_same_however_its_bytes_were_cut(
    plane: Any, provider: ScriptedProvider
) -> None:
    chunked = (
        HEAD
        + CHUNKED
        + b"connection: close\r\n\r\n"
        + b"5;x=y\r\n"
        + BODY[:5]
        + b"\r\n%x\r\n" % (len(BODY) - 5)
        + BODY[5:]
        + b"\r\n0\r\nx: y\r\n\r\n"
    )
    for data in (HEAD + LENGTH + b"connection: close\r\n\r\n" + BODY, chunked):
        for at in range(1, len(data)):
            with socket.create_connection(("127.0.0.1", plane.port), timeout=5) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.sendall(data[:at])
                sock.sendall(data[at:])
                assert sock.recv(65536).startswith(b"HTTP/1.1 200 "), at
    assert {seen.body for seen in provider.calls} == {BODY.replace(b"mine/", b"")}


class Wire:
    """A transport that only counts."""

    def __init__(self) -> None:
        self.out, self.closing = b"", False

    def __getattr__(self, name: str) -> Any:
        return lambda *args: None

    def write(self, data: bytes) -> None:
        self.out += data

    def writelines(self, parts: Any) -> None:
        self.out += b"".join(parts)

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self.closing = True

    abort = close


class AtOnce:
    """A gateway's handler, but for that it ends every request as soon as it is complete."""

    def __init__(self, handler: Any) -> None:
        self.admit, self.still_admits, self.answer_to = handler.admit, handler.still_admits, handler.answer_to
        self.repeats = handler.repeats

    def handle(self, connection: ClientConnection, head: Head, admission: Any, body: bytes) -> None:
        connection.finished()


class Reader(ServerConnection):
    """A client's side whose requests are answered as soon as they are complete."""

    def __init__(self, server: Any) -> None:
        super().__init__(server)
        self._handler = AtOnce(server.handler)


PIECES = st.sampled_from([
    HEAD, LENGTH, CHUNKED, b"\r\n", b"\n", b"\r", BODY, b"0\r\n\r\n", b"5\r\nabcde\r\n",
    b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n", b":", b"\x00",
    b"connection: close\r\n", b"expect: 100-continue\r\n", b"POST /s/x/v1/messages HTTP/1.1\r\n",
    b"host: localhost\r\n",
])  # fmt: skip


@settings(
    max_examples=3 * settings.default.max_examples,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(PIECES | st.binary(max_size=20), max_size=12), st.integers(1, 60))
def test_no_bytes_in_whatever_pieces_make_the_reader_fail_or_hang(
    plane: Any, parts: list[bytes], step: int
) -> None:
    async def feed() -> tuple[bytes, bool, bool]:
        client, wire, data = Reader(plane.plane), Wire(), b"".join(parts)
        client.connection_made(wire)  # type: ignore[arg-type]
        for at in range(0, len(data), step):
            client.data_received(data[at : at + step])
        plane.plane.clients.discard(client)
        return wire.out, client._keep, bool(client._held) or client._state in (0, 1)

    out, keep, waiting = plane.call(feed())
    assert b"HTTP/1.1 500" not in out
    assert keep or out.count(b"connection: close") <= 1
    assert waiting or not keep
