"""Builds the requests that are sent to a connection: URL, headers and body.

The host never comes from the caller's request, the caller's own credentials never leave, and no header
holds a key before the request is written (`key_at_send`).

This is on the path of every request, so what depends on few values is cached and what is long is not copied.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote_plus, urlencode

from ..core.identity import Auth, Connection, Dialect, Endpoint
from ..secrecy.frames import bare
from ..values.secret import Secret
from .api_routes import needs_model, tail_of
from .client_headers import ClientHeaders, readable_codings
from .header_policy import forwarded
from .key_at_send import KEY_MARK, revealed
from .ports import RawHeaders, Timeout
from .request_body import UNREAD, RequestInfo, append_model, inspect_body, literal, replace_model
from .seals import without_seals

_AUTH: dict[Auth, tuple[bytes, str]] = {
    Auth.BEARER: (b"authorization", "Bearer "),
    Auth.X_API_KEY: (b"x-api-key", ""),
    Auth.API_KEY: (b"api-key", ""),
}
Pieces = tuple[bytes | memoryview, ...]
"""A message in pieces that are sent one after the other."""
_SHORT = 32 * 1024
"""Bytes: a shorter body is copied into one piece with its head; a longer one is sent from where it is."""


class Writer(Protocol):
    """A connection to which requests are written."""

    def write(self, data: bytes) -> None: ...
    def writelines(self, list_of_data: list[bytes | memoryview]) -> None: ...


class OutboundRequest(NamedTuple):
    """A request as the gateway sends it: head and body as they go out, one after the other. `fresh`: on no
    connection that was kept."""

    endpoint: Endpoint
    head: PreparedHead
    body: Pieces
    timeout: Timeout
    fresh: bool = False

    def write_to(self, writer: Writer) -> None:
        """Write the request, with its key, to a connection. An error shows nothing of it."""
        try:
            self.head.write(writer, self.body)
            return
        except BaseException as error:
            failed = bare(error)
        raise failed


def url_for(endpoint: Endpoint, path: str) -> str:
    """Return the endpoint's URL with the caller's path and query. An Anthropic endpoint's URL may lack the
    version, as its SDK wants it."""
    return _url(endpoint.url, endpoint.dialect, path)


def form_body(fields: Mapping[str, str | Secret]) -> bytes:
    """Return the body of a form post."""
    return urlencode(_texts(fields)).encode("ascii")


def json_body(fields: Mapping[str, str | Secret]) -> bytes:
    """Return the same as a JSON object."""
    return json.dumps(_texts(fields)).encode("ascii")


def _texts(fields: Mapping[str, str | Secret]) -> dict[str, str]:
    texts = {}
    for name, value in fields.items():
        texts[name] = revealed(value) if isinstance(value, Secret) else value
    return texts


def basic_credentials(user: str, secret: Secret) -> str:
    """Return the header value by which a client proves itself: both parts are encoded as in a form first (RFC
    6749 section 2.3.1)."""
    pair = f"{quote_plus(user)}:{quote_plus(revealed(secret))}"
    return f"Basic {b64encode(pair.encode()).decode()}"


class SentHead(NamedTuple):
    """URL and headers of requests to a `connection`, without the length of a body: the same for all that come
    with the same headers. The mark of `key_at_send` stands for the key, if one is `shown`."""

    connection: Connection
    shown: bool
    streams: bool
    url: str
    headers: RawHeaders

    def fits(self, connection: Connection, shown: bool, streams: bool) -> bool:
        """Return whether a request with the same headers leaves with this head. A connection is immutable, so
        its identity is enough."""
        return connection is self.connection and shown is self.shown and streams is self.streams


def _sent_head(
    connection: Connection, path: str, incoming: ClientHeaders, *, shown: bool, streams: bool
) -> SentHead:
    """Return the head of a request that is sent to `connection`."""
    endpoint = connection.endpoint
    headers: RawHeaders = [(b"Host", endpoint.host.encode("ascii")), *incoming.kept]
    if incoming.optional:
        headers += forwarded(incoming.optional, connection.provider.forward_headers)
    if streams or incoming.accepts is not None:
        accepted = incoming.accepts or b""
        headers.append((b"accept-encoding", readable_codings(accepted, streams)))
    if endpoint.headers:
        extra = [(name.lower().encode("latin-1"), value.encode("utf-8")) for name, value in endpoint.headers]
        names = {name for name, _ in extra}
        headers = [pair for pair in headers if pair[0].lower() not in names] + extra
    if shown and endpoint.auth is not Auth.NONE:
        headers.append(_credential(endpoint.auth))
    return SentHead._make((connection, shown, streams, url_for(endpoint, path), headers))


def build_request(
    connection: Connection,
    secret: Secret | None,
    path: str,
    incoming: ClientHeaders,
    *,
    body: bytes | None,
    info: RequestInfo | None = None,
    before: SentHead | None = None,
) -> tuple[SentHead, RawHeaders, bytes | None]:
    """Return the request that is sent to `connection`: its head, its headers with the length, its body.

    `body` is None when it streams past us; its length header is kept. `info` is what the body asks for, if
    that is known already; `before` the head of an earlier request with the same headers and path.
    """
    info = info or inspect_body(body)
    if body is not None:
        body, info = _plain(body, info, connection.dialect)
    head, shown, streams = before, secret is not None, info.streams
    if head is None or not head.fits(connection, shown, streams):
        head = _sent_head(connection, path, incoming, shown=shown, streams=streams)
    if body is None:
        return head, head.headers + incoming.sizes, None
    if not incoming.sizes:
        return head, head.headers, body
    pieces = _with_model(body, info, connection.model, path)
    first = pieces[0]
    written = first if isinstance(first, bytes) and len(pieces) == 1 else b"".join(pieces)
    return head, [*head.headers, (b"content-length", b"%d" % len(written))], written


class PreparedHead:
    """A head that is ready to be sent, built once for all requests of a connection with the same lines.

    `lines` are the client's header lines that may leave. The key is put behind the last one when a request is
    written, and is not kept.
    """

    __slots__ = ("_connection", "_head", "_path", "_secret", "_shows", "_streams")

    def __init__(
        self,
        connection: Connection,
        secret: Secret | None,
        streams: bool,
        path: str,
        lines: list[bytes],
        method: str = "POST",
    ) -> None:
        self._connection, self._secret, self._streams, self._path = connection, secret, streams, path
        endpoint = connection.endpoint
        if endpoint.headers:
            names = {name.lower().encode("latin-1") for name, _ in endpoint.headers}
            lines = [line for line in lines if line.partition(b":")[0].lower() not in names]
            lines += [f"{name}: {value}".encode() for name, value in endpoint.headers]
        start = _start(endpoint.url, endpoint.host, endpoint.dialect, path)
        head = [start if method == "POST" else method.encode("ascii") + start[4:], *lines]
        self._shows = None if endpoint.auth is Auth.NONE else secret
        if self._shows is not None:
            name, scheme = _AUTH[endpoint.auth]
            head.append(b"%b: %b" % (name, scheme.encode("ascii")))
        self._head = b"\r\n".join(head)

    def fits(self, connection: Connection, secret: Secret | None, streams: bool) -> bool:
        """Return whether a request with the same header lines leaves with this very head. The connection and
        the key are immutable, so their identity is enough."""
        return connection is self._connection and secret is self._secret and streams is self._streams

    def with_body(self, body: bytes, info: RequestInfo) -> OutboundRequest:
        """Return the request with this body."""
        connection = self._connection
        body, info = _plain(body, info, connection.dialect)
        pieces = _with_model(body, info, connection.model, self._path)
        return OutboundRequest(connection.endpoint, self, pieces, {})

    def write(self, writer: Writer, body: Pieces) -> None:
        """Write head, key and body."""
        secret, first = self._shows, body[0]
        key = b"" if secret is None else revealed(secret).encode("latin-1")
        if isinstance(first, bytes) and len(body) == 1 and len(first) < _SHORT:
            writer.write(b"%b%b\r\ncontent-length: %d\r\n\r\n%b" % (self._head, key, len(first), first))
            return
        head = b"%b%b\r\ncontent-length: %d\r\n\r\n" % (self._head, key, sum(map(len, body)))
        writer.writelines([head, *body])


class BodilessHead(PreparedHead):
    """The head of a request without a body, of which it gives no length."""

    __slots__ = ()

    def write(self, writer: Writer, body: Pieces) -> None:  # noqa: ARG002
        """Write head and key."""
        key = b"" if self._shows is None else revealed(self._shows).encode("latin-1")
        writer.write(b"%b%b\r\n\r\n" % (self._head, key))


class Source(Protocol):
    """A body that is passed on as it comes."""

    framing: bytes

    def flow_to(self, sink: Any) -> None: ...


class StreamedHead(PreparedHead):
    """The head of a request whose body comes from a `source`."""

    __slots__ = ("source",)

    source: Source

    def write(self, writer: Writer, body: Pieces) -> None:  # noqa: ARG002
        """Write head and key, and let the body follow as it comes."""
        key = b"" if self._shows is None else revealed(self._shows).encode("latin-1")
        writer.write(b"%b%b\r\n%b\r\n\r\n" % (self._head, key, self.source.framing))
        self.source.flow_to(writer)


@lru_cache(maxsize=256)
def _url(base: str, dialect: Dialect, path: str) -> str:
    if dialect is Dialect.ANTHROPIC_MESSAGES and not base.endswith("/v1"):
        return f"{base}/v1{tail_of(path)}"
    return base + tail_of(path)


@lru_cache(maxsize=1024)
def _start(url: str, host: str, dialect: Dialect, path: str) -> bytes:
    """Return the first lines of a request; `path` has been checked to be ASCII without white space."""
    target = _url(url, dialect, path).partition("://")[2].partition("/")
    return f"POST /{target[2]} HTTP/1.1\r\nhost: {host}".encode("ascii")


def _credential(auth: Auth) -> tuple[bytes, bytes]:
    """Return the header that presents a key to its endpoint."""
    name, scheme = _AUTH[auth]
    return name, scheme.encode("ascii") + KEY_MARK


def _plain(body: bytes, info: RequestInfo, dialect: Dialect) -> tuple[bytes, RequestInfo]:
    """Return a request's body, and what it asks for, without values that only we can open."""
    plain = body if info is UNREAD else without_seals(body, dialect)
    if plain is body:
        return body, info
    return plain, inspect_body(plain)


def _with_model(body: bytes, info: RequestInfo, model: str, path: str) -> Pieces:
    """Return the body with the connection's model in it: unchanged where it names that model or was not
    looked into, and not copied where it is long."""
    if info.span is not None:
        if info.model == model:
            return (body,)
        start, end = info.span
        written = literal(model) if body.startswith(b'"', start) else model.encode()
        if len(body) < _SHORT:
            return (body[:start] + written + body[end:],)
        view = memoryview(body)
        return view[:start], written, view[end:]
    if info is UNREAD:
        return (body,)
    if info.model is None and needs_model(path):
        return (append_model(body, model),)
    return (replace_model(body, model),)
