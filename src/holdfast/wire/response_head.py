"""A provider's answer: its decoded body and its headers, as the core and the caller get to see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import inf

from ..core.errors import HoldfastError, SourceSilent
from ..core.faults import Phase, Reply
from ..secrecy.masking import masked_bytes, spellings_of
from ..values.secret import Secret
from .decoding import DECODABLE, PLAIN, Inflater
from .header_policy import BODY_HEADERS, OURS_AFTER_A_FAULT, Verdict, answer_verdict, forwarded
from .ports import RawHeaders

BODY_LIMIT = 64 * 1024
"""Decoded bytes of a failed answer that are read, kept and passed on."""

_UNSENT = frozenset({"ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol"})
_PARTLY_SENT = frozenset({"WriteError", "WriteTimeout"})
_EXAMINED = frozenset({b"content-type", b"content-encoding"})


def succeeded(status: int) -> bool:
    """Return whether HTTP says that the request was served. The core judges what the body says."""
    return 200 <= status < 300


class Decoder:
    """Decodes a body piece by piece and never gives out more than `limit` bytes in all, whatever the input
    expands to.

    An unknown coding, and bytes that are not what they claim to be, give nothing: the core then judges by the
    headers.
    """

    __slots__ = ("_decoded", "_inflater", "_left", "_plain")

    def __init__(self, coding: bytes, limit: int = BODY_LIMIT) -> None:
        self._plain, self._left = coding in PLAIN, limit
        self._decoded: list[bytes] = []
        self._inflater: Inflater | None = None
        if coding in DECODABLE:
            self._inflater = Inflater(self._decoded.append)

    @property
    def full(self) -> bool:
        return self._left <= 0

    def feed(self, data: bytes) -> bytes:
        """Return the next decoded bytes, as many as still fit."""
        if not self._plain:
            data = self._inflated(data)
        data = data[: self._left]
        self._left -= len(data)
        return data

    def _inflated(self, data: bytes) -> bytes:
        """Return the decoded bytes, until there are more than still fit."""
        if self._inflater is None:
            return b""
        self._decoded.clear()
        while data and sum(map(len, self._decoded)) < self._left:
            data = self._inflater.step(data)
        return b"".join(self._decoded)


def decoded(body: bytes, coding: bytes, limit: int = BODY_LIMIT) -> bytes:
    """Return at most `limit` decoded bytes of a whole body."""
    return Decoder(coding, limit).feed(body)


def reply_of(
    *, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes, phase: Phase, host: str
) -> Reply:
    """Return an HTTP answer as the core sees it; `body` is decoded."""
    text = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers)
    return Reply(status, text, body[:BODY_LIMIT], phase=phase, host=host)


def reply_of_error(error: Exception, phase: Phase, host: str) -> Reply:
    """Return a broken connection as the core sees it.

    httpx and httpx2 name their exceptions alike. The cause often says more than the exception, so the text
    holds both, the longer one first.
    """
    name = type(error).__name__
    texts = {str(cause) for cause in (error, error.__cause__, error.__context__) if cause is not None}
    text = "; ".join(sorted(texts - {""}, key=len, reverse=True))
    unsent = name in _UNSENT
    if unsent:
        phase = Phase.CONNECT
    return Reply(
        None,
        body=f"{name}: {text}".encode("utf-8", "replace")[:BODY_LIMIT],
        phase=phase,
        host=host,
        request_written=not unsent and name not in _PARTLY_SENT,
    )


def reply_of_unsent(error: HoldfastError, now: float) -> Reply:
    """Return the reply for a request that was not sent, since its key cannot be read or its endpoint's
    dialect cannot write it; `now` is in epoch seconds."""
    text = f"{type(error).__name__}: {error}"
    headers: tuple[tuple[str, str], ...] = ()
    if isinstance(error, SourceSilent) and error.retry_at not in (None, inf):
        headers = (("retry-after", f"{max(0.0, error.retry_at - now):.3f}"),)
    return Reply(None, headers, text.encode(), phase=Phase.UNSENT, request_written=False)


def answer_headers(
    headers: RawHeaders, ours: Mapping[str, str], forward_headers: tuple[str, ...] = ()
) -> RawHeaders:
    """Return the headers of a provider that pass, by its `forward_headers` too, with ours added."""
    return passing_headers(headers, forward_headers) + header_pairs(ours)


def passing_headers(headers: RawHeaders, forward_headers: tuple[str, ...]) -> RawHeaders:
    """Return the headers of a provider that pass, by its `forward_headers` too."""
    kept = [pair for pair in headers if _passes(pair[0])]
    if forward_headers:
        named = forwarded(headers, forward_headers)
        kept += [pair for pair in named if answer_verdict(pair[0].lower()) is Verdict.OPTIONAL]
    return kept


def header_pairs(ours: Mapping[str, str]) -> RawHeaders:
    """Return headers of ours as names and values."""
    return [(name.encode("ascii"), _header_value(value)) for name, value in ours.items()]


def fault_headers(
    headers: RawHeaders, ours: Mapping[str, str], forward_headers: tuple[str, ...] = ()
) -> RawHeaders:
    """Return the headers of a failed answer that pass with its body, with ours added.

    Length and coding are left out because the body is passed on decoded; `retry-after` because ours is the
    true one.
    """
    changed = BODY_HEADERS | OURS_AFTER_A_FAULT
    return answer_headers([pair for pair in headers if pair[0].lower() not in changed], ours, forward_headers)


def beside_error(
    headers: RawHeaders, ours: Mapping[str, str], forward_headers: tuple[str, ...] = ()
) -> RawHeaders:
    """Return the headers of a failed answer that pass beside an error of ours, with ours added. The body is
    not theirs."""
    theirs = [pair for pair in headers if pair[0].lower() != b"content-type"]
    return fault_headers(theirs, ours, forward_headers)


def relabelled(headers: RawHeaders, label: bytes) -> RawHeaders:
    """Return a provider's headers with another content type."""
    kept = [pair for pair in headers if pair[0].lower() != b"content-type"]
    return [*kept, (b"content-type", label)]


def without_length(headers: RawHeaders) -> RawHeaders:
    """Return a provider's headers without the length of its body, after which an error of ours may follow."""
    return [pair for pair in headers if pair[0].lower() != b"content-length"]


def without_coding(headers: RawHeaders) -> RawHeaders:
    """Return a provider's headers for its body decoded."""
    return [pair for pair in headers if pair[0].lower() not in (b"content-encoding", b"content-length")]


def mask_key(headers: RawHeaders, secret: Secret | None) -> RawHeaders:
    """Return a provider's headers with the key that was sent masked, should a value repeat it."""
    if secret is None or not _may_show([value for _, value in headers], secret):
        return headers
    return [(name, _masked(value, secret)) for name, value in headers]


def mask_key_in_lines(lines: list[bytes], secret: Secret | None) -> list[bytes]:
    """Return the lines of a provider's head in the same way."""
    if secret is None or not _may_show(lines, secret):
        return lines
    return [_masked(line, secret) for line in lines]


def header_lines(ours: Mapping[str, str]) -> list[bytes]:
    """Return headers of ours as the lines of a head."""
    lines = []
    for name, value in ours.items():
        line = f"{name}: {value}"
        if not (line.isascii() and line.isprintable()):
            line = f"{name}: {value.encode('unicode_escape').decode('ascii')}"
        lines.append(line.encode("ascii"))
    return lines


@lru_cache(maxsize=1024)
def examined_name(name: bytes) -> str:
    """Return the name, in lower case, of a header that we read in an answer: content type or coding; "" for
    any other."""
    lower = name.lower()
    if lower not in _EXAMINED:
        return ""
    return lower.decode("ascii")


@lru_cache(maxsize=1024)
def _passes(name: bytes) -> bool:
    return answer_verdict(name.lower()) is Verdict.PASSES


def _may_show(lines: list[bytes], secret: Secret) -> bool:
    """Return whether one of these lines may hold the key. Most answers have only short ones."""
    spellings = spellings_of(secret)
    if max(map(len, lines), default=0) < spellings.shortest:
        return False
    return spellings.may_show(b"\n".join(lines))


def _masked(text: bytes, secret: Secret) -> bytes:
    """Return a header's value or line with the key masked; the mask is not ASCII."""
    return masked_bytes(text, secret).replace("…".encode(), b"?")


def _header_value(value: str) -> bytes:
    if value.isprintable():
        return value.encode()
    return value.encode("unicode_escape")
