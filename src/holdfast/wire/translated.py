"""A translated exchange as bytes: the request, a whole answer, and a stream as it passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core.identity import Dialect
from ..translate.exchange import BrokenAnswer, TranslatedStream, Translation, Untranslatable
from ..values.secret import Secret
from .answer_mask import AnswerMask, unpacking
from .error_bodies import ClientError
from .event_splitter import EventSplitter
from .json_codec import dumps, loads
from .request_body import RequestInfo

_DONE = b"data: [DONE]\n\n"
MOST = 64 * 1024 * 1024
"""Bytes of a whole answer, or of one unfinished event, that are held for a translation."""
_TOO_LONG = "an event of the provider's is too long to be translated"
_NO_JSON = "the provider's answer has an event that is no JSON"


def _read(event: bytes) -> Any:
    """Return the JSON of an event; None if it is none. Bytes that are no UTF-8 are shown as such in texts."""
    try:
        return loads(event)
    except UnicodeDecodeError:
        return _read(event.decode(errors="replace").encode())
    except (ValueError, RecursionError):
        return None


class TranslatedRequest:
    """A request as it is sent to an endpoint of another dialect than its caller's (`ports.Translated`)."""

    __slots__ = ("body", "dialect", "info", "path", "translation")

    def __init__(self, translation: Translation, model: str) -> None:
        """Write the request. Raises Untranslatable for one that is nested too deeply to be written."""
        self.translation, self.dialect = translation, translation.endpoint
        self.path = translation.path
        try:
            self.body = dumps(translation.body)
        except RecursionError:
            raise Untranslatable("", "the request is nested too deeply") from None
        self.info = RequestInfo(model, translation.streams, True, (0, 0))

    def rewriter(self, hidden: Secret | None, coding: bytes) -> StreamRewriter:
        """Return what writes the provider's stream, in a content coding, anew; `hidden` is masked."""
        return StreamRewriter(self.translation, hidden, coding)

    def whole(self, answer: bytes) -> bytes | None:
        """Return a whole answer for the caller: JSON, or a stream if it asked for one; None if it cannot be
        written for it."""
        try:
            document = loads(answer)
            if not self.translation.streams:
                return dumps(self.translation.whole(document))
        except (ValueError, RecursionError, BrokenAnswer):
            return None
        rewriter = StreamRewriter(self.translation, None, b"")
        written = rewriter.document(document)
        if not rewriter.is_whole:
            return None
        return written


class StreamRewriter:
    """Writes a provider's stream anew for a caller of another dialect (`answer_mask.Rewriter`).

    `hidden` is masked first; a stream in a content coding is passed on decoded.
    """

    writes_events = True

    __slots__ = ("_chat", "_held", "_plain", "_splitter", "_stream")

    def __init__(self, translation: Translation, hidden: Secret | None, coding: bytes) -> None:
        self._stream: TranslatedStream = translation.stream()
        self._chat = translation.caller is Dialect.OPENAI_CHAT
        self._splitter, self._held = EventSplitter(), 0
        self._plain = unpacking(coding) if hidden is None else AnswerMask(hidden, coding).feed

    def feed(self, data: bytes) -> bytes:
        """Return what the caller gets for the next bytes: nothing behind the end."""
        if self._stream.over:
            return b""
        events = self._splitter.feed(self._plain(data))
        self._held = 0 if events else self._held + len(data)
        if self._held > MOST:
            return self._framed(self._stream.broken(_TOO_LONG))
        written: list[dict[str, Any]] = []
        for event in events:
            written += self._translated(event)
        return self._framed(written)

    def rest(self) -> bytes:
        """Return what is left, since the answer has ended as it should."""
        written: list[dict[str, Any]] = []
        for event in self._splitter.close():
            if event == b"[DONE]" or _read(event) is not None:
                written += self._translated(event)
        return self._framed(written + self._stream.end())

    def cut(self, error: ClientError, _dialect: Dialect) -> bytes:
        """Return the caller's last event, since the answer was cut short."""
        if self._stream.over:
            return b""
        return self._framed(self._stream.broken(error.message, error.kind.name))

    def waiting(self) -> bytes:
        """Return an event for a caller that has waited for long."""
        return self._framed(self._stream.waiting())

    def document(self, document: Mapping[str, Any]) -> bytes:
        """Return the whole stream for an answer that came whole although a stream was asked for."""
        return self._framed(self._stream.document(document))

    @property
    def is_whole(self) -> bool:
        """Return whether the stream has come to its end."""
        return self._stream.whole

    def _translated(self, event: bytes) -> list[dict[str, Any]]:
        if event == b"[DONE]":
            return self._stream.end()
        data = _read(event)
        if isinstance(data, dict):
            return self._stream.feed(data)
        if data is None and event.lstrip().startswith(b"{"):
            return self._stream.broken(_NO_JSON)  # a part of the answer: nobody knows what it said
        return []

    def _framed(self, events: Iterable[dict[str, Any]]) -> bytes:
        """Return events as they are sent."""
        frames = []
        for event in events:
            if not self._chat:
                frames.append(b"event: %b\n" % event["type"].encode())
            frames.append(b"data: %b\n\n" % dumps(event))
        if self._chat and self._stream.whole and frames:
            frames.append(_DONE)
        return b"".join(frames)
