"""The library's side of a conversation: the request of an SDK as the conversation takes it, and its end as a
response.

The response is the provider's good answer, or the error of its class in the SDK's dialect, the same as the
gateway's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.errors import ConnectionLost, HoldfastError
from ..core.identity import Connection, Dialect
from ..engine.candidates import completed
from ..engine.store_guard import Unsettled, from_memory, result_of
from ..values.plain_text import plain
from ..values.secret import Secret
from ..wire.api_routes import body_rule, dialect_of
from ..wire.client_headers import filter_headers
from ..wire.conversation import run_conversation
from ..wire.error_bodies import ClientError, from_error, refusal
from ..wire.exchange import Bounds, ConversationResult, GoodAnswer, SendFailed, passes_as_it_came
from ..wire.form_body import inspect_form
from ..wire.header_policy import query_without_credentials
from ..wire.operations import Op, Perform
from ..wire.ports import Open, RawHeaders, RequestRun, Timeout, Translated
from ..wire.request_body import UNREAD, RequestInfo, inspect_body, is_plain
from ..wire.request_coding import readable_body
from ..wire.request_head import build_request
from ..wire.response_head import (
    answer_headers,
    beside_error,
    examined_name,
    fault_headers,
    mask_key,
    relabelled,
    without_coding,
    without_length,
)
from ..wire.response_stream import ResponseStream
from ..wire.time_limits import NO_TIME_LIMITS, TimeLimits, seconds_of
from .client_paths import Family, refusal_of_client
from .httpx_compat import HttpxAdapter, OpenedResponse, RequestLike

if TYPE_CHECKING:
    from ..engine.state import Engine

_LONGEST_SHOWN = 40


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


class SdkRequest:
    """A request of an SDK, read once (`wire.exchange.ConversationRequest`)."""

    masks_key = False  # its program holds the key

    __slots__ = (
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

    def __init__(self, request: RequestLike, body: bytes | None, limits: TimeLimits = NO_TIME_LIMITS) -> None:
        self.request, self.body = request, body
        self.headers = filter_headers(request.headers.raw)
        self.path = _path(request.url.raw_path, self.headers.credentials)
        dialect = dialect_of(self.path)
        if dialect is None:
            dialect = Dialect.ANTHROPIC_MESSAGES if self.headers.versioned else Dialect.OPENAI_CHAT
        self.dialect = dialect
        self.bad_deadline: ClientError | None = None
        self.deadline = self._read_deadline(self.headers.deadline)
        self.rule = body_rule(request.method, self.path, self.headers.label)
        self.inspected = self.rule.judged
        self.info = self._looked_into()
        own: Timeout = request.extensions.get("timeout") or {}
        self.timeout, self.stall = limits.until_head(own), limits.after_head(own)

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
        path, incoming, asked, info = self.path, self.headers, self.body, self.info
        if translated is not None:
            path, asked, info = translated.path, translated.body, translated.info
            incoming = incoming.translated(translated.dialect)
        url, headers, body = build_request(connection, secret, path, incoming, body=asked, info=info)
        return Open(
            endpoint=connection.endpoint,
            method=self.request.method,
            url=url,
            headers=headers,
            stream=self.request.stream if body is None else body,
            timeout=self.timeout.copy(),
            stall=self.stall,
            secret=secret,
        )


def serve(
    *,
    adapter: HttpxAdapter,
    engine: Engine,
    session: str,
    request: SdkRequest,
    named: Callable[[str | None], str | None],
    bounds: Bounds,
    made_for: Family | None = None,
    deadline: float | None = None,
) -> Generator[Op, Any, SdkResponse]:
    """Carry one request to its end; `named` returns the model for which it asks, given the name in its body,
    `made_for` is the SDK for which its transport was made, and `deadline` the seconds that it may take.
    Raises the module's exception when the connection broke and recovery has ended."""
    wrong = refusal_of_client(request.path, made_for, request.dialect is Dialect.ANTHROPIC_MESSAGES)
    wrong = wrong or request.bad_deadline
    if wrong is not None:
        return _error_response(request.dialect, wrong)
    if not request.readable:
        refused = yield Perform(request.make_readable)
        if refused is not None:
            return _error_response(request.dialect, refused)
    model = named(request.info.model)
    if not engine.is_settled(session):
        yield Perform(partial(engine.settle, session))
    start = partial(
        engine.start_request,
        session,
        request.dialect,
        model,
        replayable=request.body is not None and len(request.body) <= bounds.replay,
        client_retries=request.headers.client_retries,
        rule=request.rule,
        body=request.body,
        deadline=deadline,
    )
    try:
        try:
            with from_memory():
                request_run = start(settled=True)
        except (Unsettled, ConnectionLost):
            request_run = yield Perform(partial(result_of, start))
            if isinstance(request_run, HoldfastError):
                raise request_run from None
    except ConnectionLost as lost:
        complete = partial(completed, engine, lost, session, model)
        return _error_response(request.dialect, from_error((yield Perform(complete))))
    except HoldfastError as error:
        return _error_response(request.dialect, from_error(error))
    result = yield from run_conversation(
        errors=adapter, engine=engine, request_run=request_run, request=request, bounds=bounds
    )
    return _response(request_run, request, result)


def _path(raw: bytes, credentials: tuple[bytes, ...]) -> str:
    """Return the caller's path with the part of its query that may leave."""
    path, _, query = raw.partition(b"?")
    query = query_without_credentials(query, credentials)
    if query:
        path += b"?" + query
    return path.decode("ascii")


def _forward_headers(request_run: RequestRun) -> tuple[str, ...]:
    """Return the names of headers that may pass besides the common ones, by the provider that answered."""
    if request_run.outcome is None:
        return ()
    return request_run.outcome.connection.provider.forward_headers


def _response(request_run: RequestRun, request: SdkRequest, result: ConversationResult) -> SdkResponse:
    """Return the response for a conversation's result. Raises the exception by which the connection broke."""
    if result.good is not None:
        return _good_response(request_run, request, result.good)
    bad = result.bad
    if bad is not None and bad.error is not None:
        bad.error.args = (f"{bad.error}\n{request_run.explanation()}",)
        raise bad.error
    if bad is None or bad.head is None:
        return _error_response(request.dialect, request_run.client_error())
    return _refused_response(request_run, request, bad, bad.head)


def _good_response(request_run: RequestRun, request: SdkRequest, good: GoodAnswer) -> SdkResponse:
    head: Any = good.head
    theirs = mask_key(head.headers, good.secret)
    if request.info.streams and good.stream is not None:
        theirs = without_length(theirs)
    if good.decoded:
        theirs = without_coding(theirs)
    if good.label:
        theirs = relabelled(theirs, good.label)
    return SdkResponse(
        status=head.status,
        headers=answer_headers(theirs, request_run.headers(), _forward_headers(request_run)),
        chunks=good.chunks,
        extensions=head.extensions,
        rest=good.stream,
    )


def _refused_response(
    request_run: RequestRun, request: SdkRequest, bad: SendFailed, head: Any
) -> SdkResponse:
    """Return the response for a provider's refusal: an error of ours if a model was called, or if its body
    is no JSON, which an SDK cannot read; else the refusal as it came."""
    forwarded = _forward_headers(request_run)
    if passes_as_it_came(request, bad):
        headers = fault_headers(bad.headers, request_run.headers(), forwarded)
        return SdkResponse(head.status, headers, [bad.body], head.extensions)
    error = request_run.client_error().with_provider_error(bad.body)
    ours = error.headers_for(request.dialect, (name for name, _ in bad.headers))
    return _error_response(request.dialect, error)._replace(
        headers=beside_error(bad.headers, ours, forwarded), extensions=head.extensions
    )


def _error_response(dialect: Dialect, error: ClientError) -> SdkResponse:
    """Return an error of our own as a response, in the caller's dialect."""
    headers = answer_headers([], error.headers_for(dialect))
    return SdkResponse(error.status(dialect), headers, [error.body(dialect)], {})
