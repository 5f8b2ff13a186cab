"""The framing of HTTP/1.1 messages, read strictly: bytes that two programs could read differently are refused
(RFC 9112 11.2).

The same rules apply to clients and providers. Nothing here does I/O or keeps more than one unfinished line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import cast

CRLF = b"\r\n"
RawHeaders = list[tuple[bytes, bytes]]
LEGAL = bytes(byte for byte in range(256) if byte == 9 or (byte >= 32 and byte != 127))
"""The bytes that a head line may contain: no control character, so that nothing but CRLF ends a line."""
LONG_BODIES = range(256 * 1024, 4 * 1024**2)
"""Lengths, in bytes, of bodies that are collected in a `BodyBuffer`."""
MOST_DIGITS = 15
"""The longest length, as text."""

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}")
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"'
_SIZE = re.compile(
    rb"([0-9A-Fa-f]{1,15}+)(?:[ \t]*+;[ \t]*+%b(?:[ \t]*+=[ \t]*+(?:%b|%b))?+)*+" % (_TOKEN, _TOKEN, _QUOTED)
)
_LONGEST_LINE = 1024
_LONGEST_TRAILER = 8 * 1024
_MOST_NAMES = 4096


class MalformedMessage(Exception):
    """The bytes are no HTTP message, or one that could be read in two ways. A client is answered `status`."""

    def __init__(self, what: str, status: int = 400) -> None:
        super().__init__(what)
        self.what, self.status = what, status


class BodyTooLarge(MalformedMessage):
    """A request's body has more than `most` bytes."""

    def __init__(self, most: int) -> None:
        super().__init__(f"its body is larger than {most} bytes", 413)


@lru_cache(maxsize=256)
def status_line(status: int) -> bytes:
    """Return the first line of an answer, with its line end."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return b"HTTP/1.1 %d %b\r\n" % (status, phrase.encode())


def lines_of(head: bytes, most: int) -> list[bytes]:
    """Return the lines of a head, which is given without its blank line.

    Raises MalformedMessage for a control character, a lone CR or LF, or more than `most` header lines.
    """
    lines = head.split(CRLF)
    if head.translate(None, LEGAL) != CRLF * (len(lines) - 1):
        raise MalformedMessage("the head contains a control character, or a line that does not end with CRLF")
    if len(lines) > most + 1:
        raise MalformedMessage(f"the head has more than {most} lines", 431)
    return lines


class HeaderNames(dict[bytes, int]):
    """The actions for headers by name as it was written (`header_actions`), of limited number.

    A look-up raises MalformedMessage for a name that is not allowed.
    """

    def __init__(self, rule: Callable[[bytes], int]) -> None:
        """Create an empty table; `rule` returns the action for a name in lower case."""
        super().__init__()
        self._rule = rule

    def __missing__(self, name: bytes) -> int:
        if not _NAME.fullmatch(name):
            raise MalformedMessage(
                "a header line has no name, white space before its colon, or continues the one before"
            )
        action = self._rule(name.lower())
        if len(self) >= _MOST_NAMES:
            self.clear()
        self[name] = action
        return action


def length_of(value: bytes) -> int:
    """Return the value of a content-length. Raises MalformedMessage for anything but digits."""
    value = value.strip(b" \t")
    if not value.isdigit() or len(value) > MOST_DIGITS:
        raise MalformedMessage("the content-length is no number")
    return int(value)


class _Sizes(dict[bytes, int]):
    """The sizes of chunks by the line that announces them: most are short and come again and again."""

    def __missing__(self, line: bytes) -> int:
        match = _SIZE.fullmatch(line)
        if match is None or len(line) > _LONGEST_LINE:
            raise MalformedMessage(
                "the size of a chunk is no hexadecimal number, or its extension is malformed"
            )
        size = int(match[1], 16)
        if len(self) < _MOST_NAMES and len(line) <= MOST_DIGITS:
            self[line] = size
        return size


_SIZES = _Sizes()


class Chunks:
    """A reader of a chunked body whose bytes come in any pieces; extensions and trailers are dropped (RFC
    9112
    7.1).

    `done` is true after the last chunk; `rest` are then the bytes that follow the body.
    """

    __slots__ = ("_between", "_held", "_need", "_trailer", "done", "rest")

    def __init__(self) -> None:
        self.done, self.rest = False, b""
        self._held, self._need, self._trailer = b"", 0, -1
        self._between = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the parts of the body that `data` contains. Raises MalformedMessage."""
        if not (self._need or self._held or self._between) and self._trailer < 0 and data.endswith(CRLF):
            # Exactly one chunk, as most pieces of a stream are: it needs no loop.
            start = data.find(CRLF) + 2
            size = _SIZES.get(data[: start - 2])
            if size and len(data) == start + size + 2:
                return [data[start:-2]]
        if self._held:
            data, self._held = self._held + data, b""
        out: list[bytes] = []
        at, end, need = 0, len(data), self._need
        while at < end:
            if need:
                piece = data[at : at + need]
                out.append(piece)
                at += len(piece)
                need -= len(piece)
                self._between = not need
                continue
            line_end = data.find(CRLF, at)
            if line_end < 0:
                self._hold(data[at:])
                break
            line = data[at:line_end]
            at = line_end + 2
            if self._between:
                if line:
                    raise MalformedMessage("a chunk is longer than its size")
                self._between = False
            elif self._trailer < 0:
                need = _SIZES[line]
                if not need:
                    self._trailer = 0
            elif line:
                self._skip(line)
            else:
                self.done, self.rest = True, data[at:]
                break
        self._need = need
        return out

    def _hold(self, line: bytes) -> None:
        """Keep an unfinished line. Raises MalformedMessage where it cannot become a valid one."""
        if self._between and line != b"\r":
            raise MalformedMessage("a chunk is longer than its size")
        if len(line) > _LONGEST_LINE or b"\n" in line:
            raise MalformedMessage("a line between chunks is malformed or too long")
        self._held = line

    def _skip(self, line: bytes) -> None:
        self._trailer += len(line) + 2
        if self._trailer > _LONGEST_TRAILER or line.translate(None, LEGAL) or b":" not in line:
            raise MalformedMessage("the trailers after the last chunk are malformed or too long")


class BodyBuffer:
    """A long body of known length: each piece is copied into one buffer when it comes, so that its own memory
    is free for the next one."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        # It grows with the bytes that came: a client may announce a body and never send it.
        self._buffer = bytearray()

    def add(self, piece: bytes) -> None:
        """Add the next bytes."""
        self._buffer += piece

    def whole(self, last: bytes) -> bytes:
        """Add the last piece and return the body, to be used like bytes: it does not change any more."""
        self.add(last)
        return cast("bytes", self._buffer)
