"""What the library's caller asks for and gets: the request of an SDK as the conversation takes it, and its
end as a response: the provider's good answer, or the error of its class in the SDK's dialect, as the gateway
tells it too."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

from ..core.errors import HoldfastError
from ..core.identity import Connection, Dialect
from ..core.secret import Secret
from ..wire.conversation import Bounds, ConversationResult, Op, run_conversation
from ..wire.error_bodies import ClientError, from_error, refusal
from ..wire.header_policy import query_without_credentials
from ..wire.ports import Engine, Open, RawHeaders, RequestRun, Timeout
from ..wire.request_body import inspect_body, is_plain
from ..wire.request_head import build_request, dialect_of, filter_headers
from ..wire.response_head import beside_error, labelled, outward, told_by
from ..wire.response_stream import ResponseStream
from .httpx_compat import HttpxAdapter, OpenedResponse, RequestLike

_JSON = (b"{", b"[")


class SdkResponse(NamedTuple):
    """What the caller gets. With a tail the answer is still open: `chunks` were read already, the rest passes
    through the tail."""

    status: int
    headers: RawHeaders
    chunks: list[bytes]
    extensions: dict[str, Any]
    tail: ResponseStream | None = None


class SdkHead:
    """The head of an answer as `httpx` or its core gives it, looked at once."""

    __slots__ = ("coding", "extensions", "headers", "status", "type")

    def __init__(self, opened: OpenedResponse) -> None:
        self.status, self.headers, _, self.extensions = opened
        self.type = self.coding = b""
        for name, value in self.headers:
            told = told_by(name)
            if told == "content-type":
                self.type = value.lower()
            elif told == "content-encoding" and value.lower() != b"identity":
                self.coding = value.strip().lower()


class SdkRequest:
    """What an SDK asked for, looked at once."""

    __slots__ = ("asked", "body", "dialect", "headers", "judged", "path", "request", "timeout")

    def __init__(self, request: RequestLike, body: bytes | None) -> None:
        self.request, self.body = request, body
        self.headers = filter_headers(request.headers.raw)
        self.path = _path(request.url.raw_path, self.headers.credentials)
        dialect = dialect_of(self.path)
        # Only answers of a model are looked into; a file, a list or a picture is passed on.
        self.judged = dialect is not None and request.method == "POST"
        self.dialect = dialect or (
            Dialect.ANTHROPIC_MESSAGES if self.headers.versioned else Dialect.OPENAI_CHAT
        )
        self.asked = inspect_body(body)
        self.timeout: Timeout = dict(request.extensions.get("timeout") or {})

    def opening(self, connection: Connection, secret: Secret | None) -> Open:
        """The request as it leaves for `connection`."""
        url, headers, body = build_request(connection, secret, self.path, self.headers, self.body, self.asked)
        return Open(
            connection.endpoint,
            self.request.method,
            url,
            headers,
            self.request.stream if body is None else body,
            self.timeout.copy(),
        )


def serve(
    adapter: HttpxAdapter, engine: Engine, session: str, ask: SdkRequest, bounds: Bounds
) -> Generator[Op, Any, SdkResponse]:
    """Carry one request to its end. Raises what the module raises when the connection cannot be made and
    recovery ended."""
    try:
        if ask.judged and ask.body and not is_plain(ask.body):
            return _told(ask.dialect, refusal("unreadable_body"))
        request_run = engine.start_request(
            session,
            ask.dialect,
            ask.asked.model,
            replayable=ask.body is not None and len(ask.body) <= bounds.replay,
            client_retries=ask.headers.client_retries,
            passthrough=not ask.judged,
            body=ask.body,
        )
    except HoldfastError as error:
        return _told(ask.dialect, from_error(error))
    return _handed(request_run, ask, (yield from run_conversation(adapter, engine, request_run, ask, bounds)))


def _path(raw: bytes, credentials: tuple[bytes, ...]) -> str:
    """Return the caller's path with what of its query may leave."""
    path, _, query = raw.partition(b"?")
    query = query_without_credentials(query, credentials)
    if query:
        path += b"?" + query
    return path.decode("ascii")


def _forward_headers(request_run: RequestRun) -> tuple[str, ...]:
    """Return the names that the entry of the provider that answered adds to those that pass."""
    if request_run.outcome is None:
        return ()
    return request_run.outcome.connection.provider.forward_headers


def _handed(request_run: RequestRun, ask: SdkRequest, told: ConversationResult) -> SdkResponse:
    good, bad = told
    forwarded = _forward_headers(request_run)
    head: Any
    if good is not None:
        head = good.head
        return SdkResponse(
            head.status,
            labelled(head.headers, request_run.headers(), forwarded),
            good.chunks,
            head.extensions,
            good.tail,
        )
    if bad is not None and bad.error is not None:
        bad.error.args = (f"{bad.error}\n{request_run.explanation()}",)
        raise bad.error
    if bad is None or bad.head is None or bad.body.lstrip()[:1] not in _JSON:
        return _told(ask.dialect, request_run.client_error())
    head = bad.head
    if not ask.judged:  # what is no request to a model is passed on as it came, errors too
        return SdkResponse(
            head.status, outward(bad.headers, request_run.headers(), forwarded), [bad.body], head.extensions
        )
    error = request_run.client_error().with_provider_error(bad.body)
    theirs = beside_error(bad.headers, forwarded)
    return _told(ask.dialect, error)._replace(
        headers=labelled(theirs, error.headers, forwarded), extensions=head.extensions
    )


def _told(dialect: Dialect, error: ClientError) -> SdkResponse:
    """Return an answer of our own, in the caller's dialect."""
    return SdkResponse(error.status(dialect), labelled([], error.headers), [error.body(dialect)], {})
