"""Rewrites a good answer that passes by: takes the key out of it, or the content coding off it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..core.identity import Dialect
from ..secrecy.masking import StreamMask
from ..values.secret import Secret
from .decoding import PLAIN, Inflater
from .error_bodies import ClientError


class Rewriter(Protocol):
    """Rewrites an answer that passes by, decoded. `writes_events`: each time, it gives whole events."""

    writes_events: bool

    def feed(self, data: bytes, /) -> bytes:
        """Return what is passed on for the next bytes, which may be nothing yet."""
        ...

    def rest(self) -> bytes:
        """Return what was held back, since the answer has ended."""
        ...

    def cut(self, error: ClientError, dialect: Dialect) -> bytes:
        """Return what ends an answer that was cut short, for a caller of `dialect`."""
        ...

    def waiting(self) -> bytes:
        """Return an event for a caller that has waited for long; b"" where there is none."""
        ...


class Writes(Protocol):
    """Makes the rewriter of a translated stream."""

    def rewriter(self, hidden: Secret | None, coding: bytes) -> Rewriter: ...


def rewriter_for(translated: Writes | None, hidden: Secret | None, coding: bytes) -> Rewriter | None:
    """Return what rewrites a stream in a content coding: where it is `translated`, or a key is to be `hidden`
    in it; else None."""
    if translated is not None:
        return translated.rewriter(hidden, coding)
    if hidden is not None:
        return AnswerMask(hidden, coding)
    return None


def unpacking(coding: bytes) -> Callable[[bytes], bytes]:
    """Return what takes the bytes of an answer in `coding` and gives them decoded."""
    if coding in PLAIN:
        return bytes
    return _Unpacked().feed


class _Unpacked:
    """Decodes an answer that passes by."""

    __slots__ = ("_decoded", "_inflater")

    def __init__(self) -> None:
        self._decoded: list[bytes] = []
        self._inflater = Inflater(self._decoded.append)

    def feed(self, data: bytes) -> bytes:
        """Return the next bytes decoded."""
        self._decoded.clear()
        self._inflater.feed(data)
        return b"".join(self._decoded)


class AnswerMask:
    """Masks the key in an answer that passes by. One in a content coding is passed on decoded."""

    writes_events = False

    __slots__ = ("_mask", "_unpack", "feed")

    def __init__(self, secret: Secret, coding: bytes) -> None:
        self._mask = StreamMask(secret)
        self.feed: Callable[[bytes], bytes] = self._mask.feed
        if coding not in PLAIN:
            self._unpack = unpacking(coding)
            self.feed = self._unpacked

    def rest(self) -> bytes:
        """Return what was held back, since the answer has ended."""
        return self._mask.rest()

    def cut(self, error: ClientError, dialect: Dialect) -> bytes:
        """Return what was held back, and the error event of a caller of `dialect`."""
        return self._mask.rest() + error.event(dialect)

    def waiting(self) -> bytes:
        """Return nothing: a comment will do."""
        return b""

    def _unpacked(self, data: bytes) -> bytes:
        return self._mask.feed(self._unpack(data))
