"""No byte of a client or a provider is read before one that came earlier, and none for somebody who has left.

However the loop orders its work: uvloop reads a connection before it makes the calls that were asked for
since its last turn, asyncio afterwards."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.raw_provider import sized
from gateway.test_fairness import CHUNKED, Asked, Stopping, client_of

TINY = b"1\r\nx\r\n"
REQUESTS = {
    "a plain one": (b"POST /p HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nfirst", b"first"),
    "a short one in chunks": (CHUNKED + TINY * 9 + b"0\r\n\r\n", b"x" * 9),
    "a long one in chunks": (CHUNKED + TINY * 2_000 + b"0\r\n\r\n", b"x" * 2_000),
    "a long plain one": (
        b"POST /l HTTP/1.1\r\nhost: a\r\ncontent-length: 9000\r\n\r\n" + b"l" * 9_000,
        b"l" * 9_000,
    ),
}


def bodies_read(pieces: list[bytes], *, reads_first: bool, cost: float) -> tuple[list[bytes], str]:
    """The bodies of the requests that are read when `pieces` come, and what is refused of them."""
    connection, wire, loop, handler = client_of(cost)
    pieces = [*reversed(pieces)]
    while pieces or loop.later:
        calls, loop.later = loop.later, []
        for call in calls[: 0 if reads_first else None]:
            call()
        if pieces and wire.reading:
            connection.data_received(pieces.pop())
        for call in calls[: None if reads_first else 0]:
            call()
    return [message.body for message in handler.messages], handler.refused


@given(
    names=st.lists(st.sampled_from([*REQUESTS]), min_size=1, max_size=5),
    cuts=st.lists(st.integers(0, 40_000), max_size=5),
    reads_first=st.booleans(),
    cost=st.sampled_from([0.0, 0.0004, 0.01]),
)
def test_no_request_is_read_before_what_came_earlier(
    names: list[str], cuts: list[int], *, reads_first: bool, cost: float
) -> None:
    data = b"".join(REQUESTS[name][0] for name in names)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in pairwise(edges)]
    assert bodies_read(pieces, reads_first=reads_first, cost=cost) == (
        [REQUESTS[name][1] for name in names],
        "",
    )


@pytest.mark.parametrize("pieces", [[b"abc"], [b"a", b"b", b"c"]], ids=["at once", "byte by byte"])
def test_no_rest_of_a_request_overtakes_its_beginning(pieces: list[bytes]) -> None:
    begins = CHUNKED + TINY * 20_000 + b"0\r\n\r\n"
    begins += b"POST /second HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n"
    read = bodies_read([begins, *pieces], reads_first=False, cost=0.0004)
    assert read == ([b"x" * 20_000, b"abc"], "")


@pytest.mark.parametrize("ends", [b"", b"0\r\n\r\n"], ids=["within its body", "behind its body"])
def test_no_request_is_begun_for_a_client_that_left_while_its_body_waited(ends: bytes) -> None:
    connection, _, loop, handler = client_of()
    connection.data_received(CHUNKED + TINY * 20_000 + ends)
    connection.connection_lost(None)
    loop.run()
    assert not handler.messages


@pytest.mark.parametrize("last", [1, 10, 900])
def test_no_connection_is_kept_that_is_not_read(last: int) -> None:
    """What a provider sent before it was stopped may still come."""
    sink = Stopping()
    asked = Asked(sink=sink)
    sink.link = asked.connection
    answer = sized(b"a" * 1000)
    asked.connection.data_received(answer[:-last])
    assert not asked.wire.reading
    asked.connection.data_received(answer[-last:])
    assert not asked.kept
    asked.connection.resume()
    asked.loop.run()
    assert [message.body for message in sink.messages] == [b"a" * 1000]
    assert asked.kept == [asked.connection]
    assert asked.wire.reading
