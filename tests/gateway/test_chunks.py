"""A chunked body says the same however its bytes are cut, whole chunks at a time included."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.gateway.http1.framing import Chunks, MalformedMessage

PAYLOADS = st.lists(
    st.binary(min_size=1, max_size=40) | st.sampled_from([b"\r\n", b"0\r\n\r\n", b"a\r\n", b"data: x\n\n"]),
    max_size=6,
)
SIZES = st.sampled_from(["%x\r\n", "%X\r\n", "0%x\r\n", "%x;name=value\r\n"])


def _read(pieces: list[bytes]) -> tuple[bytes, bool, bytes]:
    chunks = Chunks()
    data = b"".join(part for piece in pieces for part in chunks.feed(piece))
    return data, chunks.done, chunks.rest


@given(PAYLOADS, SIZES, st.sampled_from([b"0\r\n\r\n", b"0\r\nname: value\r\n\r\n"]), st.integers(1, 9))
def test_whole_chunks_and_cut_ones_say_the_same(
    payloads: list[bytes], size: str, end: bytes, step: int
) -> None:
    whole = [(size % len(payload)).encode() + payload + b"\r\n" for payload in payloads] + [end]
    data = b"".join(whole)
    assert (
        _read(whole)
        == _read([data])
        == _read([data[at : at + step] for at in range(0, len(data), step)])
        == (b"".join(payloads), True, b"")
    )


@pytest.mark.parametrize(
    "piece", [b"\r\n", b"g\r\nx\r\n", b"-1\r\nx\r\n", b" 1\r\nx\r\n", b"1\r\nxy\r\n", b"1 2\r\nx\r\n"]
)
def test_what_is_no_chunk_is_refused_also_where_it_looks_whole(piece: bytes) -> None:
    chunks = Chunks()
    chunks.feed(b"3\r\nabc\r\n")
    with pytest.raises(MalformedMessage):
        chunks.feed(piece)
