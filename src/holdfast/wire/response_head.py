"""What came back from a provider: its head, decoded, as the core may see it and as the caller gets it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from functools import lru_cache

from ..core.faults import Phase, Reply
from .header_policy import BODY_HEADERS, OURS_AFTER_A_FAULT, Verdict, answer_verdict, forwarded
from .ports import RawHeaders

BODY_LIMIT = 64 * 1024
"""Decoded bytes of a failed answer that are read, kept and handed on."""


class Decoder:
    """Decodes a body piece by piece and never gives out more than `limit` bytes in all, whatever the input
    expands to.

    An unknown coding, and bytes that are not what they claim to be, give nothing: the core then judges by the
    headers."""

    __slots__ = ("_inflate", "_left", "_plain")

    def __init__(self, coding: bytes, limit: int = BODY_LIMIT) -> None:
        self._plain = coding in (b"", b"identity")
        # 47 = any window, gzip or zlib header by itself.
        self._inflate = zlib.decompressobj(47) if coding in (b"gzip", b"x-gzip", b"deflate") else None
        self._left = limit

    @property
    def full(self) -> bool:
        return self._left <= 0

    def feed(self, data: bytes) -> bytes:
        """The next decoded bytes, as many as still fit."""
        if self._plain:
            out = data[: self._left]
        elif self._inflate is None or not self._left:
            return b""
        else:
            try:
                out = self._inflate.decompress(data, self._left)
            except zlib.error:
                self._inflate = None
                return b""
        self._left -= len(out)
        return out


def decoded(body: bytes, coding: bytes, limit: int = BODY_LIMIT) -> bytes:
    """At most `limit` decoded bytes of a whole body."""
    return Decoder(coding, limit).feed(body)


def reply_of(
    status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes, phase: Phase, host: str
) -> Reply:
    """An HTTP answer as the core may see it; `body` is decoded."""
    text = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers)
    return Reply(status, text, body[:BODY_LIMIT], phase, host)


_UNSENT = frozenset({"ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol"})


_PARTLY_SENT = frozenset({"WriteError", "WriteTimeout"})


def reply_of_error(error: Exception, phase: Phase, host: str) -> Reply:
    """A broken connection as the core may see it. httpx and httpx2 name their exceptions alike; the cause
    often says more."""
    name = type(error).__name__
    causes = {str(one) for one in (error, error.__cause__, error.__context__) if one is not None and str(one)}
    unsent = name in _UNSENT
    text = f"{name}: {'; '.join(sorted(causes, key=len, reverse=True))}"
    return Reply(
        None,
        (),
        text.encode("utf-8", "replace")[:BODY_LIMIT],
        Phase.CONNECT if unsent else phase,
        host,
        request_written=not (unsent or name in _PARTLY_SENT),
    )


def outward(
    headers: RawHeaders, ours: Mapping[str, str], forward_headers: tuple[str, ...] = ()
) -> RawHeaders:
    """Return a provider's headers as a caller may see them after a fault, with ours.

    Length and coding are gone because the body is handed on decoded; `retry-after` because ours is the true
    one.
    """
    changed = BODY_HEADERS | OURS_AFTER_A_FAULT
    return labelled([pair for pair in headers if pair[0].lower() not in changed], ours, forward_headers)


def beside_error(headers: RawHeaders, forward_headers: tuple[str, ...] = ()) -> RawHeaders:
    """Return those headers of a failed answer that pass beside an error of ours, whose body is not theirs."""
    theirs = [pair for pair in headers if pair[0].lower() != b"content-type"]
    return outward(theirs, {}, forward_headers)


def labelled(
    headers: RawHeaders, ours: Mapping[str, str], forward_headers: tuple[str, ...] = ()
) -> RawHeaders:
    """Return the headers of a provider that pass, by its `forward_headers` too, with ours added."""
    kept = [pair for pair in headers if _passes(pair[0])]
    if forward_headers:
        optional = [pair for pair in headers if answer_verdict(pair[0].lower()) is Verdict.OPTIONAL]
        kept += forwarded(optional, forward_headers)
    return kept + [(name.encode("ascii"), _header_value(value)) for name, value in ours.items()]


@lru_cache(maxsize=1024)
def _passes(name: bytes) -> bool:
    return answer_verdict(name.lower()) is Verdict.PASSES


def _header_value(value: str) -> bytes:
    if value.isprintable():
        return value.encode()
    return _escaped(value)


def header_lines(ours: Mapping[str, str]) -> list[bytes]:
    """Headers of ours as the lines of a head."""
    return [_line(name, value) for name, value in ours.items()]


@lru_cache(maxsize=4096)
def _line(name: str, value: str) -> bytes:
    return f"{name}: {value if value.isascii() and value.isprintable() else _escaped(value).decode()}".encode(
        "ascii"
    )


@lru_cache(maxsize=1024)
def told_by(name: bytes) -> str | None:
    """Which of the headers that we look at in an answer this is."""
    lower = name.lower()
    return lower.decode("ascii") if lower in (b"content-type", b"content-encoding") else None


def _escaped(value: str) -> bytes:
    return value.encode("unicode_escape")
