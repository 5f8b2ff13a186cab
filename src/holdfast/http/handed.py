"""What the library's caller asks for and gets: the request of an SDK as the conversation takes it, and its end as a response: the
provider's own, so that users keep catching their SDK's errors, or ours where the provider said nothing that an SDK could read."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any, NamedTuple

from ..core.errors import AmbiguousModel, ConfigError, HoldfastError, NotReady, UnknownModel, WrongDialect
from ..core.identity import Connection, Dialect
from ..core.secret import Secret
from .asked import asked_by, is_plain
from .engine import Engine, Exchange
from .kit import Kit, Open, Opened, RawHeaders, RequestLike, Timeout
from .tail import Tail
from .talk import Bounds, Op, Told, converse, succeeded
from .wire import dialect_of, dress, labelled, outward, strip, told_by

_JSON = (b"{", b"[")


class Handed(NamedTuple):
    """What the caller gets. With a tail the answer is still open: `chunks` were read already, the rest passes through the tail."""

    status: int
    headers: RawHeaders
    chunks: list[bytes]
    extensions: dict[str, Any]
    tail: Tail | None = None


class SdkHead:
    """The head of an answer as `httpx` or its core gives it, looked at once."""

    __slots__ = ("coding", "extensions", "headers", "status", "type")

    def __init__(self, opened: Opened) -> None:
        self.status, self.headers, _, self.extensions = opened
        self.type = self.coding = b""
        for name, value in self.headers:
            told = told_by(name)
            if told == "content-type":
                self.type = value.lower()
            elif told == "content-encoding" and value.lower() != b"identity":
                self.coding = value.strip().lower()


class SdkAsk:
    """What an SDK asked for, looked at once."""

    __slots__ = ("asked", "body", "dialect", "headers", "judged", "path", "request", "timeout")

    def __init__(self, request: RequestLike, body: bytes | None) -> None:
        self.request, self.body = request, body
        self.headers = strip(request.headers.raw)
        self.path = request.url.raw_path.decode("ascii")
        dialect = dialect_of(self.path)
        # Only answers of a model are looked into; a file, a list or a picture is passed on.
        self.judged = dialect is not None and request.method == "POST"
        self.dialect = dialect or (Dialect.ANTHROPIC_MESSAGES if self.headers.versioned else Dialect.OPENAI_CHAT)
        self.asked = asked_by(body)
        self.timeout: Timeout = dict(request.extensions.get("timeout") or {})

    def opening(self, connection: Connection, secret: Secret | None) -> Open:
        """The request as it leaves for `connection`."""
        url, headers, body = dress(connection, secret, self.path, self.headers, self.body, self.asked)
        return Open(connection.endpoint, self.request.method, url, headers, self.request.stream if body is None else body, self.timeout.copy())


def serve(kit: Kit, engine: Engine, session: str, ask: SdkAsk, bounds: Bounds) -> Generator[Op, Any, Handed]:
    """Carry one request to its end. Raises what the module raises when the connection cannot be made and recovery ended."""
    try:
        if ask.judged and ask.body and not is_plain(ask.body):
            raise ConfigError("the request's body is no JSON object in plain UTF-8, so nobody can tell which model it asks for: nothing was sent")
        exchange = engine.begin(
            session,
            ask.dialect,
            ask.asked.model,
            replayable=ask.body is not None and len(ask.body) <= bounds.replay,
            client_retries=ask.headers.client_retries,
            side_door=not ask.judged,
            body=ask.body,
        )
    except HoldfastError as error:
        return _refusal(ask.dialect, error)
    return _handed(exchange, (yield from converse(kit, engine, exchange, ask, bounds)))


def _handed(exchange: Exchange, told: Told) -> Handed:
    good, bad = told
    if good is not None:
        head: Any = good.head
        return Handed(head.status, labelled(head.headers, exchange.headers()), good.chunks, head.extensions, good.tail)
    if bad is not None and bad.error is not None:
        bad.error.args = (f"{bad.error}\n{exchange.explanation()}",)
        raise bad.error
    head = bad.head if bad is not None else None
    if bad is not None and head is not None and not succeeded(head.status):
        if bad.body.lstrip()[:1] in _JSON:
            return Handed(head.status, outward(bad.headers, exchange.headers()), [bad.body], head.extensions)
        # A page or a bare line tells an SDK's user nothing: the provider's status, and in our words what it means.
        _, ours, body = exchange.explain()
        return Handed(head.status, labelled([], ours), [body], head.extensions)
    status, ours, body = exchange.explain()
    return Handed(status, labelled([], ours), [body], {})


_STATUS: tuple[tuple[type[HoldfastError], int], ...] = ((NotReady, 503), (UnknownModel, 404), (AmbiguousModel, 400), (WrongDialect, 400))


def _refusal(dialect: Dialect, error: HoldfastError) -> Handed:
    """Our own refusal before anything was sent, in the caller's dialect."""
    headers: RawHeaders = [(b"content-type", b"application/json"), (b"x-should-retry", b"false")]
    return Handed(refusal_status(error), headers, [refusal_body(dialect, error)], {})


def refusal_status(error: HoldfastError) -> int:
    """What an SDK makes the right exception of; 409: the session's choice is in conflict with what is."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 409)


def refusal_body(dialect: Dialect, error: HoldfastError, **more: Any) -> bytes:
    """An error of ours as the caller's SDK reads it; `more` goes into the machine's part."""
    if isinstance(error, NotReady):
        more = {"reason": error.reason, "retry_at": error.retry_at, **more}
    kind = "api_error" if isinstance(error, NotReady) else "invalid_request_error"
    told: dict[str, Any] = {"type": kind, "message": str(error), "holdfast": {"class": type(error).__name__, **more}}
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        return json.dumps({"type": "error", "error": told}).encode()
    return json.dumps({"error": told | {"param": None, "code": "holdfast_" + _snake(type(error).__name__)}}).encode()


def _snake(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")
