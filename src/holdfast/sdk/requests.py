"""The request of an SDK as a conversation takes it, and its answer."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..core.identity import Connection, Dialect
from ..values.plain_text import plain
from ..values.secret import Secret
from ..wire.api_routes import body_rule, dialect_of
from ..wire.client_headers import filter_headers
from ..wire.error_bodies import ClientError, refusal
from ..wire.form_body import inspect_form
from ..wire.header_policy import query_without_credentials
from ..wire.ports import Open, RawHeaders, Timeout, Translated
from ..wire.request_body import UNREAD, RequestInfo, inspect_body, is_plain
from ..wire.request_coding import readable_body
from ..wire.request_head import SentHead, build_request
from ..wire.response_head import examined_name
from ..wire.response_stream import ResponseStream
from ..wire.time_limits import TimeLimits, seconds_of
from .httpx_compat import OpenedResponse, RequestLike

_LONGEST_SHOWN = 40
_MOST_HEADS = 64


class SdkResponse(NamedTuple):
    """A response for an SDK.

    chunks  the body as far as it was read
    rest    what passes the rest of the body on; None when `chunks` are all of it
    """

    status: int
    headers: RawHeaders
    chunks: list[bytes]
    extensions: dict[str, Any]
    rest: ResponseStream | None = None


class SdkHead:
    """The head of an answer as `httpx` or its core gives it, read once."""

    __slots__ = ("coding", "extensions", "headers", "status", "type")

    def __init__(self, opened: OpenedResponse) -> None:
        self.status, self.headers, _, self.extensions = opened
        self.type = self.coding = b""
        for raw_name, value in self.headers:
            name = examined_name(raw_name)
            if name == "content-type":
                self.type = value.lower()
            elif name == "content-encoding" and value.lower() != b"identity":
                self.coding = value.strip().lower()


class ReadHead:
    """A head of a request as it was read: the headers, sorted; the path as it may leave, and what follows
    from both. `bad_deadline` is the refusal of a deadline that is none."""

    __slots__ = ("bad_deadline", "deadline", "dialect", "headers", "path", "rule", "sent")

    def __init__(self, method: str, raw_path: bytes, raw: RawHeaders) -> None:
        self.headers = filter_headers(raw)
        self.path = _path(raw_path, self.headers.credentials)
        dialect = dialect_of(self.path)
        if dialect is None:
            dialect = Dialect.ANTHROPIC_MESSAGES if self.headers.versioned else Dialect.OPENAI_CHAT
        self.dialect = dialect
        self.bad_deadline: ClientError | None = None
        self.deadline = self._read_deadline(self.headers.deadline)
        self.rule = body_rule(method, self.path, self.headers.label)
        self.sent: SentHead | None = None

    def _read_deadline(self, text: bytes) -> float | None:
        """Return the seconds that the caller gives the call."""
        if not text:
            return None
        try:
            return seconds_of(text)
        except ValueError:
            label = plain(text.decode("latin-1"))[:_LONGEST_SHOWN]
            self.bad_deadline = refusal("bad_deadline", label=label)
            return None


class _Known:
    """A head that was read, and the headers in which it stood: those before the length of the body, its name,
    and those behind it."""

    __slots__ = ("_after", "_at", "_before", "_method", "_name", "head")

    def __init__(self, method: str, raw: RawHeaders, head: ReadHead) -> None:
        names = [name.lower() for name, _ in raw]
        self._at = names.index(b"content-length") if b"content-length" in names else len(raw)
        self._method, self.head = method, head
        self._before, self._after = raw[: self._at], raw[self._at + 1 :]
        self._name = raw[self._at][0] if self._at < len(raw) else b""

    def fits(self, method: str, raw: RawHeaders) -> bool:
        """Return whether only the length of the body differs."""
        at = self._at
        if raw[:at] != self._before or raw[at + 1 :] != self._after or method != self._method:
            return False
        return raw[at][0] == self._name if at < len(raw) else not self._name


class Heads:
    """Reads the heads of one program's requests; one that differs from the last of its path by the length of
    its body alone is not read again. Thread-safe."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, int], _Known] = {}

    def read(self, request: RequestLike) -> ReadHead:
        """Return what the request's head says."""
        raw, path, method = request.headers.raw, request.url.raw_path, request.method
        known = self._known.get((path, len(raw)))
        if known is not None and known.fits(method, raw):
            return known.head
        head = ReadHead(method, path, raw)
        if len(self._known) >= _MOST_HEADS:
            self._known.clear()
        self._known[path, len(raw)] = _Known(method, raw, head)
        return head


class SdkRequest:
    """A request of an SDK, read once (`wire.exchange.ConversationRequest`)."""

    masks_key = False  # its program holds the key

    __slots__ = (
        "_head",
        "bad_deadline",
        "body",
        "deadline",
        "dialect",
        "headers",
        "info",
        "inspected",
        "path",
        "request",
        "rule",
        "stall",
        "timeout",
    )

    def __init__(self, request: RequestLike, body: bytes | None, limits: TimeLimits, head: ReadHead) -> None:
        self.request, self.body, self._head = request, body, head
        self.headers, self.path, self.dialect, self.rule = head.headers, head.path, head.dialect, head.rule
        self.deadline, self.bad_deadline = head.deadline, head.bad_deadline
        self.inspected = head.rule.judged
        self.info = self._looked_into()
        own: Timeout = request.extensions.get("timeout") or {}
        self.timeout, self.stall = limits.until_head(own), limits.after_head(own)

    def _looked_into(self) -> RequestInfo:
        """Return what the body asks for. Beside the requests to a model, only a form, and what certainly is
        a JSON object, is looked into."""
        rule, body = self.rule, self.body
        if not rule.named:
            return UNREAD
        if rule.form:
            return inspect_form(body or b"")
        if rule.judged or (body and is_plain(body) and not self.headers.coding):
            return inspect_body(body)
        return UNREAD

    @property
    def readable(self) -> bool:
        """True where the body of a request to a model is a JSON object; else `make_readable` is called
        first."""
        if not self.inspected or not self.body:
            return True
        return self.info.span is not None and not self.headers.coding and is_plain(self.body)

    def make_readable(self) -> ClientError | None:
        """Decode the body. Return the refusal of one that cannot be read. May take long."""
        body = readable_body(self.body or b"", self.headers.coding)
        if isinstance(body, ClientError):
            return body
        self.body, self.info, self.headers = body, inspect_body(body), self.headers.decoded()
        return None

    def outbound(
        self, connection: Connection, secret: Secret | None, translated: Translated | None = None
    ) -> Open:
        """Return the request as it is sent to `connection`, `translated` for one of another dialect."""
        if translated is None:
            before = self._head.sent if self.headers is self._head.headers else None
            sent, headers, body = build_request(
                connection, secret, self.path, self.headers, body=self.body, info=self.info, before=before
            )
            if self.headers is self._head.headers:
                self._head.sent = sent
        else:
            incoming, asked, info = (
                self.headers.translated(translated.dialect),
                translated.body,
                translated.info,
            )
            sent, headers, body = build_request(
                connection, secret, translated.path, incoming, body=asked, info=info
            )
        return Open(
            endpoint=connection.endpoint,
            method=self.request.method,
            url=sent.url,
            headers=headers,
            stream=self.request.stream if body is None else body,
            timeout=self.timeout.copy(),
            stall=self.stall,
            secret=secret,
        )


def _path(raw: bytes, credentials: tuple[bytes, ...]) -> str:
    """Return the caller's path with the part of its query that may leave."""
    path, _, query = raw.partition(b"?")
    query = query_without_credentials(query, credentials)
    if query:
        path += b"?" + query
    return path.decode("ascii")
