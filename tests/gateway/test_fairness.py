"""Nobody who sends without a pause lets the others wait: what long reads cost in one turn of the loop is
bounded, whatever they hold, and no byte is lost, changed or out of order by it."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.raw_provider import chunk, delta, head, sized
from gateway.test_against_h11 import Handler, Loop, Sink
from gateway.test_malformed import Wire
from holdfast.gateway.header_rules import ANSWER_NAMES, REQUEST_NAMES
from holdfast.gateway.http1.limits import HttpLimits
from holdfast.gateway.http1.ports import LocalAnswer
from holdfast.gateway.http1.server_connection import ServerConnection
from holdfast.gateway.http1.turns import SHORT, Turns, piece_end
from holdfast.gateway.http1.unauthenticated import Unauthenticated
from holdfast.gateway.http1.upstream_connection import UpstreamConnection

from .conftest import request  # type: ignore[import-not-found]
from .test_hostile import at, head_of, speaking  # type: ignore[import-not-found]

LONG = b"x" * 100_000
FLOODS = {
    "empty events": b"data:\n\n" * 9000,
    "comments": b": x\n" * 16000,
    "blank lines": b"\n" * 64000,
    "events with a sign": b'data: {"x":"\\"error\\" usage model"}\n\n' * 1700,
    "deltas": delta("a") * 700,
    "deltas that are cut": (delta("a") * 700)[:-1],
    "one long line": b"data: " + b"x" * 64000,
    "escapes": b"\\u0061" * 11000,
}


class Reads(Wire):
    """A transport that knows whether it is read."""

    reading = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Asked:
    """A connection to a provider that was sent a request. Each look at its clock costs `cost` seconds."""

    def __init__(self, cost: float = 0.0004, sink: Any = None) -> None:
        self.loop: Any = Loop()
        self.kept: list[UpstreamConnection] = []
        clock = itertools.count()
        self.turns = Turns(self.loop, lambda: next(clock) * cost)
        pool: Any = SimpleNamespace(
            limits=HttpLimits(),
            names=ANSWER_NAMES,
            loop=self.loop,
            turns=self.turns,
            put=self.kept.append,
            forget=lambda _: None,
        )
        self.connection, self.wire = UpstreamConnection(pool), Reads()
        self.sink = sink or Sink()
        self.connection.connection_made(self.wire)  # type: ignore[arg-type]
        self.connection.send(self.sink, SimpleNamespace(write_to=lambda _: None))  # type: ignore[arg-type]

    def turn(self) -> None:
        """One turn of the loop."""
        calls, self.loop.later = self.loop.later, []
        for call in calls:
            call()

    def turns_until_read(self) -> int:
        """The turns until all that was received is taken."""
        for number in range(10_000):
            if self.wire.reading:
                return number
            self.turn()
        raise AssertionError("it is never read again")


class Stopping(Sink):
    """A receiver whose client reads slowly: it stops the provider at each piece."""

    link: UpstreamConnection

    def fed(self, data: bytes, *, ended: bool) -> None:
        super().fed(data, ended=ended)
        if data:
            self.link.pause()


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_flood_costs_a_bounded_number_of_lines_in_one_turn(flood: bytes) -> None:
    asked = Asked()
    asked.connection.data_received(head())
    asked.connection.data_received(flood)
    taken = len(asked.sink.body)
    assert 0 < taken < len(flood), "all of it was taken at once"
    assert not asked.wire.reading
    while not asked.wire.reading:
        before = len(asked.sink.body)
        asked.turn()
        step = asked.sink.body[before:]
        assert len(step) <= 3 * 16 * 1024
        assert step.count(b"\n") <= 3 * SHORT
    assert asked.sink.body == flood


def test_short_reads_are_taken_as_they_come() -> None:
    asked = Asked()
    asked.connection.data_received(head())
    for _ in range(100):
        asked.connection.data_received(b"x" * SHORT)
    assert len(asked.sink.body) == 100 * SHORT
    assert not asked.loop.later, "no turn was asked for"


def test_connections_with_much_to_take_do_so_by_turns() -> None:
    first = Asked()
    others = [Asked() for _ in range(3)]
    for other in others:
        other.connection._pool = first.connection._pool
    everyone = [first, *others]
    for asked in everyone:
        asked.connection.data_received(head())
        asked.connection.data_received(LONG)
    for _ in range(12):
        first.turn()
    sizes = [len(asked.sink.body) for asked in everyone]
    assert max(sizes) - min(sizes) <= 3 * 16 * 1024, sizes


def test_one_turn_takes_no_longer_than_its_time_however_many_connections_wait() -> None:
    first = Asked()
    everyone = [first, *(Asked() for _ in range(50))]
    for asked in everyone:
        asked.connection._pool = first.connection._pool
        asked.connection.data_received(head())
        asked.connection.data_received(LONG)
    before = sum(len(asked.sink.body) for asked in everyone)
    first.turn()
    assert sum(len(asked.sink.body) for asked in everyone) - before <= 3 * 16 * 1024


def test_an_answer_is_whole_when_its_connection_is_lost_before_its_turn() -> None:
    asked = Asked()
    asked.connection.data_received(head(kind="") + LONG)
    assert not asked.sink.messages
    asked.connection.connection_lost(None)
    assert not asked.sink.messages
    asked.loop.run()
    assert [message.body for message in asked.sink.messages] == [LONG]


def test_a_lost_connection_is_reported_after_what_it_said() -> None:
    asked = Asked()
    asked.connection.data_received(head("content-length: 200000") + LONG)
    asked.connection.connection_lost(ConnectionResetError("reset"))
    assert asked.sink.refused == ""
    asked.loop.run()
    assert (asked.sink.body, asked.sink.refused) == (LONG, "reset")


def test_bytes_behind_an_answer_that_wait_for_their_turn_spoil_the_connection() -> None:
    asked = Asked()
    asked.connection.data_received(
        sized(b"a" * 40_000) + b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" * 900
    )
    asked.loop.run()
    assert len(asked.sink.messages) == 1
    assert not asked.kept, "the next request would be answered by bytes that came before it"
    assert asked.wire.closing


def test_a_connection_whose_long_answer_is_taken_serves_the_next_request() -> None:
    asked = Asked()
    asked.connection.data_received(sized(LONG))
    asked.loop.run()
    assert asked.kept == [asked.connection]
    assert asked.wire.reading


def test_a_slow_client_stops_what_waits_for_its_turn() -> None:
    sink = Stopping()
    asked = Asked(sink=sink)
    sink.link = asked.connection
    asked.connection.data_received(head("content-length: 100000"))
    asked.connection.data_received(LONG)
    stopped = len(sink.body)
    asked.loop.run()
    assert 0 < len(sink.body) == stopped < len(LONG)
    assert not asked.wire.reading
    for _ in range(1000):
        asked.connection.resume()
        asked.loop.run()
    assert [message.body for message in sink.messages] == [LONG]


def test_a_failure_while_a_piece_is_taken_ends_that_connection_alone() -> None:
    class Breaking(Sink):
        def fed(self, data: bytes, *, ended: bool) -> None:
            if len(self.body) > 60_000:
                raise RuntimeError("a fault of ours")
            super().fed(data, ended=ended)

    asked, other = Asked(sink=Breaking()), Asked()
    other.connection._pool = asked.connection._pool
    for each in (asked, other):
        each.connection.data_received(head())
        each.connection.data_received(LONG)
    failures = 0
    while asked.loop.later:
        call = asked.loop.later.pop(0)
        try:
            call()
        except RuntimeError:
            failures += 1
    assert failures == 1
    assert asked.wire.closing
    assert other.sink.body == LONG


@given(
    parts=st.lists(st.sampled_from([b"x", b"\n", b"\r\n", b"data: x\n\n", b"y" * 900]), max_size=12),
    times=st.integers(1, 100),
    cuts=st.lists(st.integers(0, 60_000), max_size=4),
    cost=st.sampled_from([0.0, 0.0004, 0.01]),
    framed=st.booleans(),
    coded=st.booleans(),
)
def test_turns_change_nothing_of_an_answer(
    parts: list[bytes], times: int, cuts: list[int], cost: float, *, framed: bool, coded: bool
) -> None:
    body = b"".join(parts) * times
    lines = ["content-encoding: gzip"] * coded
    if framed:
        data = head("transfer-encoding: chunked", *lines) + b"".join(map(chunk, filter(None, parts))) * times
        data += b"0\r\n\r\n"
    else:
        data = head(f"content-length: {len(body)}", *lines) + body
    asked = Asked(cost)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in itertools.pairwise(edges):
        asked.connection.data_received(data[start:end])
        asked.turn()
    asked.loop.run()
    assert [message.body for message in asked.sink.messages] == [body]
    assert asked.kept == [asked.connection]


def server_of(loop: Any, handler: Any, cost: float) -> Any:
    clock = itertools.count()
    return SimpleNamespace(
        handler=handler,
        limits=HttpLimits(),
        header_names=REQUEST_NAMES,
        loop=loop,
        turns=Turns(loop, lambda: next(clock) * cost),
        draining=False,
        retired=False,
        unauthenticated=Unauthenticated(HttpLimits()),
        opened=lambda _: None,
        closed=lambda _: None,
    )


def client_of(cost: float = 0.0004) -> tuple[ServerConnection, Reads, Any, Handler]:
    loop: Any = Loop()
    handler = Handler()
    connection, wire = ServerConnection(server_of(loop, handler, cost)), Reads()
    connection.connection_made(wire)  # type: ignore[arg-type]
    return connection, wire, loop, handler


CHUNKED = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
PLAIN = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx"


@pytest.mark.parametrize("joined", [True, False])
def test_a_request_in_tiny_chunks_is_read_by_turns(*, joined: bool) -> None:
    connection, wire, loop, handler = client_of()
    pieces = [CHUNKED, b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n" + PLAIN]
    if joined:
        pieces = [b"".join(pieces)]
    for piece in pieces:
        connection.data_received(piece)
    assert not wire.reading
    assert not handler.messages
    loop.run()
    assert [message.body for message in handler.messages] == [b"x" * 20_000, b"x"]
    assert wire.reading


def test_requests_that_come_at_once_are_answered_one_in_a_turn() -> None:
    connection, wire, loop, handler = client_of()
    connection.data_received(PLAIN * 50)
    assert len(handler.messages) == 1
    assert not wire.reading
    loop.later.pop(0)()
    assert len(handler.messages) == 2
    loop.run()
    assert len(handler.messages) == 50
    assert wire.reading


def test_a_refused_body_that_waits_for_its_turn_is_read_to_its_end() -> None:
    connection, wire, loop, handler = client_of()
    handler.answer_to = lambda error, _: LocalAnswer(408, [], b"")  # type: ignore[method-assign]
    connection.data_received(CHUNKED + b"1\r\nx\r\n" * 20_000)
    assert not wire.reading
    connection.look(1e9)
    assert wire.reading, "its client would never read why"
    loop.run()
    assert not handler.messages


def test_a_piece_is_short_where_it_has_many_lines() -> None:
    assert piece_end(b"x" * 100_000, 0) == 16 * 1024
    assert piece_end(b"\n" * 100_000, 0) == SHORT


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("flood", ["empty events", "comments", "deltas that are cut", "chunks"])
def test_a_flooding_provider_lets_the_requests_of_others_pass(gateway: Any, flood: str, loop: str) -> None:
    """Counts bytes, not seconds: while others are answered, the flood gets on by a bounded amount. A fast
    machine takes up to 32 MB of a stream without signs in the turns that three requests need."""
    over = threading.Event()
    sent = 0
    body = FLOODS.get(flood, b"1\r\nx\r\n" * 10_000)
    lines = ["transfer-encoding: chunked"] * (flood == "chunks")

    def talk(sock: socket.socket, _: int) -> None:
        nonlocal sent
        asked = head_of(sock)
        if b"/quiet/" in asked:
            sock.sendall(sized(json.dumps(GOOD).encode()))
            return
        sock.sendall(head(*lines))
        if flood != "chunks":
            sock.sendall(delta("a"))
        while not over.is_set():
            sock.sendall(body)
            sent += len(body)

    with speaking(talk) as url:
        quiet = url.replace("/v1", "/quiet/v1")
        plane = gateway(config=at(url) + at(quiet).replace("mine", "other"), loop=loop)
        reader = plane.connect()
        ask = {"model": "mine/scripted-1", "messages": [], "stream": True}
        reader.sendall(request("chat/completions", json.dumps(ask).encode()))
        drain(reader, over)
        try:
            while sent < 200_000:
                over.wait(0.01)
            before = sent
            for _ in range(3):
                assert plane.post("chat/completions", {"model": "other/scripted-1", "messages": []})[0] == 200
            assert sent - before < 64_000_000
        finally:
            over.set()
            reader.close()


GOOD = {"id": "x", "object": "chat.completion", "model": "m"}
GOOD |= {"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]}


def drain(sock: socket.socket, over: threading.Event) -> None:
    """Read in a thread what comes, until it is over."""

    def read() -> None:
        try:
            while not over.is_set() and sock.recv(1 << 18):
                pass
        except OSError:
            return

    threading.Thread(target=read, daemon=True).start()
