"""A connection on the wire: what leaves for it, and what came back as the core may see it. The host never
comes from the request, the caller's own credentials never leave, and the one place where a key is shown to a
provider is here."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlencode

from ..core.identity import Auth, Connection, Dialect, Endpoint
from ..core.secret import Secret
from .header_names import read_connection
from .header_policy import Verdict, forwarded, request_verdict, without_credentials
from .ports import RawHeaders, Timeout
from .request_body import RequestInfo, append_model, inspect_body, literal, replace_model

_DIALECTS: tuple[tuple[str, Dialect], ...] = (
    ("/chat/completions", Dialect.OPENAI_CHAT),
    ("/responses", Dialect.OPENAI_RESPONSES),
    ("/messages", Dialect.ANTHROPIC_MESSAGES),
    ("/embeddings", Dialect.OPENAI_CHAT),
    ("/completions", Dialect.OPENAI_CHAT),
)
_NEEDS_MODEL = frozenset({*(prefix for prefix, _ in _DIALECTS), "/messages/count_tokens"})
_AUTH: dict[Auth, tuple[bytes, str]] = {
    Auth.BEARER: (b"authorization", "Bearer "),
    Auth.X_API_KEY: (b"x-api-key", ""),
    Auth.API_KEY: (b"api-key", ""),
}
Pieces = tuple[bytes | memoryview, ...]
_SHORT = 32 * 1024
"""Bytes: a longer body goes out as it lies in memory, a shorter one in one piece with its head."""
_READABLE = frozenset({b"gzip", b"deflate", b"identity"})


def tail_of(path: str) -> str:
    """The part of a caller's path that follows the version: `/v1/chat/completions` and `/chat/completions`
    are the same."""
    path = path if path.startswith("/") else "/" + path
    return path.removeprefix("/v1") if path.startswith("/v1/") else path


@lru_cache(maxsize=256)
def dialect_of(path: str) -> Dialect | None:
    """The dialect that a request path belongs to, or None for paths of no dialect such as `/models`."""
    tail = tail_of(path).partition("?")[0]
    return next(
        (dialect for prefix, dialect in _DIALECTS if tail == prefix or tail.startswith(prefix + "/")), None
    )


def needs_model(path: str) -> bool:
    """Whether a request to this path has to name a model."""
    return tail_of(path).partition("?")[0].rstrip("/") in _NEEDS_MODEL


def url_for(endpoint: Endpoint, path: str) -> str:
    """The endpoint's URL with the caller's path and query. An Anthropic endpoint is written without the
    version, as its SDK does."""
    return _url(endpoint.url, endpoint.dialect, path)


def _url(base: str, dialect: Dialect, path: str) -> str:
    return (
        base
        + ("/v1" if dialect is Dialect.ANTHROPIC_MESSAGES and not base.endswith("/v1") else "")
        + tail_of(path)
    )


class ClientHeaders(NamedTuple):
    """A caller's headers as `header_policy` lets them pass, and what they told. `optional` pass where a
    provider's `forward_headers` name them; `sizes` are the length headers, for a body that streams past;
    `credentials` are what the caller presented."""

    kept: RawHeaders
    sizes: RawHeaders
    accepts: bytes | None
    client_retries: int
    versioned: bool
    optional: RawHeaders
    credentials: tuple[bytes, ...]


class _HeaderRule(IntEnum):
    """What becomes of a caller's header."""

    OPTIONAL = 1
    DROPPED = 2
    SIZE = 3
    ACCEPTS = 4
    CONNECTION = 5
    CREDENTIAL = 6
    RETRIES = 7
    VERSION = 8


_HEADER_RULES = {
    b"content-length": _HeaderRule.SIZE,
    b"transfer-encoding": _HeaderRule.SIZE,
    b"accept-encoding": _HeaderRule.ACCEPTS,
    b"connection": _HeaderRule.CONNECTION,
    b"authorization": _HeaderRule.CREDENTIAL,
    b"x-api-key": _HeaderRule.CREDENTIAL,
    b"api-key": _HeaderRule.CREDENTIAL,
    b"x-stainless-retry-count": _HeaderRule.RETRIES,
    b"anthropic-version": _HeaderRule.VERSION,
}
_OPTIONAL, _DROPPED, _SIZE, _ACCEPTS, _CONNECTION, _CREDENTIAL, _RETRIES, _VERSION = _HeaderRule
_BY_VERDICT = {
    Verdict.PASSES: None,
    Verdict.OPTIONAL: _HeaderRule.OPTIONAL,
    Verdict.DROPPED: _HeaderRule.DROPPED,
}


@lru_cache(maxsize=1024)
def _rule_of(name: bytes) -> _HeaderRule | None:
    """Return what becomes of a header by its name; None is kept, by far the most frequent."""
    lower = name.lower()
    if lower in _HEADER_RULES:
        return _HEADER_RULES[lower]
    return _BY_VERDICT[request_verdict(lower)]


def filter_headers(headers: RawHeaders) -> ClientHeaders:
    """Return what a caller's headers tell, looked at once; what is kept can leave for any connection."""
    kept: RawHeaders = []
    optional: RawHeaders = []
    sizes: RawHeaders = []
    credentials: list[bytes] = []
    named: frozenset[bytes] = frozenset()
    accepts, retries, versioned = None, 0, False
    for pair in headers:
        rule = _rule_of(pair[0])
        if rule is None:
            kept.append(pair)
        elif rule is _DROPPED:
            continue
        elif rule is _OPTIONAL:
            optional.append(pair)
        elif rule is _SIZE:
            sizes.append(pair)
        elif rule is _ACCEPTS:
            accepts = pair[1]
        elif rule is _CREDENTIAL:
            credentials.append(pair[1].rpartition(b" ")[2])
        elif rule is _CONNECTION:
            named |= read_connection(pair[1])[1]
        else:
            kept.append(pair)
            versioned = versioned or rule is _VERSION
            if rule is _RETRIES and pair[1].isdigit():
                retries = int(pair[1])
    if named:
        kept = [pair for pair in kept if pair[0].lower() not in named]
        optional = [pair for pair in optional if pair[0].lower() not in named]
    kept, optional = without_credentials(kept, credentials), without_credentials(optional, credentials)
    return ClientHeaders(kept, sizes, accepts, retries, versioned, optional, tuple(credentials))


def _shown(secret: Secret) -> str:
    """The value, on its way out: the one place of all requests."""
    return secret.reveal()


def form_body(fields: Mapping[str, str | Secret]) -> bytes:
    """The body of a form post."""
    return urlencode(
        {name: _shown(value) if isinstance(value, Secret) else value for name, value in fields.items()}
    ).encode("ascii")


def build_request(
    connection: Connection,
    secret: Secret | None,
    path: str,
    incoming: ClientHeaders,
    body: bytes | None,
    asked: RequestInfo | None = None,
) -> tuple[str, RawHeaders, bytes | None]:
    """What leaves for `connection`: URL, headers, body. `body` None is one that streams past us; its length
    header is kept. `asked` is what the body asks for, if that is known already."""
    asked = asked or inspect_body(body)
    endpoint = connection.endpoint
    headers: RawHeaders = [(b"Host", endpoint.host.encode("ascii")), *incoming.kept]
    if incoming.optional:
        headers += forwarded(incoming.optional, connection.provider.forward_headers)
    if incoming.accepts is not None:
        headers.append((b"accept-encoding", readable(incoming.accepts, asked.streams)))
    if endpoint.headers:
        extra = [(name.lower().encode("latin-1"), value.encode("utf-8")) for name, value in endpoint.headers]
        names = {name for name, _ in extra}
        headers = [pair for pair in headers if pair[0].lower() not in names] + extra
    if secret is not None and endpoint.auth is not Auth.NONE:
        headers.append(_credential(endpoint.auth, secret))
    if body is None:
        headers += incoming.sizes
    elif incoming.sizes:
        body = b"".join(_named(body, asked, connection.model, path))
        headers.append((b"content-length", b"%d" % len(body)))
    return url_for(endpoint, path), headers, body


class OutboundRequest(NamedTuple):
    """A request as the gateway sends it: head and body as they go out, one after the other."""

    endpoint: Endpoint
    pieces: Pieces
    timeout: Timeout


class PreparedHead:
    """A client's header lines, those that may leave, dressed for `connection` once for all requests that come
    with them. It holds the key as it is written, and shows it to nobody."""

    __slots__ = ("_connection", "_head", "_path", "_secret", "_streams")

    def __init__(
        self, connection: Connection, secret: Secret | None, streams: bool, path: str, lines: list[bytes]
    ) -> None:
        self._connection, self._secret, self._streams, self._path = connection, secret, streams, path
        endpoint = connection.endpoint
        if endpoint.headers:
            names = {name.lower().encode("latin-1") for name, _ in endpoint.headers}
            lines = [line for line in lines if line.partition(b":")[0].lower() not in names]
            lines += [f"{name}: {value}".encode() for name, value in endpoint.headers]
        head = [_start(endpoint.url, endpoint.host, endpoint.dialect, path), *lines]
        if secret is not None and endpoint.auth is not Auth.NONE:
            head.append(b"%b: %b" % _credential(endpoint.auth, secret))
        self._head = b"\r\n".join(head) + b"\r\ncontent-length: "

    def fits(self, connection: Connection, secret: Secret | None, streams: bool) -> bool:
        """Whether a request of the same head leaves with these very bytes: the connection and the key are
        immutable objects."""
        return connection is self._connection and secret is self._secret and streams is self._streams

    def leave(self, body: bytes, asked: RequestInfo) -> OutboundRequest:
        """What leaves with this body."""
        connection = self._connection
        pieces = _named(body, asked, connection.model, self._path)
        first = pieces[0]
        if isinstance(first, bytes) and len(pieces) == 1 and len(first) < _SHORT:
            return OutboundRequest(
                connection.endpoint, (b"%b%d\r\n\r\n%b" % (self._head, len(first), first),), {}
            )
        return OutboundRequest(
            connection.endpoint, (b"%b%d\r\n\r\n" % (self._head, sum(map(len, pieces))), *pieces), {}
        )


@lru_cache(maxsize=1024)
def _start(url: str, host: str, dialect: Dialect, path: str) -> bytes:
    """The first lines of a request; `path` has been checked to be ASCII without white space."""
    target = _url(url, dialect, path).partition("://")[2].partition("/")
    return f"POST /{target[2]} HTTP/1.1\r\nhost: {host}".encode("ascii")


def _credential(auth: Auth, secret: Secret) -> tuple[bytes, bytes]:
    """The header that shows a key to its endpoint."""
    name, written = _AUTH[auth]
    return name, (written + _shown(secret)).encode("latin-1")


def _named(body: bytes, asked: RequestInfo, model: str, path: str) -> Pieces:
    """The body with the connection's model in it, unchanged where it says just that. A long one is not
    copied."""
    if asked.span is not None:
        if asked.model == model:
            return (body,)
        start, end = asked.span
        if len(body) < _SHORT:
            return (body[:start] + literal(model) + body[end:],)
        view = memoryview(body)
        return view[:start], literal(model), view[end:]
    return (
        append_model(body, model)
        if asked.model is None and needs_model(path)
        else replace_model(body, model),
    )


@lru_cache(maxsize=64)
def readable(accepted: bytes, stream: bool) -> bytes:
    """The codings that the caller accepts and we can look into; a stream is watched as it passes, so it comes
    as it is."""
    codings = [
        one.strip() for one in accepted.split(b",") if one.partition(b";")[0].strip().lower() in _READABLE
    ]
    return b"identity" if stream or not codings else b", ".join(codings)
