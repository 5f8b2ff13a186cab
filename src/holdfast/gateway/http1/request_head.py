"""The head of a client's request: read once, strictly, and only as far as the gateway needs it."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from typing import Any, NamedTuple

from ...wire.header_names import read_connection
from .authority import host_of, split_absolute
from .framing import MOST_DIGITS, HeaderNames, MalformedMessage, RawHeaders, length_of, lines_of
from .header_actions import (
    ACCEPTS,
    API_KEY,
    BEARER,
    CODING,
    CONNECTION,
    DROPPED,
    ENCODED,
    EXPECT,
    HARNESS,
    HOST,
    KEPT,
    LENGTH,
    OPTIONAL,
    ORIGIN,
    UPGRADE,
)

_END = b"\r\n\r\n"
_VERSIONS = {b"HTTP/1.1": True, b"HTTP/1.0": False}
_VERSION = re.compile(rb"HTTP/([0-9])\.[0-9]")
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# No fragment, which is never sent, and no backslash, which some programs read as a slash.
_TARGET = re.compile(rb"[!-\"$-\[\]-~]+")
_NO_REQUEST = "the first line is no request of HTTP/1.1 with a path"
_NO_HOST = "an HTTP/1.1 request needs a Host header"
_LENGTHS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
"""The spellings of the length by which a head is recognised; a head with another one is read each time."""


def split_head(held: bytearray, data: bytes, most: int) -> tuple[bytes, bytes] | None:
    """Return a whole head of `most` bytes and what follows it, None as long as its end is missing.

    `held` keeps what came of it so far. Raises MalformedMessage where the head is too long.
    """
    if held:
        searched = max(0, len(held) - len(_END) + 1)
        held += data
        end, size = held.find(_END, searched), len(held)
    else:
        if data[:1] in (b"\r", b"\n"):  # blank lines between two requests (RFC 9112 2.2)
            data = data.lstrip(b"\r\n")
        end, size = data.find(_END), len(data)
    if end > most or (end < 0 and size > most):
        raise MalformedMessage(f"its head is longer than {most} bytes", 431)
    if end < 0:
        if data and not held:
            held += data
        return None
    if held:
        data = bytes(held)
        held.clear()
    return data[:end], data[end + len(_END) :]


class Head:
    """The head of a client's request.

    `kept` are the lines that pass to the provider, `optional` those that pass where its `forward_headers`
    name them. `once` holds the values of the headers that may occur once only, by their action; `credential`
    is the valid token among them. `authority` is that of an absolute target, else b"". `prepared` is the
    program's: the head as it last left. `names` returns the action for each header. Raises MalformedMessage,
    with the status of the answer.
    """

    __slots__ = (
        "accepts",
        "authority",
        "block",
        "chunked",
        "credential",
        "keep",
        "kept",
        "length",
        "method",
        "modern",
        "once",
        "optional",
        "path",
        "prepared",
        "query",
        "retries",
    )

    def __init__(self, block: bytes, most: int, longest_target: int, names: HeaderNames) -> None:
        lines = lines_of(block, most)
        self.block = block
        first = lines[0].split(b" ")
        if len(first) != 3 or not _METHOD.fullmatch(first[0]):
            raise MalformedMessage(_NO_REQUEST)
        self.method, target, version = first
        if len(target) > longest_target:
            raise MalformedMessage(f"the path is longer than {longest_target} bytes", 414)
        if not _TARGET.fullmatch(target):
            raise MalformedMessage("the path holds characters that have to be percent-encoded")
        modern = _VERSIONS.get(version)
        self.modern = self.keep = _is_modern(version) if modern is None else modern
        self.authority = b""
        if not target.startswith(b"/"):
            target = self._as_path(target)
        self.path, _, self.query = target.partition(b"?")
        self.kept: list[bytes] = []
        self.optional: tuple[bytes, ...] = ()
        self.once: dict[int, bytes] = {}
        self.accepts: bytes | None = None
        self.chunked = False
        self.retries = 0
        self.length = 0
        self.credential = b""
        self.prepared: Any = None
        self._read(lines, names)
        if len(self.once) > 1 or self.once.keys() - {HOST}:
            self._read_framing()
        elif not self.once.get(HOST) and self.modern:
            raise MalformedMessage(_NO_HOST)
        if self.authority and HOST in self.once and host_of(self.once[HOST]) is None:
            raise MalformedMessage("the Host header holds no host")

    def _as_path(self, target: bytes) -> bytes:
        """Return a target that is no path as one, and note the authority that it names (RFC 9112 3.2)."""
        if self.method == b"CONNECT" or (self.method == b"OPTIONS" and target == b"*"):
            return target
        absolute = split_absolute(target)
        if absolute is None:
            raise MalformedMessage(_NO_REQUEST)
        self.authority, path = absolute
        return path

    def _read(self, lines: list[bytes], actions: HeaderNames) -> None:
        keep, once = self.kept.append, self.once
        del lines[0]
        for line in lines:
            name, colon, value = line.partition(b":")
            action = actions[name] if colon else actions[b""]
            if action == KEPT:
                keep(line)
            elif action == DROPPED:
                continue
            elif action < ACCEPTS:
                if action in once and action != HARNESS:
                    value = self._once_more(action, name, value)
                if action >= HARNESS:
                    keep(line)
                once[action] = value.strip(b" \t")
            elif action == ACCEPTS:
                self.accepts = value.strip(b" \t")
            elif action == OPTIONAL:
                self.optional += (line,)
            else:
                keep(line)
                count = value.strip(b" \t")
                if count.isdigit() and len(count) < 4:
                    self.retries = int(count)

    def _once_more(self, action: int, name: bytes, value: bytes) -> bytes:
        """Return the joined values of a repeated header. Raises MalformedMessage where it may not be
        repeated."""
        if action not in (CONNECTION, ENCODED, UPGRADE):
            raise MalformedMessage(f"the header {name.decode()} occurs twice")
        return self.once[action] + b"," + value

    def _read_framing(self) -> None:
        """Find out where the body ends and what happens to the connection, from all headers together."""
        once = self.once
        if not once.get(HOST) and self.modern:
            raise MalformedMessage(_NO_HOST)
        if LENGTH in once:
            self.length = length_of(once[LENGTH])
        if CODING in once:
            coding = once[CODING].lower()
            if LENGTH in once or not self.modern or coding.count(b"chunked") != 1:
                raise MalformedMessage("the body's end is marked in two ways, or in an unknown one")
            if coding != b"chunked":
                raise MalformedMessage(
                    f"its transfer coding is unknown: {coding[:40]!r}", _coding_status(coding)
                )
            self.chunked = True
        if CONNECTION in once:
            closes, named = read_connection(once[CONNECTION])
            self.keep = self.modern and not closes
            if named:
                self.kept = _without_names(self.kept, named)
                self.optional = tuple(_without_names(self.optional, named))
        if EXPECT in once and once[EXPECT].lower() != b"100-continue":
            raise MalformedMessage("the Expect header is unknown", 417)

    @property
    def host(self) -> bytes:
        """The authority that the request addresses: that of an absolute target, else the Host header; b""
        where there is none."""
        return self.authority or self.once.get(HOST, b"")

    @property
    def origin(self) -> bytes | None:
        """The origin of the web page that sent the request, None for any other client."""
        return self.once.get(ORIGIN)

    @property
    def expects(self) -> bool:
        """True where the client waits for `100 Continue` before it sends the body."""
        return EXPECT in self.once and self.modern

    @property
    def credentials(self) -> list[bytes]:
        """The values that may be the gateway's token, in the order in which they are tried."""
        bearer, key = self.once.get(BEARER), self.once.get(API_KEY)
        credentials = []
        if bearer is not None and bearer[:7].lower() == b"bearer ":
            credentials.append(bearer[7:].strip(b" \t"))
        if key is not None:
            credentials.append(key)
        return credentials

    @property
    def headers(self) -> RawHeaders:
        """All headers with their names in lower case, for requests that are answered locally."""
        pairs = (line.partition(b":") for line in self.block.split(b"\r\n")[1:])
        return [(name.lower(), value.strip(b" \t")) for name, _, value in pairs]


def _without_names(lines: Iterable[bytes], names: Container[bytes]) -> list[bytes]:
    """Return the header lines whose names are not in `names`."""
    return [line for line in lines if line.partition(b":")[0].lower() not in names]


class CachedHead(NamedTuple):
    """A head with its bytes before and after the digits of its length, by which the same head is
    recognised."""

    head: Head
    credential: bytes
    before: bytes
    after: bytes

    def find_length(self, data: bytes) -> tuple[int, int] | None:
        """Return where the digits of the length begin and end, None where `data` begins with another head."""
        start = len(self.before)
        if not data.startswith(self.before):
            return None
        end = data.find(b"\r", start, start + MOST_DIGITS + 1)
        if end > start and data.startswith(self.after, end) and data[start:end].isdigit():
            return start, end
        return None


def cacheable(head: Head) -> CachedHead | None:
    """Return a head as it is recognised when it comes again, None where that is not certain."""
    if EXPECT in head.once or head.credentials[:1] != [head.credential]:
        return None
    for name in _LENGTHS:
        before, separator, rest = head.block.partition(name)
        digits, ended, after = rest.partition(b"\r\n")
        if separator and digits.isdigit():
            return CachedHead(head, head.credential, before + name, ended + after + _END)
    return None


def _is_modern(version: bytes) -> bool:
    """Return whether a version that is not one of ours is read as HTTP/1.1: a later minor one (RFC 9110
    2.5)."""
    read = _VERSION.fullmatch(version)
    if read is None:
        raise MalformedMessage(_NO_REQUEST)
    if read[1] != b"1":
        raise MalformedMessage(f"its version is {version.decode()}, and only HTTP/1.1 is spoken here", 505)
    return True


def _coding_status(coding: bytes) -> int:
    """Return the status for a transfer coding other than `chunked`: 501 where its end can be found all the
    same (RFC 9112 6.1)."""
    before, comma, last = coding.rpartition(b",")
    if comma and before.strip(b" \t") and last.strip(b" \t") == b"chunked":
        return 501
    return 400
