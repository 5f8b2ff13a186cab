"""The head of a client's request: read once, strictly, and only as far as the gateway needs it."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ...wire.header_names import read_connection
from .framing import MOST_DIGITS, HeaderNames, MalformedMessage, RawHeaders, length_of, lines_of
from .header_actions import (
    ACCEPTS,
    API_KEY,
    BEARER,
    CODING,
    CONNECTION,
    DROPPED,
    EXPECT,
    HARNESS,
    HOST,
    KEPT,
    LENGTH,
    OPTIONAL,
    ORIGIN,
)

_END = b"\r\n\r\n"
_VERSIONS = {b"HTTP/1.1": True, b"HTTP/1.0": False}
_METHOD = re.compile(rb"[A-Z]{1,20}")


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
    """One request's head. `kept` are the lines that go along, `optional` those that do where the provider's
    `forward_headers` name them; `once` holds the values of headers that may stand there once only, by their
    action; `credential` is the one of them that was good, `dressed` how it last left. `names` says what
    becomes of each line. Raises MalformedMessage, with the status to answer."""

    __slots__ = (
        "accepts",
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
        if (
            len(first) != 3
            or first[2] not in _VERSIONS
            or not _METHOD.fullmatch(first[0])
            or not first[1].startswith(b"/")
        ):
            raise MalformedMessage("the first line is no request of HTTP/1.1 with a path")
        self.method, target, version = first
        if len(target) > longest_target:
            raise MalformedMessage(f"the path is longer than {longest_target} bytes", 414)
        if not target.isascii() or b"\t" in target:
            raise MalformedMessage("the path holds characters that have to be percent-encoded")
        self.path, _, self.query = target.partition(b"?")
        self.modern = self.keep = _VERSIONS[version]
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
            self._weigh()
        elif HOST not in self.once and self.modern:
            raise MalformedMessage("a request of HTTP/1.1 names its host")

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
                if action == HARNESS:
                    keep(line)
                elif action in once:
                    value = self._once_more(action, name, value)
                once[action] = value.strip(b" \t")
            elif action == ACCEPTS:
                self.accepts = value.strip(b" \t")
            elif action == OPTIONAL:
                self.optional += (line,)
            else:
                keep(line)
                if (count := value.strip(b" \t")).isdigit() and len(count) < 4:
                    self.retries = int(count)

    def _once_more(self, action: int, name: bytes, value: bytes) -> bytes:
        """Return the value of a header that was written twice. Raises MalformedMessage if that is wrong."""
        if action != CONNECTION:
            raise MalformedMessage(f"the header {name.decode()} stands there twice")
        return self.once[action] + b"," + value

    def _weigh(self) -> None:
        """What the headers say together about where the body ends and what happens to the connection."""
        once = self.once
        if HOST not in once and self.modern:
            raise MalformedMessage("a request of HTTP/1.1 names its host")
        if LENGTH in once:
            self.length = length_of(once[LENGTH])
        if CODING in once:
            if LENGTH in once or not self.modern or once[CODING].lower() != b"chunked":
                raise MalformedMessage("the body's end is told in two ways, or in one that is not understood")
            self.chunked = True
        if CONNECTION in once:
            closes, named = read_connection(once[CONNECTION])
            self.keep = self.modern and not closes
            if named:
                self.kept = [line for line in self.kept if line.partition(b":")[0].lower() not in named]
                self.optional = tuple(
                    line for line in self.optional if line.partition(b":")[0].lower() not in named
                )
        if EXPECT in once and once[EXPECT].lower() != b"100-continue":
            raise MalformedMessage("the request expects something unknown", 417)

    @property
    def host(self) -> bytes:
        """What the Host header names, empty where there is none."""
        return self.once.get(HOST, b"")

    @property
    def origin(self) -> bytes | None:
        """The origin of the page that sent the request, None for what no page sent."""
        return self.once.get(ORIGIN)

    @property
    def expects(self) -> bool:
        """Whether the client waits for a word before it sends the body."""
        return EXPECT in self.once and self.modern

    @property
    def credentials(self) -> list[bytes]:
        """What may be the gateway's token, in the order of trust."""
        bearer, key = self.once.get(BEARER), self.once.get(API_KEY)
        found = [bearer[7:].strip(b" \t")] if bearer is not None and bearer[:7].lower() == b"bearer " else []
        return [*found, key] if key is not None else found

    @property
    def headers(self) -> RawHeaders:
        """All of them, as they came, for what is not on the way of a request to a provider."""
        pairs = (line.partition(b":") for line in self.block.split(b"\r\n")[1:])
        return [(name.lower(), value.strip(b" \t")) for name, _, value in pairs]


_LENGTHS = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
"""As clients write it; whoever writes it otherwise is read anew each time."""


class CachedHead(NamedTuple):
    """A head as the bytes before and after the digits of its length: whoever sends these again has sent the
    same head."""

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
    """By what this head is known again, where that is certain."""
    block = head.block
    name = next((one for one in _LENGTHS if one in block), None)
    if name is None or EXPECT in head.once or head.credentials[:1] != [head.credential]:
        return None
    before, _, rest = block.partition(name)
    digits, ended, after = rest.partition(b"\r\n")
    if not digits.isdigit():
        return None
    return CachedHead(head, head.credential, before + name, ended + after + _END)


def host_of(value: bytes) -> str:
    """The host that a Host or Origin header names, "" for none that can be read."""
    text = value.decode("latin-1")
    try:
        return (urlsplit(text if "://" in text else f"//{text}").hostname or "").lower()
    except ValueError:
        return ""
