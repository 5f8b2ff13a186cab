"""A connection on the wire: what leaves for it, and what came back as the core may see it. The host never comes from the
request, the caller's own credentials never leave, and the one place where a key is shown to a provider is here."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from ..core.faults import Phase, Reply
from ..core.identity import Auth, Connection, Dialect, Endpoint
from ..core.secret import Secret
from .kit import RawHeaders

BODY_LIMIT = 64 * 1024
"""Decoded bytes of a failed answer that are read, kept and handed on."""

_DIALECTS: tuple[tuple[str, Dialect], ...] = (
    ("/chat/completions", Dialect.OPENAI_CHAT),
    ("/responses", Dialect.OPENAI_RESPONSES),
    ("/messages", Dialect.ANTHROPIC_MESSAGES),
    ("/embeddings", Dialect.OPENAI_CHAT),
    ("/completions", Dialect.OPENAI_CHAT),
)
_NEEDS_MODEL = frozenset(prefix for prefix, _ in _DIALECTS)
_OWN_PREFIX = b"holdfast-"
# Credentials of the caller, what holds for one hop only (RFC 9110 7.6.1), and what is computed anew for every request.
_NEVER_SENT = frozenset(
    b"authorization x-api-key api-key cookie proxy-authorization openai-organization openai-project proxy-authenticate connection keep-alive "
    b"proxy-connection te trailer transfer-encoding upgrade host content-length".split()
)
_NEVER_RETURNED = frozenset(
    b"connection keep-alive proxy-connection trailer transfer-encoding upgrade content-length content-encoding location retry-after retry-after-ms".split()
)
_AUTH: dict[Auth, tuple[bytes, str]] = {
    Auth.BEARER: (b"authorization", "Bearer "),
    Auth.X_API_KEY: (b"x-api-key", ""),
    Auth.API_KEY: (b"api-key", ""),
}
_READABLE = frozenset({b"gzip", b"deflate", b"identity"})


def tail_of(path: str) -> str:
    """The part of a caller's path that follows the version: `/v1/chat/completions` and `/chat/completions` are the same."""
    path = path if path.startswith("/") else "/" + path
    return path.removeprefix("/v1") if path.startswith("/v1/") else path


@lru_cache(maxsize=256)
def dialect_of(path: str) -> Dialect | None:
    """The dialect that a request path belongs to, or None for paths of no dialect such as `/models`."""
    tail = tail_of(path).partition("?")[0]
    return next((dialect for prefix, dialect in _DIALECTS if tail == prefix or tail.startswith(prefix + "/")), None)


def url_for(endpoint: Endpoint, path: str) -> str:
    """The endpoint's URL with the caller's path and query. An Anthropic endpoint is written without the version, as its SDK does."""
    if endpoint.dialect is Dialect.ANTHROPIC_MESSAGES and not endpoint.url.endswith("/v1"):
        return f"{endpoint.url}/v1{tail_of(path)}"
    return endpoint.url + tail_of(path)


class Incoming(NamedTuple):
    """A caller's headers without what never leaves, and what they told. `sizes` are the length headers, for a body that streams past."""

    kept: RawHeaders
    sizes: RawHeaders
    accepts: bytes | None
    client_retries: int
    versioned: bool


class _Fate(IntEnum):
    """What becomes of a caller's header."""

    KEPT = 0
    DROPPED = 1
    SIZE = 2
    ACCEPTS = 3
    RETRIES = 4
    VERSION = 5


_FATES = {b"content-length": _Fate.SIZE, b"transfer-encoding": _Fate.SIZE, b"accept-encoding": _Fate.ACCEPTS}
_FATES |= {b"x-stainless-retry-count": _Fate.RETRIES, b"anthropic-version": _Fate.VERSION}


@lru_cache(maxsize=1024)
def _fate(name: bytes) -> _Fate | None:
    """The fate of a header by its name; None is KEPT, by far the most frequent."""
    lower = name.lower()
    return _FATES.get(lower) or (_Fate.DROPPED if lower in _NEVER_SENT or lower.startswith(_OWN_PREFIX) else None)


def strip(headers: RawHeaders) -> Incoming:
    """Look at a caller's headers once; what is left can be dressed for any connection."""
    kept: RawHeaders = []
    sizes: RawHeaders = []
    accepts, retries, versioned = None, 0, False
    for pair in headers:
        fate = _fate(pair[0])
        if fate is None:
            kept.append(pair)
        elif fate is _Fate.DROPPED:
            continue
        elif fate is _Fate.SIZE:
            sizes.append(pair)
        elif fate is _Fate.ACCEPTS:
            accepts = pair[1]
        else:
            kept.append(pair)
            versioned = versioned or fate is _Fate.VERSION
            if fate is _Fate.RETRIES and pair[1].isdigit():
                retries = int(pair[1])
    return Incoming(kept, sizes, accepts, retries, versioned)


def dress(
    connection: Connection, secret: Secret | None, path: str, incoming: Incoming, body: bytes | None, asked: Asked | None = None
) -> tuple[str, RawHeaders, bytes | None]:
    """What leaves for `connection`: URL, headers, body. `body` None is one that streams past us; its length header is kept.
    `asked` is what the body asks for, if that is known already."""
    asked = asked or asked_by(body)
    endpoint = connection.endpoint
    headers: RawHeaders = [(b"Host", endpoint.host.encode("ascii")), *incoming.kept]
    if incoming.accepts is not None:
        headers.append((b"accept-encoding", _readable(incoming.accepts, asked.streams)))
    if endpoint.headers:
        extra = [(name.lower().encode("latin-1"), value.encode("utf-8")) for name, value in endpoint.headers]
        names = {name for name, _ in extra}
        headers = [pair for pair in headers if pair[0].lower() not in names] + extra
    if secret is not None and endpoint.auth is not Auth.NONE:
        name, form = _AUTH[endpoint.auth]
        headers.append((name, (form + secret.reveal()).encode("latin-1")))
    if body is None:
        headers += incoming.sizes
    elif incoming.sizes:
        if asked.model is None and tail_of(path).partition("?")[0] in _NEEDS_MODEL:
            body = naming(body, connection.model)
        elif asked.model != connection.model:
            body = with_model(body, connection.model)
        headers.append((b"content-length", b"%d" % len(body)))
    return url_for(endpoint, path), headers, body


@lru_cache(maxsize=64)
def _readable(accepted: bytes, stream: bool) -> bytes:
    """The codings that the caller accepts and we can look into; a stream is watched as it passes, so it comes as it is."""
    codings = [one.strip() for one in accepted.split(b",") if one.partition(b";")[0].strip().lower() in _READABLE]
    return b"identity" if stream or not codings else b", ".join(codings)


# The model that a body asks for -------------------------------------------------------------------------------------------

_KEY = b'"model"'
_BACKSLASH = 92
_VALUE = re.compile(rb'"model"\s*:\s*("[^"\\]*(?:\\.[^"\\]*)*")')
_STREAM_KEY = b'"stream"'
_STREAM = re.compile(rb'(?<!\\)"stream"\s*:\s*true')
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]]', re.DOTALL)
_STEP = {b"{": 1, b"[": 1, b"}": -1, b"]": -1}


class Asked(NamedTuple):
    """What a body asks for: the model it names, and whether it wants a stream."""

    model: str | None = None
    streams: bool = False


def is_plain(body: bytes) -> bool:
    """Whether a body can be looked into: a JSON object, neither packed nor in another encoding than UTF-8."""
    return body[:64].lstrip()[:1] == b"{" and body[-64:].rstrip()[-1:] == b"}"


def asked_by(body: bytes | None) -> Asked:
    """What a JSON body asks for; nothing is known of one that streams past."""
    return Asked(requested_model(body), wants_stream(body)) if body else Asked()


def requested_model(body: bytes) -> str | None:
    """The model that a JSON body names at its top level, or None. Of two such keys the last counts, as parsers do it: it is sought
    from the end, where the SDKs write it, and where bytes are searched twice as fast."""
    at = body.rfind(_KEY)
    while at >= 0:
        value = _model_at(body, at)
        if value is not None:
            return _text(value[1])
        at = body.rfind(_KEY, 0, at)
    return None


def wants_stream(body: bytes) -> bool:
    """Whether a JSON body asks for a stream. Only a hint: what came is judged by what it is."""
    at = body.rfind(_STREAM_KEY)
    while at >= 0:
        if _STREAM.match(body, at):
            return True
        at = body.rfind(_STREAM_KEY, 0, at)
    return False


def with_model(body: bytes, model: str) -> bytes:
    """`body` with its top-level model replaced where it names another; every other byte stays."""
    wanted = json.dumps(model).encode()
    for start, end in _model_spans(body):
        if body[start:end] != wanted and _text(body[start:end]) != model:
            body = body[:start] + wanted + body[end:]
    return body


def naming(body: bytes, model: str) -> bytes:
    """A JSON object that names no model, with this one at its end: of two such keys the last counts."""
    inner = body.strip().removesuffix(b"}").rstrip()
    if not inner.startswith(b"{") or not body.rstrip().endswith(b"}"):
        return body
    return inner + (b"," if len(inner) > 1 else b"") + _KEY + b":" + json.dumps(model).encode() + b"}"


def _text(literal: bytes) -> str | None:
    """What a JSON string says; None when it is not well-formed."""
    try:
        if b"\\" not in literal:
            return literal[1:-1].decode("utf-8")
        return str(json.loads(literal))
    except ValueError:
        return None


def _model_spans(body: bytes) -> Iterator[tuple[int, int]]:
    """Where the string values of the top-level key `model` stand, the last one first."""
    at = body.rfind(_KEY)
    while at >= 0:
        value = _model_at(body, at)
        if value is not None:
            yield value.span(1)
        at = body.rfind(_KEY, 0, at)


def _model_at(body: bytes, at: int) -> re.Match[bytes] | None:
    """The string value of the top-level key `model`, if one stands at this place.

    In valid JSON the bytes `"model"` not preceded by a backslash are a whole string, since a quote inside a string is escaped; with
    a colon after it, it is a key. Its depth is told by the brackets on the shorter side of it, strings skipped.
    """
    value = _VALUE.match(body, at)
    return value if value is not None and body[at - 1] != _BACKSLASH and _is_top_level(body, at, value.end(1)) else None


def _is_top_level(body: bytes, start: int, end: int) -> bool:
    before = start < len(body) - end
    if before:
        opening, opener, start, end = b"{", b"[", 0, start
    else:
        opening, opener, start, end = b"}", b"]", end, len(body)
    # One bracket on a side, in a string or not, can only be the object's own.
    if body.count(opening, start, end) == 1 and body.find(opener, start, end) < 0:
        return True
    return _balance(body, start, end) == (1 if before else -1)


def _balance(body: bytes, start: int, end: int) -> int:
    return sum(_STEP.get(token.group(), 0) for token in _TOKEN.finditer(body, start, end))


# What came back -----------------------------------------------------------------------------------------------------------


class Decoder:
    """Decodes a body piece by piece and never gives out more than `limit` bytes in all, whatever the input expands to.

    An unknown coding, and bytes that are not what they claim to be, give nothing: the core then judges by the headers.
    """

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


def reply_of(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes, phase: Phase, host: str) -> Reply:
    """An HTTP answer as the core may see it; `body` is decoded."""
    text = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers)
    return Reply(status, text, body[:BODY_LIMIT], phase, host)


_UNSENT = frozenset({"ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol"})
_PARTLY_SENT = frozenset({"WriteError", "WriteTimeout"})


def reply_of_error(error: Exception, phase: Phase, host: str) -> Reply:
    """A broken connection as the core may see it. httpx and httpx2 name their exceptions alike; the cause often says more."""
    name = type(error).__name__
    causes = {str(one) for one in (error, error.__cause__, error.__context__) if one is not None and str(one)}
    unsent = name in _UNSENT
    text = f"{name}: {'; '.join(sorted(causes, key=len, reverse=True))}"
    return Reply(
        None, (), text.encode("utf-8", "replace")[:BODY_LIMIT], Phase.CONNECT if unsent else phase, host, request_written=not (unsent or name in _PARTLY_SENT)
    )


def outward(headers: RawHeaders, ours: Mapping[str, str]) -> RawHeaders:
    """A provider's headers as a caller may see them after a fault, with ours.

    Length and coding are gone because the body is handed on decoded; `location` because nobody may follow it with a prompt;
    `retry-after` because ours is the true one.
    """
    return labelled([pair for pair in headers if pair[0].lower() not in _NEVER_RETURNED], ours)


def labelled(headers: RawHeaders, ours: Mapping[str, str]) -> RawHeaders:
    """`headers` with ours added; a provider cannot speak in our name."""
    kept = [pair for pair in headers if not _speaks_as_us(pair[0])]
    kept += [(name.encode("ascii"), value.encode() if value.isprintable() else _escaped(value)) for name, value in ours.items()]
    return kept


@lru_cache(maxsize=1024)
def told_by(name: bytes) -> str | None:
    """Which of the headers that we look at in an answer this is."""
    lower = name.lower()
    return lower.decode("ascii") if lower in (b"content-type", b"content-encoding") else None


@lru_cache(maxsize=1024)
def _speaks_as_us(name: bytes) -> bool:
    lower = name.lower()
    return lower.startswith(_OWN_PREFIX) or lower == b"x-should-retry"


def _escaped(value: str) -> bytes:
    return value.encode("unicode_escape")
