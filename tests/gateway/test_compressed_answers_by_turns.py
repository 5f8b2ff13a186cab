"""A compressed answer, whose bytes may expand a thousandfold, costs no more in one turn of the loop than
another one: it is taken in pieces by what it expands to, however it is compressed, framed and cut."""

from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.raw_provider import chunk, delta, head
from gateway.test_fairness import Asked, Stopping
from holdfast.gateway.http1.turns import SHORT

MOST_EXPANDED = 4 * SHORT
"""Bytes that one piece expands to at most: its last byte may stand for some more."""
PLAIN = delta("a") * 9_000
FLOODS = {"events": PLAIN, "empty events": b"data:\n\n" * 40_000, "blank lines": b"\n" * 300_000}


def deflated(data: bytes) -> bytes:
    """Deflate without a header, as some servers send it."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


CODINGS = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zlib": zlib.compress,
    "deflate": deflated,
    "two parts": lambda data: gzip.compress(data[:9], mtime=0) + gzip.compress(data[9:], mtime=0),
}


def framed(coded: bytes, framing: str) -> bytes:
    """An answer with this body."""
    coding = "content-encoding: gzip"
    if framing == "a length":
        return head(coding, f"content-length: {len(coded)}") + coded
    if framing == "chunks":
        pieces = [coded[at : at + 700] for at in range(0, len(coded), 700)]
        return head(coding, "transfer-encoding: chunked") + b"".join(map(chunk, pieces)) + b"0\r\n\r\n"
    return head(coding) + coded


def expanded(coded: bytes, coding: str) -> int:
    """How many bytes the beginning of a body expands to."""
    if coding == "deflate":
        return len(zlib.decompressobj(-15).decompress(coded))
    size = 0
    while coded:
        inflater = zlib.decompressobj(47)
        size += len(inflater.decompress(coded))
        coded = inflater.unused_data
    return size


@pytest.mark.parametrize("framing", ["a length", "chunks", "its end"])
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("flood", FLOODS)
def test_a_compressed_flood_expands_to_little_in_one_turn(flood: str, coding: str, framing: str) -> None:
    asked = Asked(cost=0.01)
    coded = CODINGS[coding](FLOODS[flood])
    asked.connection.data_received(framed(coded, framing))
    before, turns = 0, 0
    while True:
        now = expanded(asked.sink.body, coding)
        assert now - before <= 2 * MOST_EXPANDED, f"turn {turns} costs {now - before} bytes"
        if asked.wire.reading:
            break
        before, turns = now, turns + 1
        asked.turn()
    asked.connection.connection_lost(None)
    assert [message.body for message in asked.sink.messages] == [coded]
    assert turns > 10


@given(
    cuts=st.lists(st.integers(0, 3_000), max_size=5),
    framing=st.sampled_from(["a length", "chunks", "its end"]),
    coding=st.sampled_from([*CODINGS]),
    cost=st.sampled_from([0.0, 0.0004, 0.01]),
    data=st.sampled_from([b"", b"x", PLAIN[:3_000], PLAIN, bytes(range(256)) * 20]),
    plain=st.booleans(),
)
def test_a_compressed_answer_is_the_same_by_turns(
    cuts: list[int], framing: str, coding: str, cost: float, data: bytes, *, plain: bool
) -> None:
    """Also one that is not compressed at all, whatever it claims."""
    coded = data if plain else CODINGS[coding](data)
    answer = framed(coded, framing)
    edges = sorted({0, len(answer), *(cut for cut in cuts if cut < len(answer))})
    asked = Asked(cost)
    for start, end in pairwise(edges):
        asked.connection.data_received(answer[start:end])
        asked.turn()
    if framing == "its end":
        asked.connection.connection_lost(None)
    asked.loop.run()
    assert [message.body for message in asked.sink.messages] == [coded]
    assert asked.kept == [asked.connection] * (framing != "its end")


def test_a_slow_client_stops_a_compressed_answer_between_two_pieces() -> None:
    sink = Stopping()
    asked = Asked(sink=sink)
    sink.link = asked.connection
    coded = gzip.compress(PLAIN, mtime=0)
    asked.connection.data_received(framed(coded, "a length"))
    for _ in range(10_000):
        before = len(sink.body)
        asked.loop.run()
        assert len(sink.body) - before <= 2 * SHORT
        if sink.messages:
            break
        assert not asked.wire.reading
        asked.connection.resume()
    assert [message.body for message in sink.messages] == [coded]
    assert asked.kept == [asked.connection]


def test_bytes_behind_a_compressed_answer_spoil_the_connection() -> None:
    asked = Asked()
    asked.connection.data_received(
        framed(gzip.compress(PLAIN, mtime=0), "chunks") + b"HTTP/1.1 200 OK\r\n\r\n"
    )
    asked.loop.run()
    assert len(asked.sink.messages) == 1
    assert not asked.kept
    assert asked.wire.closing
