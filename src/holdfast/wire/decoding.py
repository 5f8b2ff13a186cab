"""Decodes an answer that passes on in its content coding, so that it can be examined all the same."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

Feed = Callable[[bytes], object]

PLAIN = frozenset({b"", b"identity"})
DECODABLE = PLAIN | {b"gzip", b"x-gzip", b"deflate"}
"""The content codings in which an answer can be watched."""
_GZIP_OR_ZLIB, _RAW_DEFLATE = 47, -15
_MOST_AT_ONCE = 256 * 1024


def decoding(feed: Feed, coding: bytes) -> Feed:
    """Return what takes the pieces of an answer in `coding` and gives them decoded to `feed`."""
    if coding in PLAIN:
        return feed
    return Inflater(feed).feed


def ignore(data: bytes) -> None:
    """Take the pieces of an answer that cannot be watched."""


class Inflater:
    """Decodes gzip and deflate, the latter with or without zlib's header. Bytes that are not what they claim
    to be give nothing, and so never a whole answer. At most `most` decoded bytes are held at one time."""

    __slots__ = ("_feed", "_inflate", "_most", "_untouched")

    def __init__(self, feed: Feed, most: int = _MOST_AT_ONCE) -> None:
        self._feed, self._most, self._untouched = feed, most, True
        self._inflate: Any = zlib.decompressobj(_GZIP_OR_ZLIB)

    def feed(self, data: bytes) -> None:
        """Take the next coded bytes."""
        while data:
            data = self.step(data)

    def step(self, data: bytes) -> bytes:
        """Decode as much as may be held at one time. Return what is left."""
        if self._inflate is None:
            return b""
        try:
            decoded = self._inflate.decompress(data, self._most)
        except zlib.error:
            self._inflate = None
            if self._untouched:
                self._inflate = zlib.decompressobj(_RAW_DEFLATE)
            self._untouched = False
            return data
        self._untouched = False
        self._feed(decoded)
        if not self._inflate.eof:
            rest: bytes = self._inflate.unconsumed_tail
            return rest
        rest = self._inflate.unused_data  # another member of the same gzip body
        self._inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
        return rest
