"""What the gateway answers itself: model lists, health, metrics, and the admin pages as JSON. Nothing here
starts a process, asks a provider or changes anything; no answer holds a key or a prompt.

A path needs the gateway's token unless it stands in `Sides.OPEN`: those say nothing but whether the gateway
is up. A token that is bound to a session sees that session only."""

from __future__ import annotations

import json
from asyncio import Future
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from ...core.errors import HoldfastError
from ...core.identity import Dialect
from ...store.base import Token
from ...wire.error_bodies import ClientError, from_error, refusal
from ..telemetry.metrics import CONTENT_TYPE, Metrics
from . import models, views

if TYPE_CHECKING:
    from ..http1.framing import RawHeaders
    from ..ports import AdminAnswer, AdminContext

_PAGE = """\
Holdfast gateway {version}: it keeps a session on the provider, endpoint, key and model that its user chose.

Point a client here, with a gateway token (`holdfast token new`) as its API key:
  OpenAI SDKs      base URL  {base}/v1
  Anthropic SDKs   base URL  {base}
  one session      put /s/SESSION in front of the path

GET /health/live, /health/ready     is it up, can it serve (no token needed)
GET /v1/models                      what can be asked for
GET /metrics                        Prometheus
GET /holdfast/status, /holdfast/providers, /holdfast/sessions, /holdfast/session/ID, /holdfast/requests/ID
"""


class AdminRequest(NamedTuple):
    """One request: what stands behind the route's own path is `rest`."""

    gateway: AdminContext
    metrics: Metrics
    version: str
    rest: str
    headers: dict[bytes, bytes]
    token: Token | None


Handler = Callable[[AdminRequest], "AdminAnswer"]


class AdminRoutes:
    """The side routes of one process; a row of `_ROUTES` each."""

    OPEN = frozenset({"/", "/health/live", "/health/ready", "/health/liveliness", "/health/readiness"})

    def __init__(self, metrics: Metrics, version: str) -> None:
        self.metrics, self.version = metrics, version

    def answer(
        self,
        gateway: AdminContext,
        method: str,
        path: str,
        query: str,  # noqa: ARG002 - no route reads a query yet
        headers: RawHeaders,
        token: Token | None,
    ) -> AdminAnswer | Future[AdminAnswer] | None:
        """The answer to a GET, None for a path that is none of ours. What reads the store is done in a
        thread."""
        handler, rest = _found(path)
        if handler is None or method not in ("GET", "HEAD"):
            return None
        asked = AdminRequest(
            gateway,
            self.metrics,
            self.version,
            unquote(rest),
            {name.lower(): value for name, value in headers},
            token,
        )
        if handler in _OF_ALL and _only(asked) is not None:
            return _refused(None, refusal("session_token"))
        return handler(asked) if handler in _QUICK else gateway.in_thread(partial(handler, asked))


def _live(_: AdminRequest) -> AdminAnswer:
    return _json(200, {"live": True})


def _ready(asked: AdminRequest) -> AdminAnswer:
    """Whether requests can be served. What is wrong with the configuration or the store is told to whoever
    has a token."""
    engine = asked.gateway.engine
    try:
        engine.store.revision()
        store = "ok"
    except HoldfastError as error:
        store = str(error)
    config = engine.config_error
    ready = store == "ok" and not asked.gateway.draining
    told: dict[str, object] = {"ready": ready}
    if _has_token(asked):
        told |= {
            "store": store,
            "config": "ok" if config is None else str(config),
            "draining": asked.gateway.draining,
        }
    return _json(200 if ready else 503, told)


def _metrics(asked: AdminRequest) -> AdminAnswer:
    asked.metrics.measure(asked.gateway)
    return 200, [(b"content-type", CONTENT_TYPE.encode())], asked.metrics.render(asked.version)


def _page(asked: AdminRequest) -> AdminAnswer:
    host = asked.headers.get(b"host", b"127.0.0.1:4141").decode("latin-1")
    text = _PAGE.format(version=asked.version, base=f"http://{host}")
    return (
        200,
        [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")],
        text.encode(),
    )


def _models(asked: AdminRequest) -> AdminAnswer:
    return _json(
        200, models.listing(asked.gateway.engine, models.spoken(asked.headers), asked.gateway.strict)
    )


def _model(asked: AdminRequest) -> AdminAnswer:
    speaks = models.spoken(asked.headers)
    try:
        return _json(200, models.one(asked.gateway.engine, asked.rest, speaks, asked.gateway.strict))
    except HoldfastError as error:
        return _refused(speaks, from_error(error))


def _status(asked: AdminRequest) -> AdminAnswer:
    return _json(200, views.status(asked.gateway, asked.metrics.shared, asked.version))


def _providers(asked: AdminRequest) -> AdminAnswer:
    return _json(200, views.providers(asked.gateway.engine))


def _sessions(asked: AdminRequest) -> AdminAnswer:
    return _json(200, views.sessions(asked.gateway.engine, _only(asked)))


def _session(asked: AdminRequest) -> AdminAnswer:
    told = views.session(asked.gateway.engine, asked.rest) if _only(asked) in (None, asked.rest) else None
    if told is None:
        return _refused(None, refusal("no_such_session", session=asked.rest))
    return _json(200, told)


def _request(asked: AdminRequest) -> AdminAnswer:
    told = views.request(asked.gateway.engine, asked.rest, _only(asked))
    if told is None:
        return _refused(None, refusal("no_such_request", request=asked.rest))
    return _json(200, told)


def _has_token(asked: AdminRequest) -> bool:
    """Whether a token was sent along where none is needed."""
    sent = (
        asked.headers.get(b"authorization", b"").rpartition(b" ")[2],
        asked.headers.get(b"x-api-key", b""),
    )
    return any(asked.gateway.tokens.check(value) is not None for value in sent if value)


def _only(asked: AdminRequest) -> str | None:
    """The one session that this token may see; None: all."""
    return asked.token.session if asked.token is not None else None


_ROUTES: dict[str, Handler] = {
    "/": _page,
    "/health/live": _live,
    "/health/ready": _ready,
    "/health/liveliness": _live,
    "/health/readiness": _ready,
    "/metrics": _metrics,
    "/models": _models,
    "/holdfast/status": _status,
    "/holdfast/providers": _providers,
    "/holdfast/sessions": _sessions,
}
_BELOW: tuple[tuple[str, Handler], ...] = (
    ("/models/", _model),
    ("/holdfast/session/", _session),
    ("/holdfast/requests/", _request),
)
_QUICK = (_live, _page)
_OF_ALL = (_metrics, _status, _providers)
"""What tells of all sessions together: not for a token of one."""


def _found(path: str) -> tuple[Handler | None, str]:
    """The handler of a path, with or without /v1, and what stands behind its own part."""
    while path.startswith("/v1/"):
        path = path[3:]
    handler = _ROUTES.get(path)
    if handler is not None:
        return handler, ""
    return next(
        ((below, path[len(start) :]) for start, below in _BELOW if path.startswith(start) and path != start),
        (None, ""),
    )


def _json(status: int, value: object) -> AdminAnswer:
    return status, [(b"content-type", b"application/json")], json.dumps(value, ensure_ascii=False).encode()


def _refused(speaks: frozenset[Dialect] | None, error: ClientError) -> AdminAnswer:
    """Return a refusal in the caller's shape, which no SDK retries."""
    dialect = Dialect.OPENAI_CHAT
    if speaks == models.ANTHROPIC:
        dialect = Dialect.ANTHROPIC_MESSAGES
    headers = [(name.encode(), value.encode()) for name, value in error.headers.items()]
    return error.status(dialect), headers, error.body(dialect)
