"""Our two parsers of HTTP/1.1 against h11: whatever bytes come, in whatever pieces, we read what h11 reads,
or refuse where a table says why we are stricter."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple

import h11
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from gateway.test_malformed import Wire
from holdfast.gateway.header_rules import ANSWER_NAMES, REQUEST_NAMES
from holdfast.gateway.http1.framing import MalformedMessage
from holdfast.gateway.http1.limits import HttpLimits
from holdfast.gateway.http1.ports import LocalAnswer
from holdfast.gateway.http1.server_connection import ServerConnection
from holdfast.gateway.http1.turns import Turns
from holdfast.gateway.http1.unauthenticated import Unauthenticated
from holdfast.gateway.http1.upstream_connection import UpstreamConnection

SECONDS = float(os.environ.get("H11_SECONDS", "0"))
"""How long to look for new examples beyond hypothesis's own, in each direction: `make nightly` sets it."""

STRICTER = {
    "the body's end is marked in two ways": "h11 lets chunks win over a length; a proxy may do the opposite",
    "is no request of HTTP/1.1 with a path": "h11 reads any target, neither path nor absolute",
    "characters that have to be percent-encoded": "no fragment is sent, and \\ may be read as /",
    "that does not end with CRLF": "h11 takes a lone LF for a line's end; some programs take a lone CR",
    "the head contains a control character": "the same check: only tabs are left of them",
    "continues the one before": "h11 still joins folded lines (RFC 9112 5.2 lets a server refuse them)",
    "occurs twice": "two credentials, origins, sessions or expectations: each program takes another one",
    "the Expect header is unknown": "417, as RFC 9110 10.1.1 allows",
    "the Host header holds no host": "h11 compares no grammar of hosts (RFC 9112 3.2 demands 400)",
    "needs a Host header": "an empty Host names nobody (RFC 9110 4.2.1)",
    "its extension is malformed": "h11 takes any bytes behind the semicolon",
    "a line between chunks": "h11 takes longer lines, and a lone LF within them",
    "the trailers after the last chunk": "bounded, and read by the same rules as a head",
    "has two lengths": "h11 takes a list of equal lengths for one",
    "the content-length is no number": "h11 takes a list of equal lengths for one",
    "marks its end in two ways": "an answer whose end can be found in two ways may be split",
    "unknown transfer coding": "named twice, by two lines",
    "no status of HTTP/1.1": "h11 takes any three digits and no space behind them",
    "interim heads": "more than ten of them: h11 counts none",
    "changed the protocol": "nobody asked for another protocol",
    "mixes two kinds of line ends": "a head whose end can be found in two ways",
    "its version is": "h11 refuses it later",
    "a chunk is longer than its size": "h11 takes any two bytes for the end of a chunk until 0.16",
}
"""What we refuse and h11 reads, by a part of our reason."""


UNFINISHED = (
    "",
    "Server disconnected without sending a response.",
    "peer closed connection without sending complete message body",
)
_LONE_LF = re.compile(rb"(?<!\r)\n")


class Message(NamedTuple):
    """A message as a parser read it. `first`: method and target, or the status."""

    first: tuple[bytes, ...]
    body: bytes


class Reading(NamedTuple):
    """What a parser made of a stream: its messages, and why it stopped, "" while it would read on."""

    messages: list[Message]
    refused: str


class Loop:
    """A loop without time that does what it is told when it is asked."""

    def __init__(self) -> None:
        self.later: list[Callable[[], object]] = []

    def time(self) -> float:
        return 0.0

    def call_soon(self, call: Callable[..., object], *arguments: object) -> None:
        self.later.append(lambda: call(*arguments))

    def run(self) -> None:
        while self.later:
            self.later.pop(0)()


class Handler:
    """A program that admits every head and answers every request at once."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.refused = ""

    def admit(self, head: Any, *, again: bool = False) -> Any:
        decided = {
            "refusal": None,
            "repeatable": False,
            "authenticated": True,
            "unsure": False,
            "streams": False,
        }
        return SimpleNamespace(body_bytes=1 << 26, **decided)

    def look_at_tokens(self, then: Any) -> None:
        """No head is unsure."""

    def repeats(self, connection: Any, data: bytes) -> bool:
        return False

    def still_admits(self, admission: Any) -> bool:
        return True

    def handle(self, connection: Any, head: Any, admission: Any, body: bytes) -> None:
        target = head.path + (b"?" + head.query if head.query else b"")
        self.messages.append(Message((head.method, target), bytes(body)))
        connection.answer(200, [], b"")
        connection.finished()

    def answer_to(self, error: Exception, admission: Any) -> LocalAnswer:
        assert isinstance(error, MalformedMessage), error
        self.refused = error.what
        return LocalAnswer(error.status, [], b"")


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[start:end] for start, end in pairwise(edges)]


def by_us(data: bytes, cuts: list[int]) -> Reading:
    loop: Any = Loop()
    handler = Handler()
    server: Any = SimpleNamespace(
        handler=handler,
        limits=HttpLimits(),
        header_names=REQUEST_NAMES,
        loop=loop,
        turns=Turns(loop, loop.time),
        draining=False,
        retired=False,
        opened=lambda _: None,
        unauthenticated=Unauthenticated(HttpLimits()),
        closed=lambda _: None,
    )
    connection, wire = ServerConnection(server), Wire()
    connection.connection_made(wire)  # type: ignore[arg-type]
    for piece in pieces_of(data, cuts):
        if not wire.closing:
            connection.data_received(piece)
            loop.run()
    return Reading(handler.messages, handler.refused or ("closed" if wire.closing else ""))


def by_h11(data: bytes) -> Reading:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    messages: list[Message] = []
    connection.receive_data(data)
    first, body = (b"", b""), b""
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            return Reading(messages, str(error))
        if isinstance(event, h11.Request):
            first, body = (event.method, event.target), b""
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            messages.append(Message(first, body))
            connection.send(h11.Response(status_code=404, headers=[("content-length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE:
                return Reading(messages, "closed")
            connection.start_next_cycle()
        else:
            return Reading(messages, "")


def disagreement(data: bytes, ours: Reading, theirs: Reading) -> str:
    """Return how the two readings disagree, "" where they do not, or only by a rule of the table."""
    for mine, other in zip(ours.messages, theirs.messages, strict=False):
        if mine != other and not _same_target(mine, other):
            return f"we read {mine}, h11 {other}"
    if len(ours.messages) > len(theirs.messages):
        return "" if _is_laxer(theirs.refused) else f"only we read {ours.messages[len(theirs.messages)]}"
    stricter = any(reason in ours.refused for reason in STRICTER)
    # A lone LF ends no line of ours: we wait for CRLF, and refuse what has come by then, or the time ends it.
    stricter = stricter or (ours.refused in UNFINISHED and _LONE_LF.search(data) is not None)
    if len(ours.messages) < len(theirs.messages) and not stricter:
        return f"only h11 reads {theirs.messages[len(ours.messages)]}; we say {ours.refused!r}"
    return ""


LAXER = ("illegal request line", "no request line received")
"""What h11 refuses and RFC 9112 2.2 lets a server skip: blank lines before a request."""


def _is_laxer(refused: str) -> bool:
    return any(reason in refused for reason in LAXER)


def _same_target(mine: Message, other: Message) -> bool:
    """Return whether they differ only as an absolute target and its path do, or an empty query."""
    if mine.body != other.body or mine.first[:1] != other.first[:1] or len(mine.first) < 2:
        return False
    path = re.sub(rb"(?i)\Ahttps?://[^/?]*", b"", other.first[1]).removesuffix(b"?")
    if not path.startswith(b"/") and path != b"*":
        path = b"/" + path
    return path.rstrip(b"?") == mine.first[1]


HOSTS = [b"host: localhost\r\n", b"Host: a\r\n", b"host:\r\n", b"host : a\r\n", b""]
FIRST = [
    b"GET / HTTP/1.1\r\n",
    b"POST /v1/x?y HTTP/1.1\r\n",
    b"POST / HTTP/1.0\r\n",
    b"GET http://a/b?c HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"get / HTTP/1.1\r\n",
    b"GET /a#b HTTP/1.1\r\n",
    b"GET  / HTTP/1.1\r\n",
    b"GET / HTTP/1.2\r\n",
    b"GET / HTTP/2.0\r\n",
    b"\r\nGET / HTTP/1.1\r\n",
    b"GET /\n",
    b"HEAD /\xff HTTP/1.1\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n",
    b"GET\t/ HTTP/1.1\r\n",
    b"GET / HTTP/1.1 \r\n",
    b"GET / http/1.1\r\n",
]
LINES = [
    b"content-length: 5\r\n",
    b"content-length: 0\r\n",
    b"content-length: 5, 5\r\n",
    b"content-length: +5\r\n",
    b"content-length: 05\r\n",
    b"content-length:5 \r\n",
    b"content-length: \r\n",
    b"content-length: 6\r\n",
    b"transfer-encoding: chunked\r\n",
    b"Transfer-Encoding:Chunked\r\n",
    b"transfer-encoding: gzip, chunked\r\n",
    b"transfer-encoding: identity\r\n",
    b"transfer-encoding: chunked, chunked\r\n",
    b"transfer-encoding : chunked\r\n",
    b"transfer-encoding:\x0bchunked\r\n",
    b"connection: close\r\n",
    b"connection: keep-alive, x\r\n",
    b"expect: 100-continue\r\n",
    b"expect: x\r\n",
    b"x-a: b\r\n c\r\n",
    b"x-a: b\r\n\tc\r\n",
    b"x\x00: 1\r\n",
    b"x: \x01\r\n",
    b": x\r\n",
    b"x\r\n",
    b"x: y\n",
    b"x: y\rz: 1\r\n",
    b"x:\xff\xe9\r\n",
    b"upgrade: x\r\n",
    b"x-a: \r\n",
    b"authorization: Bearer a\r\n",
]
BODIES = [
    b"abcde",
    b"",
    b"0\r\n\r\n",
    b"5\r\nabcde\r\n0\r\n\r\n",
    b"5;a=b\r\nabcde\r\n0\r\n\r\n",
    b"5;\r\nabcde\r\n0\r\n\r\n",
    b"005\r\nabcde\r\n0\r\nx: y\r\n\r\n",
    b"5\r\nabcde0\r\n\r\n",
    b"5\nabcde\n0\n\n",
    b"+5\r\nabcde\r\n0\r\n\r\n",
    b"0x5\r\nabcde\r\n0\r\n\r\n",
    b"5 \r\nabcde\r\n0\r\n\r\n",
    b"FFFFFFFFFFFFFFFFF\r\n",
    b"5\r\nabcde\r\n",
    b"a\r\nabcdeabcde\r\n0\r\n\r\n",
    b"0\r\ncontent-length: 9\r\n\r\n",
    b"0\r\nbad\r\n\r\n",
    b"-1\r\n\r\n",
    b'5;a="b;c"\r\nabcde\r\n0\r\n\r\n',
    b"5\r\nabcdefg\r\n0\r\n\r\n",
]


def mutated(draw: Any, data: bytes) -> bytes:
    """Return the bytes, now and then with one changed, removed or put in."""
    if not data or draw(st.integers(0, 3)) != 0:
        return data
    at, new = draw(st.integers(0, len(data) - 1)), draw(st.sampled_from(b"\r\n\t \x00:;,ax5\xff\\#"))
    return data[:at] + draw(st.sampled_from([b"", bytes([new]), bytes([new, data[at]])])) + data[at + 1 :]


@st.composite
def client_streams(draw: Any) -> bytes:
    """One to three requests one behind the other, most of them well-formed."""
    stream = b""
    for _ in range(draw(st.integers(1, 3))):
        lines = draw(st.lists(st.sampled_from(LINES), max_size=3))
        first, host = (
            draw(st.sampled_from([*FIRST[:4] * 3, *FIRST])),
            draw(st.sampled_from(HOSTS[:2] * 4 + HOSTS)),
        )
        stream += mutated(draw, first + host + b"".join(lines) + b"\r\n") + draw(st.sampled_from(BODIES))
    return mutated(draw, stream)


CUTS = st.lists(st.integers(1, 300), max_size=6)


def search(kind: Any, check: Callable[[bytes, list[int]], None]) -> None:
    """Try new examples, of new seeds, for as long as a nightly run says."""
    until, number = time.monotonic() + SECONDS, int(time.time()) if SECONDS else 0
    while time.monotonic() < until:
        number += 1
        run = seed(number)(settings(max_examples=500, database=None)(given(kind, CUTS)(check)))
        run()


def check_client(data: bytes, cuts: list[int]) -> None:
    whole = by_us(data, [])
    assert by_us(data, cuts).messages == whole.messages
    assert disagreement(data, whole, by_h11(data)) == "", (data, whole)


@given(client_streams(), CUTS)
@settings(max_examples=3 * settings.default.max_examples)
def test_no_stream_of_a_client_is_read_otherwise_than_h11_reads_it(data: bytes, cuts: list[int]) -> None:
    check_client(data, cuts)


@pytest.mark.timeout(SECONDS + 60)
def test_a_longer_search_finds_no_stream_of_a_client_that_is_read_otherwise() -> None:
    search(client_streams(), check_client)


class Sink:
    """What a provider's answer became."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.status, self.body, self.refused = b"", b"", ""

    def connected(self, link: Any) -> None: ...

    def answered(self, head: Any, pieces: list[bytes], *, ended: bool) -> None:
        self.status = b"%d" % head.status
        self.fed(b"".join(pieces), ended=ended)

    def fed(self, data: bytes, *, ended: bool) -> None:
        self.body += data
        if ended:
            self.messages.append(Message((self.status,), self.body))

    def failed(self, error: Exception) -> None:
        self.refused = str(error)


def answer_by_us(data: bytes, cuts: list[int]) -> Reading:
    loop: Any = Loop()
    pool: Any = SimpleNamespace(
        limits=HttpLimits(),
        names=ANSWER_NAMES,
        loop=loop,
        turns=Turns(loop, loop.time),
        put=lambda _: None,
        forget=lambda _: None,
    )
    connection, wire, sink = UpstreamConnection(pool), Wire(), Sink()
    connection.connection_made(wire)  # type: ignore[arg-type]
    connection.send(sink, SimpleNamespace(write_to=lambda _: None))  # type: ignore[arg-type]
    for piece in pieces_of(data, cuts):
        if not wire.closing:
            connection.data_received(piece)
            pool.loop.run()
    if not sink.messages and not sink.refused:
        connection.connection_lost(None)
    return Reading(sink.messages, sink.refused)


def answer_by_h11(data: bytes) -> Reading:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method="POST", target="/", headers=[("host", "a"), ("content-length", "0")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    status, body = b"", b""
    ended = False
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            return Reading([], str(error))
        if isinstance(event, h11.Response):
            status = b"%d" % event.status_code
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return Reading([Message((status,), body)], "")
        elif event is h11.NEED_DATA and not ended:
            ended = True
            connection.receive_data(b"")
        elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
            return Reading([], "ended")


STATUS = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200\r\n",
    b"HTTP/1.1 200 \r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 404 X\xff\r\n",
    b"HTTP/1.1 204 No\r\n",
    b"HTTP/1.1 304 No\r\n",
    b"HTTP/2 200 OK\r\n",
    b"HTTP/1.1 20 OK\r\n",
    b"HTTP/1.1 999 X\r\n",
    b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 103 X\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 101 X\r\n",
    b"HTTP/1.1  200 OK\r\n",
    b"http/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\n",
    b"\r\nHTTP/1.1 200 OK\r\n",
]


@st.composite
def provider_answers(draw: Any) -> bytes:
    lines = draw(st.lists(st.sampled_from([line for line in LINES if b"expect" not in line]), max_size=3))
    first = draw(st.sampled_from([STATUS[0]] * 6 + STATUS))
    stream = mutated(draw, first + b"".join(lines) + b"\r\n") + draw(st.sampled_from(BODIES))
    return mutated(draw, stream)


def check_answer(data: bytes, cuts: list[int]) -> None:
    whole = answer_by_us(data, [])
    assert answer_by_us(data, cuts).messages == whole.messages
    assert disagreement(data, whole, answer_by_h11(data)) == "", (data, whole)


@given(provider_answers(), CUTS)
@settings(max_examples=3 * settings.default.max_examples)
def test_no_answer_of_a_provider_is_read_otherwise_than_h11_reads_it(data: bytes, cuts: list[int]) -> None:
    check_answer(data, cuts)


@pytest.mark.timeout(SECONDS + 60)
def test_a_longer_search_finds_no_answer_of_a_provider_that_is_read_otherwise() -> None:
    search(provider_answers(), check_answer)


def test_every_stricter_rule_is_one_that_we_have() -> None:
    assert all(len(why) > 15 for why in STRICTER.values())
