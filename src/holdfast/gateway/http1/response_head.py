"""The head of a provider's answer: read strictly, and only as far as it is passed on or needed here."""

from __future__ import annotations

import re

from .framing import CRLF, HeaderNames, MalformedMessage, RawHeaders, length_of, lines_of
from .header_actions import CODING, DROPPED, KEPT, LENGTH, OPTIONAL, PACKED, TYPE

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: .*)?")
_MOST_LINES = 256
_LONGEST_HEAD = 256 * 1024
_MOST_INTERIM = 10
"""Interim heads (1xx) before the answer: providers send one or two of them."""
_END, _BARE_END, _CR = CRLF + CRLF, b"\n\n", CRLF[0]
_BODILESS = frozenset({204, 304})


class ResponseHead:
    """The head of a provider's answer, and its `lines`.

    `kept` are the lines that pass to the client, `optional` those that pass where the provider's settings
    name them. `type` is the content type, `coding` the content coding, b"" for none. `length` is None where
    no length is announced. `keep` says whether the provider keeps the connection open. `names` returns the
    action for each header. Raises MalformedMessage.
    """

    __slots__ = ("chunked", "coding", "keep", "kept", "length", "lines", "optional", "status", "type")

    def __init__(self, block: bytes, names: HeaderNames) -> None:
        lines = self.lines = lines_of(block, _MOST_LINES)
        first = _STATUS.fullmatch(lines[0])
        if first is None:
            raise MalformedMessage("the answer's first line is no status of HTTP/1.1")
        self.status = int(first[2])
        self.keep = first[1] == b"1"
        self.kept: list[bytes] = []
        self.optional: tuple[bytes, ...] = ()
        self.type = self.coding = b""
        self.length: int | None = None
        self.chunked = False
        keep = self.kept.append
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            action = names[name if colon else b""]
            if action == KEPT:
                keep(line)
            elif action == DROPPED:
                continue
            elif action == OPTIONAL:
                self.optional += (line,)
            else:
                self._note(action, line, value.strip(b" \t"))
        if self.chunked and self.length is not None:
            raise MalformedMessage("the answer marks its end in two ways")
        if self.status in _BODILESS:
            self.length, self.chunked = 0, False

    def _note(self, action: int, line: bytes, value: bytes) -> None:
        if action == TYPE:
            self.type = value.lower()
            self.kept.append(line)
        elif action == LENGTH:
            length = length_of(value)
            if self.length is not None and self._lengths_differ():
                raise MalformedMessage("the answer has two lengths")
            self.length = length
        elif action == CODING:
            if value.lower() != b"chunked" or self.chunked:
                raise MalformedMessage("the answer has an unknown transfer coding")
            self.chunked = True
        elif action == PACKED:
            coding = value.lower()
            if coding != b"identity":
                self.coding = coding
            self.kept.append(line)
        elif b"close" in value.lower():
            self.keep = False

    def _lengths_differ(self) -> bool:
        """Return whether a repeated length is spelled in two ways: 5 and 05 are no more the same than 5 and
        6."""
        return len({value for name, value in self.headers if name.lower() == b"content-length"}) > 1

    @property
    def headers(self) -> RawHeaders:
        """All headers as they came; a failed answer is classified by them."""
        pairs = (line.partition(b":") for line in self.lines[1:])
        return [(name, value.strip(b" \t")) for name, _, value in pairs]


class HeadReader:
    """Reads the head of an answer, whose bytes come in any pieces, and the interim heads (1xx) before it.

    `names` returns the action for each header.
    """

    __slots__ = ("_held", "_interim", "_names")

    def __init__(self, names: HeaderNames) -> None:
        self._names = names
        self._held, self._interim = b"", 0

    def read(self, data: bytes) -> tuple[ResponseHead, bytes] | None:
        """Return the head that is no interim one, and the bytes behind it; None while it is incomplete.

        Raises MalformedMessage.
        """
        if self._held:
            data, self._held = self._held + data, b""
        start = 0
        while True:
            line_end = data.find(b"\n", start)
            blank = _END
            if line_end > start and data[line_end - 1] != _CR:  # some small servers end lines with LF alone
                blank = _BARE_END
            end = data.find(blank, start)
            if end < 0:
                self._hold(data[start:])
                return None
            block = data[start:end]
            if blank is _BARE_END:
                block = block.replace(b"\n", CRLF)
            start = end + len(blank)
            head = ResponseHead(block, self._names)
            if head.status >= 200:
                self._interim = 0
                return head, data[start:]
            if head.status == 101:
                raise MalformedMessage("it changed the protocol")
            self._interim += 1
            if self._interim > _MOST_INTERIM:
                raise MalformedMessage(f"it has more than {_MOST_INTERIM} interim heads")

    def _hold(self, data: bytes) -> None:
        """Keep an incomplete head. Raises MalformedMessage where it cannot become a valid one."""
        if len(data) > _LONGEST_HEAD:
            raise MalformedMessage("its head is too long")
        if _BARE_END in data:
            raise MalformedMessage("its head mixes two kinds of line ends")
        self._held = data
