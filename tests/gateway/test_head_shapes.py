"""A head of an answer that is recognised says what it says when it is read; whatever differs is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.gateway.header_rules import ANSWER_NAMES, forwarded
from holdfast.gateway.http1.framing import MalformedMessage
from holdfast.gateway.http1.head_shape import HeadShape, shape_of
from holdfast.gateway.http1.response_head import HeadReader, ResponseHead
from tables import rows

WANTED = ("x-ratelimit-remaining-requests",)
NAMES = frozenset(name.encode() for name in WANTED)
HEAD = (
    b"HTTP/1.1 200 OK\r\nDate: Thu, 20 Nov 2025 12:00:00 GMT\r\nServer: stub\r\nx-request-id: req_0123\r\n"
    b"x-ratelimit-remaining-requests: 9999\r\nSet-Cookie: a=b\r\nContent-Type: application/json\r\n"
    b"Content-Length: 12\r\nConnection: keep-alive\r\nopenai-processing-ms: 5\r\n\r\n"
)
BODY = b'{"a": "b c"}'


def shape(head: bytes = HEAD) -> HeadShape | None:
    return shape_of(ResponseHead(head[:-4], ANSWER_NAMES), ANSWER_NAMES, NAMES)


def as_read(data: bytes) -> tuple[bytes, int, int] | None:
    """What a head says that is read: its lines that pass, the length of the body, and where that begins;
    None for one that is not plain."""
    try:
        read = HeadReader(ANSWER_NAMES).read(data)
    except MalformedMessage:
        return None
    if read is None or read[0].status != 200 or read[0].coding or not read[0].keep:
        return None
    head, rest = read
    if head.length is None or b"application/json" not in head.type:
        return None
    lines = [*head.kept, *forwarded(head.optional, WANTED)]
    return b"".join(b"\r\n" + line for line in lines), head.length, len(data) - len(rest)


@rows(
    "old, new, is_recognised",
    (
        (b"", b"", True),
        (b"req_0123", b"another one", True),
        (b"req_0123", b"", True),
        (b"9999", b"0", True),
        (b"12:00:00", b"12:00:01", True),
        (b": 12\r", b": 0000012\r", True),
        (b"a=b", b"c", True),
        (b"200 OK", b"200 Fine", False),
        (b"200", b"201", False),
        (b"1.1", b"1.0", False),
        (b"x-request-id", b"X-Request-Id", False),
        (b"application/json", b"text/html", False),
        (b"application/json", b"application/json; charset=utf-8", False),
        (b"Server: stub\r\n", b"", False),
        (b"Server: stub\r\n", b"Server: stub\r\nx-more: 1\r\n", False),
        (b"keep-alive", b"close", False),
        (b": 12\r", b": +12\r", False),
        (b": 12\r", b": 1234567890123456\r", False),
        (b": 12\r", b":12\r", False),
        (b"req_0123", b"a\x00b", False),
        (b"req_0123", b"a\nb", False),
        (b"req_0123", b"a\rb", False),
        (b"req_0123", b"a\r\ncontent-encoding: gzip", False),
        (b"\r\n\r\n", b"\r\n", False),
    ),
)
def test_a_head_is_recognised_with_other_values_only(old: bytes, new: bytes, is_recognised: bool) -> None:
    data = HEAD.replace(old, new, 1) + BODY
    known = shape()
    assert known is not None
    match = known.match(data)
    assert (match is not None) is is_recognised
    assert match is None or match == as_read(data)


@pytest.mark.parametrize(
    "line",
    [
        b"Transfer-Encoding: chunked",
        b"Content-Encoding: gzip",
        b"Content-Encoding: identity",
        b"Content-Length: 12",
        b"Connection: close",
    ],
)
def test_a_head_that_is_not_plain_has_no_shape(line: bytes) -> None:
    head = HEAD.replace(b"\r\nServer", b"\r\n" + line + b"\r\nServer", 1)
    if line.startswith(b"Transfer"):
        head = head.replace(b"Content-Length: 12\r\n", b"")
    assert shape(head) is None


@given(st.data())
def test_a_head_that_is_recognised_says_what_it_says_when_it_is_read(data: st.DataObject) -> None:
    text, known = bytearray(HEAD + BODY), shape()
    assert known is not None
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(HEAD)))
        piece = data.draw(
            st.sampled_from([b"", b"\r\n", b"\n", b"\r", b":", b" ", b"0", b"a", b"\x80", b"\x7f"])
        )
        text[at : at + data.draw(st.integers(0, 3))] = piece
    match = known.match(bytes(text))
    assert match is None or match == as_read(bytes(text))


def test_values_that_look_like_line_ends_are_values() -> None:
    head = HEAD.replace(b"application/json", b"application/json; a=\\r\\n()")
    known = shape(head)
    assert known is not None
    assert known.match(head + BODY) == as_read(head + BODY)
