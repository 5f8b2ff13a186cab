"""Bodies of requests are decoded within bounds, or refused with what is wrong with them."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.wire import request_coding
from holdfast.wire.error_bodies import ClientError
from holdfast.wire.request_coding import MOST_DECODED, readable_body

BODY = '{"model":"p/m","messages":[{"role":"user","content":"hé 漢字 😀"}]}'.encode()
zstd, brotli = request_coding._module("zstd"), request_coding._module("br")
MARK = b"\xef\xbb\xbf"


def raw_deflate(data: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(data) + deflate.flush()


def streamed_zstd(data: bytes) -> bytes:
    """As a program writes it that does not know the size in advance."""
    compressor = zstd.ZstdCompressor()
    return compressor.compress(data) + compressor.flush()


CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip by its older name": ("X-GZIP", gzip.compress),
    "gzip in two members": ("gzip", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
    "deflate": ("deflate", zlib.compress),
    "deflate without its frame": ("deflate", raw_deflate),
    "zstd": ("zstd", zstd.compress),
    "zstd of unknown size": ("zstd", streamed_zstd),
    "zstd in two frames": ("zstd", lambda data: zstd.compress(data[:9]) + zstd.compress(data[9:])),
    "br": ("br", brotli.compress),
    "two codings": ("deflate, gzip", lambda data: gzip.compress(zlib.compress(data))),
    "identity beside a coding": (" identity ,, gzip ", gzip.compress),
    "identity": ("identity", bytes),
    "none": ("", bytes),
    "a byte order mark": ("", lambda data: MARK + data),
    "a byte order mark within a coding": ("gzip", lambda data: gzip.compress(MARK + data)),
}


def error_of(result: bytes | ClientError) -> ClientError:
    assert isinstance(result, ClientError)
    return result


@pytest.mark.parametrize("case", CODINGS)
def test_a_body_comes_out_of_every_coding_as_it_went_in(case: str) -> None:
    coding, encode = CODINGS[case]
    assert readable_body(encode(BODY), coding.encode()) == BODY


SINGLE = ["gzip", "deflate", "deflate without its frame", "zstd", "br"]


@pytest.mark.parametrize("case", SINGLE)
def test_a_body_that_ends_too_early_is_never_taken_for_a_whole_one(case: str) -> None:
    coding, encode = CODINGS[case]
    packed = encode(BODY)
    for end in range(len(packed)):
        error = error_of(readable_body(packed[:end], coding.encode()))
        assert error.kind.name == "unreadable_body"
    for more in (b"x", BODY):
        assert error_of(readable_body(packed + more, coding.encode())).kind.status == 400


@pytest.mark.parametrize("case", [*SINGLE, "two codings"])
def test_a_small_body_never_becomes_more_than_the_limit(case: str) -> None:
    coding, encode = CODINGS[case]
    packed, most = encode(b"{" + b" " * 20_000_000 + b"}"), 1_000_000
    tracemalloc.start()
    error = error_of(readable_body(packed, coding.encode(), most))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (error.kind.status, error.kind.name) == (413, "request_too_large")
    assert f"larger than {most} bytes once it is decoded" in error.message
    assert peak < len(packed) + 4 * most


def test_a_body_of_just_the_limit_is_decoded() -> None:
    body = b"{" + b" " * 998 + b"}"
    for case in ("gzip", "deflate", "zstd", "br"):
        coding, encode = CODINGS[case]
        assert readable_body(encode(body), coding.encode(), 1000) == body
        assert error_of(readable_body(encode(body), coding.encode(), 999)).kind.status == 413


def test_a_body_of_very_many_parts_is_refused_before_each_is_copied() -> None:
    for coding, part in ((b"gzip", gzip.compress(b"")), (b"zstd", zstd.compress(b""))):
        assert error_of(readable_body(part * 10_000, coding)).kind.name == "unreadable_body"


def test_zstd_with_a_window_beyond_every_body_is_refused() -> None:
    options = {zstd.CompressionParameter.window_log: 28}
    compressor = zstd.ZstdCompressor(options=options)
    packed = compressor.compress(BODY) + compressor.flush()
    assert error_of(readable_body(packed, b"zstd")).kind.name == "unreadable_body"
    assert 2**request_coding._LARGEST_WINDOW <= MOST_DECODED


@pytest.mark.parametrize(
    "coding", ["compress", "aws-chunked", "gzip, compress", "gzip, gzip, gzip", "x" * 500]
)
def test_a_coding_that_nobody_decodes_is_refused_by_its_name(coding: str) -> None:
    error = error_of(readable_body(gzip.compress(BODY), coding.encode()))
    assert (error.kind.status, error.kind.name) == (415, "unsupported_coding")
    assert f"'{coding[:80]}'" in error.message
    assert error.headers["accept-encoding"] == "gzip, deflate, zstd, br"
    assert "send the body uncompressed, or as gzip" in error.message


@pytest.mark.parametrize("coding", ["zstd", "br"])
def test_a_coding_whose_package_is_missing_is_refused_with_the_command(
    coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_coding, "_module", lambda _: None)
    error = error_of(readable_body(BODY, coding.encode()))
    assert (error.kind.status, error.headers["accept-encoding"]) == (415, "gzip, deflate")
    assert f"it decodes {coding}" in error.message
    assert "gateway" in error.details["next_step"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (gzip.compress(BODY, mtime=0), "it looks like gzip, and no content-encoding says so"),
        (zlib.compress(BODY), "it looks like deflate, and no content-encoding says so"),
        (zstd.compress(BODY), "it looks like zstd, and no content-encoding says so"),
        (BODY.decode().encode("utf-16"), "it is encoded as UTF-16"),
        (BODY.decode().encode("utf-16-le"), "it is encoded as UTF-16"),
        (BODY.decode().encode("utf-16-be"), "it is encoded as UTF-16"),
        (BODY.decode().encode("utf-32"), "it is encoded as UTF-16 or UTF-32"),
        (b"[" + BODY + b"]", "it is a list"),
        (b"no object", "it does not begin with { and end with }"),
        (MARK, "it is empty"),
        (BODY[:-1], "it does not begin with { and end with }"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    error = error_of(readable_body(body, b""))
    assert (error.kind.status, error.kind.name) == (400, "unreadable_body")
    assert reason in error.message


@given(st.binary(max_size=200), st.sampled_from([b"gzip", b"deflate", b"zstd", b"br", b"zstd, br"]))
def test_whatever_is_sent_is_decoded_or_refused(data: bytes, coding: bytes) -> None:
    result = readable_body(data, coding, 1000)
    assert isinstance(result, bytes) or result.kind.status in (400, 413)
