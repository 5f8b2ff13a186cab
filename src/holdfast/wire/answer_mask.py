"""Takes the key out of a good answer: of a whole one, and of one that passes by."""

from __future__ import annotations

from collections.abc import Callable

from ..core.secret import Secret
from ..secrecy.masking import StreamMask
from .decoding import PLAIN, Inflater


class AnswerMask:
    """Masks the key in an answer that passes by. One in a content coding is passed on decoded."""

    __slots__ = ("_decoded", "_inflater", "_mask", "feed")

    def __init__(self, secret: Secret, coding: bytes) -> None:
        self._mask = StreamMask(secret)
        self.feed: Callable[[bytes], bytes] = self._mask.feed
        self._decoded: list[bytes] = []
        if coding not in PLAIN:
            self._inflater = Inflater(self._decoded.append)
            self.feed = self._inflated

    def rest(self) -> bytes:
        """Return what was held back, since the answer has ended."""
        return self._mask.rest()

    def _inflated(self, data: bytes) -> bytes:
        self._decoded.clear()
        self._inflater.feed(data)
        return self._mask.feed(b"".join(self._decoded))
