"""Watches the streams of models that do not talk: speech, transcripts and pictures. Their events name their
kind, and the last one of each kind is known. A stream of events of other kinds has no end that can be
seen."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .decoding import DECODABLE, Feed, decoding, ignore
from .usage import NO_USAGE

_LAST = {
    b"speech.audio": b"done",
    b"transcript.text": b"done",
    b"image_generation": b"completed",
    b"image_edit": b"completed",
}
_KIND = re.compile(rb'"type"\s*:\s*"(?:(%s)\.(\w+)|error)"' % b"|".join(map(re.escape, _LAST)))
_LONGEST_SIGN = 64
"""Bytes of a piece in which a sign may begin that ends in the next one."""


class SideStreamWatch:
    """Watches a stream of events on the route of such a model (`response_stream.Watch`)."""

    __slots__ = ("_known", "_last", "_tail", "moved")

    cut = "stream ended without its last event"
    takes_events, unread = True, False
    error: bytes | None = None
    owed = b""
    model = ""
    objects: Sequence[str] = ()
    usage: Mapping[str, int] = NO_USAGE

    def __init__(self) -> None:
        self._known = self._last = self.moved = False
        self._tail = b""

    @property
    def ended(self) -> bool:
        """Return whether the stream is whole, as far as can be seen: an error of the provider's ends it."""
        return self._last or not self._known

    @property
    def whole(self) -> bool:
        """Return whether what came so far is whole events."""
        return self._tail.endswith((b"\n\n", b"\r\n\r\n"))

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        text = self._tail + data
        for sign in _KIND.finditer(text):
            self._known = True
            self._last = sign[1] is None or sign[2] == _LAST[sign[1]]
        self._tail = text[-_LONGEST_SIGN:]
        self.moved = True

    def close(self) -> None:
        """Do nothing: the signs were seen as they came."""


def side_stream(label: bytes, coding: bytes) -> tuple[SideStreamWatch | None, Feed]:
    """Return the watch over an answer with this content type and coding, and what feeds it; None for an
    answer that is no such stream, or cannot be read."""
    if b"event-stream" not in label or coding not in DECODABLE:
        return None, ignore
    watch = SideStreamWatch()
    return watch, decoding(watch.feed, coding)
