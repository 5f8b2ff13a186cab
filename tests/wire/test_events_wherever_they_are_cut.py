"""The splitter gives the data of the same events, wherever the bytes of a stream were cut."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.wire.event_splitter import EventSplitter

EVENTS = [b'{"a": 1}', b'{"b": "two words"}', b"[DONE]"]
STREAMS = {
    "plain": b"".join(b"data: %b\n\n" % event for event in EVENTS),
    "named": b"".join(b"event: x\nid: 1\ndata: %b\n\n" % event for event in EVENTS),
    "with comments": b": hello\n\n" + b"".join(b"data: %b\n\n: still here\n\n" % event for event in EVENTS),
    "with returns": b"".join(b"data: %b\r\n\r\n" % event for event in EVENTS),
    "one newline between": b"".join(b"data: %b\n" % event for event in EVENTS),
    "named, one newline between": b"".join(b"event: x\ndata: %b\n" % event for event in EVENTS),
    "one return between": b"".join(b"data: %b\r\n" % event for event in EVENTS),
    "some in two lines": b'data: {"a":\ndata: 1}\n\ndata: {"b": "two words"}\ndata: [DONE]\n\n',
    "without the last blank line": b"".join(b"data: %b\n\n" % event for event in EVENTS)[:-2],
}


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    splitter, events = EventSplitter(), []
    for start, end in pairwise([0, *sorted(cuts), len(stream)]):
        events += splitter.feed(stream[start:end])
    return [event.replace(b":\n 1", b": 1") for event in events + splitter.close()]


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_every_single_cut_gives_the_same_events(stream: bytes) -> None:
    assert [split(stream, [cut]) for cut in range(len(stream))] == [EVENTS] * len(stream)
    assert split(stream, list(range(1, len(stream)))) == EVENTS, "byte by byte"


@given(st.sampled_from(sorted(STREAMS)), st.lists(st.integers(0, 70), max_size=6))
def test_any_cuts_give_the_same_events(name: str, cuts: list[int]) -> None:
    stream = STREAMS[name]
    assert split(stream, [min(cut, len(stream)) for cut in cuts]) == EVENTS


def test_a_long_event_in_many_pieces_costs_what_its_bytes_cost() -> None:
    """4 MB in pieces of 128 bytes, which to put together at each piece would take minutes."""
    pieces = [b"data: "] + [b"x" * 128] * 32_000 + [b"\n\n"]
    splitter, events, began = EventSplitter(), [], time.process_time()
    for piece in pieces:
        events += splitter.feed(piece)
    assert [len(event) for event in events] == [128 * 32_000]
    assert time.process_time() - began < 2.0
