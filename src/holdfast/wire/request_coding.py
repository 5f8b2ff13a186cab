"""Makes the bodies of requests readable: removes their content coding, within bounds, and a byte order mark.

gzip and deflate need no package; zstd and br need one of the extra `gateway` (zstd only before Python 3.14).
What cannot be decoded is refused with its name: nothing is sent that was not read.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import import_module
from typing import Any

from ..distribution import install_command
from .error_bodies import ClientError, refusal, unreadable
from .json_end import BOM
from .request_body import is_plain
from .strict_body import members_of

MOST_DECODED = 64 * 1024**2
"""Bytes of a decoded body, where the caller sets no other limit."""
_MOST_CODINGS, _MOST_PARTS = 2, 16
"""Codings one over the other, and parts of one (members of gzip, frames of zstd): each part is copied."""
_LARGEST_WINDOW = 26
"""The logarithm of the largest window of zstd: what a decoder may need beside its output is bounded too."""
_GZIP, _ZLIB, _RAW = 31, 15, -15
"""The formats of zlib, as its window bits."""
_MODULES: Mapping[str, tuple[str, ...]] = {
    "zstd": ("compression.zstd", "backports.zstd"),
    "br": ("brotli", "brotlicffi"),
}

_SIGNS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "it looks like gzip, and no content-encoding says so"),
    (b"\x28\xb5\x2f\xfd", "it looks like zstd, and no content-encoding says so"),
    (b"\x78\x01", "it looks like deflate, and no content-encoding says so"),
    (b"\x78\x9c", "it looks like deflate, and no content-encoding says so"),
    (b"\x78\xda", "it looks like deflate, and no content-encoding says so"),
    (b"\xff\xfe", "it is encoded as UTF-16 or UTF-32"),
    (b"\xfe\xff", "it is encoded as UTF-16"),
    (b"\x00", "it is encoded as UTF-16 or UTF-32"),
    (b"{\x00", "it is encoded as UTF-16 or UTF-32"),
    (b"[", "it is a list"),
)
"""Beginnings of bodies that cannot be read, and what they tell."""


class _Undecodable(Exception):
    """A body is not what its coding says, or ends too early."""


def readable_body(body: bytes, coding: bytes, most: int = MOST_DECODED) -> bytes | ClientError:
    """Return the JSON object that a body holds, or the refusal of one that cannot be read.

    `coding` is the value of its content-encoding, b"" for none. At no time are more than `most` bytes decoded
    in one piece. This takes as long as decoding does, so it is called in a thread.
    """
    names = [name.strip().lower() for name in coding.decode("latin-1").split(",")]
    codings = [name for name in names if name not in ("", "identity")]
    steps = [(name, decode) for name in reversed(codings) if (decode := _decoder(name)) is not None]
    if len(steps) < len(codings) or len(codings) > _MOST_CODINGS:
        return _unsupported(codings)
    for name, decode in steps:
        try:
            body = decode(body, most + 1)
        except _Undecodable:
            return refusal("unreadable_body", why=f"it cannot be decoded as {name}")
        if len(body) > most:
            return unreadable(413, f"its body is larger than {most} bytes once it is decoded")
    body = body.removeprefix(BOM)
    if not is_plain(body):
        return refusal("unreadable_body", why=_reason(body))
    try:
        members_of(body)
    except ValueError as error:
        return refusal("unreadable_body", why=f"as JSON it is broken: {error}")
    return body


def _reason(body: bytes) -> str:
    """Return why a body is no JSON object, as far as its beginning tells."""
    if not body.strip():
        return "it is empty"
    for sign, reason in _SIGNS:
        if body.startswith(sign):
            return reason
    return "it does not begin with { and end with }"


def _unsupported(codings: list[str]) -> ClientError:
    """Return the refusal of codings, with the package that is missing for one of them."""
    known = ["gzip", "deflate", *(name for name in _MODULES if _module(name))]
    missing = [name for name in codings if name in _MODULES and name not in known]
    advice = f"send the body uncompressed, or as {', '.join(known)}"
    if missing:
        advice = f"{install_command('gateway')}   (it decodes {missing[0]}; or {advice})"
    return refusal(
        "unsupported_coding",
        coding=", ".join(codings)[:80],
        advice=advice,
        headers={"accept-encoding": ", ".join(known)},
    )


def _decoder(name: str) -> Callable[[bytes, int], bytes] | None:
    """Return the function that decodes a coding up to a number of bytes; None where there is none."""
    if name in ("gzip", "x-gzip"):
        return _gzip
    if name == "deflate":
        return _deflated
    module = _module(name)
    if module is None:
        return None
    if name == "zstd":
        return partial(_zstd, module)
    return partial(_brotli, module)


@cache
def _module(name: str) -> Any:
    """Return the module that decodes a coding, None where none is installed."""
    for module in _MODULES.get(name, ()):
        try:
            return import_module(module)
        except ImportError:
            continue
    return None


def _in_parts(
    start: Callable[[], Any], error: type[Exception], data: bytes, most: int, *, parts: int = _MOST_PARTS
) -> bytes:
    """Decode a body of a few parts, each with a decoder of its own that `start` makes. Raises _Undecodable
    where it raises `error`, where the body ends too early, and where it has more parts."""
    out: bytes = b""
    for _ in range(parts):
        part = start()
        try:
            out += part.decompress(data, most - len(out))
        except error as wrong:
            raise _Undecodable from wrong
        data = part.unused_data
        if len(out) >= most or (part.eof and not data):
            return out
        if not part.eof:
            break
    raise _Undecodable


def _gzip(data: bytes, most: int) -> bytes:
    """Decode gzip, of a few members."""
    return _in_parts(partial(zlib.decompressobj, _GZIP), zlib.error, data, most)


def _deflated(data: bytes, most: int) -> bytes:
    """Decode deflate: zlib's format as the standard says, or without its frame as some clients write it."""
    try:
        return _in_parts(partial(zlib.decompressobj, _ZLIB), zlib.error, data, most, parts=1)
    except _Undecodable:
        return _in_parts(partial(zlib.decompressobj, _RAW), zlib.error, data, most, parts=1)


def _zstd(zstd: Any, data: bytes, most: int) -> bytes:
    """Decode zstd, of a few frames."""
    options = {zstd.DecompressionParameter.window_log_max: _LARGEST_WINDOW}
    return _in_parts(partial(zstd.ZstdDecompressor, options=options), zstd.ZstdError, data, most)


def _brotli(brotli: Any, data: bytes, most: int) -> bytes:
    """Decode br."""
    decoder = brotli.Decompressor()
    try:
        piece = out = decoder.process(data, output_buffer_limit=most)
        while piece and len(out) < most and not decoder.is_finished():
            piece = decoder.process(b"", output_buffer_limit=most - len(out))
            out += piece
    except brotli.error as error:
        raise _Undecodable from error
    if len(out) < most and not decoder.is_finished():
        raise _Undecodable
    return bytes(out)
