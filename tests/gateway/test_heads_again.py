"""A head that a connection sent before is recognised by its bytes; the answer is the same as on a connection
of its own."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from holdfast.gateway.header_rules import REQUEST_NAMES
from holdfast.gateway.http1.request_head import Head, cacheable
from holdfast.gateway.limits import Bounds
from holdfast.store.token import Token
from holdfast.testing import ScriptedProvider, ok

from .conftest import TOKEN, is_silent, read_all, request  # type: ignore[import-not-found]

BODY = b'{"model":"mine/scripted-1","messages":[]}'
LONGER = b'{"model":"mine/scripted-1","messages":[],"stream":false}'
FIRST = request("chat/completions", BODY)
OTHERS = {
    "the same": FIRST,
    "another length": request("chat/completions", LONGER),
    "no body": request("chat/completions", b""),
    "a length with a sign": FIRST.replace(b"content-length: ", b"content-length: +"),
    "a length with zeros": FIRST.replace(b"content-length: ", b"content-length: 000"),
    "a length in hexadecimal": FIRST.replace(b"content-length: ", b"content-length: 0x"),
    "a length too long to be one": FIRST.replace(b"content-length: ", b"content-length: " + b"0" * 15),
    "two lengths": FIRST.replace(b"\r\n\r\n", b"\r\ncontent-length: 3\r\n\r\n", 1),
    "a length and chunks": FIRST.replace(b"\r\n\r\n", b"\r\ntransfer-encoding: chunked\r\n\r\n", 1),
    "a length that ends the line otherwise": FIRST.replace(
        b"content-length: %d\r\n" % len(BODY), b"content-length: %d\n" % len(BODY)
    ),
    "a body that is too large": FIRST.replace(b"content-length: %d" % len(BODY), b"content-length: 4096"),
    "another session": request("chat/completions", BODY, holdfast_session="theirs"),
    "a session that cannot be": request("chat/completions", BODY, holdfast_session="no/session"),
    "another route": request("embeddings", BODY),
    "no route": request("/nowhere", BODY),
    "no token": request("chat/completions", BODY, authorization=""),
    "another host": request("chat/completions", BODY, host="rebound.example"),
    "another model": request("chat/completions", b'{"model":"mine/nobody-knows","messages":[]}'),
}


def _comparable(answer: bytes) -> tuple[bytes, list[bytes], bytes]:
    """What says the same each time: the status, which headers there are and who answered, the body but for
    what names the request."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    same = [
        line
        for line in lines
        if not line.lower().startswith(
            (b"date:", b"holdfast-request-id:", b"x-request-id:", b"content-length:")
        )
    ]
    return status, sorted(same), body.partition(b'"choices"')[2]


@pytest.mark.parametrize("then", OTHERS.values(), ids=OTHERS)
def test_a_second_request_is_answered_as_if_it_were_the_first(
    gateway: Any, provider: ScriptedProvider, then: bytes
) -> None:
    provider.follow(lambda seen: ok())
    plane = gateway(provider, bounds=Bounds(look_every=0.02, head=0.3, body_bytes=1_000, body=0.1))
    plane.raw(FIRST, quiet=0.1)
    alone = plane.raw(then, quiet=0.15)
    with plane.connect() as sock:
        for _ in range(5):  # the last ones are sent without being read
            sock.sendall(FIRST)
            first = _one(sock)
            assert first.startswith(b"HTTP/1.1 200 ")
        sock.sendall(then)
        assert _comparable(read_all(sock, 0.15)) == _comparable(alone)


@pytest.mark.parametrize("cut", [1, 40, len(FIRST) - len(BODY) - 2, len(FIRST) - 1])
def test_a_head_that_comes_in_two_parts_is_read_as_well(
    gateway: Any, provider: ScriptedProvider, cut: int
) -> None:
    provider.follow(lambda seen: ok())
    plane = gateway(provider)
    with plane.connect() as sock:
        for _ in range(5):
            sock.sendall(FIRST[:cut])
            assert is_silent(sock, 0.05)
            sock.sendall(FIRST[cut:])
            assert _one(sock).startswith(b"HTTP/1.1 200 ")


def test_a_token_that_is_revoked_or_bound_meanwhile_holds_at_once(
    gateway: Any, provider: ScriptedProvider
) -> None:
    provider.follow(lambda seen: ok())
    plane = gateway(provider)
    with plane.connect() as sock:
        for _ in range(5):
            sock.sendall(FIRST)
            assert b"holdfast-session: token-test\r\n" in _one(sock)
        plane.holdfast.session("theirs", "mine/scripted-1")
        plane.books.tokens[TOKEN.encode()] = Token("1", "", "test", session="theirs")
        sock.sendall(FIRST)
        assert b"holdfast-session: theirs\r\n" in _one(sock)
        del plane.books.tokens[TOKEN.encode()]
        sock.sendall(FIRST)
        assert _one(sock).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    "more",
    [
        b"expect: 100-continue",
        b"content-Length: 5",
        b"content-length:5",
        b"content-length: 5 ",
        b"transfer-encoding: chunked",
        b"x-api-key: good",
        b"accept: a",
    ],
)
def test_a_head_is_known_again_only_where_that_is_certain(more: bytes) -> None:
    block = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer bad\r\n" + more
    head = Head(block, 16, 64, REQUEST_NAMES)
    head.credential = b"good"
    assert cacheable(head) is None


def _one(sock: socket.socket) -> bytes:
    """One answer with a length."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += sock.recv(65536)
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.mark.parametrize("size", [262_143, 262_144, 400_000, 4 * 1024**2 - 1, 4 * 1024**2 + 300_000])
def test_a_long_body_arrives_as_it_was_sent_also_twice_in_a_row(
    gateway: Any, provider: ScriptedProvider, size: int
) -> None:
    provider.follow(lambda seen: ok())
    plane = gateway(provider)
    start, end = b'{"messages":[{"content":"', b'"}],"model":"mine/scripted-1"}'
    body = start + (b"0123456789abcde " * (size // 16 + 1))[: size - len(start) - len(end)] + end
    with plane.connect() as sock:
        for _ in range(2):
            sock.sendall(request("chat/completions", body))
            assert _one(sock).startswith(b"HTTP/1.1 200 ")
    assert [request.body for request in provider.requests[-2:]] == [body.replace(b"mine/", b"")] * 2
