"""The routes that the gateway answers itself: model lists, health, metrics, and the admin pages as JSON.

Nothing here starts a process, asks a provider or changes anything; no answer holds a key or a prompt. A path
needs a gateway token unless it is in `AdminRoutes.OPEN`, whose answers without one are a status and no body.
A token that has limits sees its own models, sessions and requests only (`permissions`).
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode

from ...core.errors import HoldfastError, IdentityError
from ...core.identity import Dialect, Pin
from ...store.token import Token
from ...values.plain_text import plain_json
from ...wire.error_bodies import ClientError, from_error, refusal
from ..permissions import is_limited, usable_pins
from ..telemetry.metrics import CONTENT_TYPE, Metrics
from ..token_refusals import pins_in_session
from . import models, openapi, views

if TYPE_CHECKING:
    from ..http1.framing import RawHeaders
    from ..ports import AdminAnswer, AdminContext

_PAGE = """\
Holdfast gateway {version}: keeps a session on the provider, endpoint, key and model that its user chose.

Point a client here, with a gateway token (`holdfast token new`) as its API key:
  OpenAI SDKs      base URL  {base}/v1
  Anthropic SDKs   base URL  {base}
  one session      put /s/SESSION in front of the path

GET /health/live, /health/ready     whether it runs, whether it can serve (by status alone without a token)
GET /v1/models                      the models that requests may name
GET /metrics                        metrics for Prometheus
GET /holdfast/status, /holdfast/providers, /holdfast/sessions, /holdfast/session/ID, /holdfast/requests/ID
GET /holdfast/openapi.json          all routes, as OpenAPI describes them
"""

_STRICT = "strict"
_LONGEST_SHOWN = 40
"""Characters of what a client sent that a refusal repeats."""
_SESSIONS, _MOST_SESSIONS = 100, 1_000
"""Sessions of one page: where a request does not say, and at most."""


class AdminRequest(NamedTuple):
    """A request to an admin route. `rest` is the part of the path that follows the route's own part, `query`
    that of the URL behind the question mark."""

    gateway: AdminContext
    metrics: Metrics
    version: str
    rest: str
    headers: dict[bytes, bytes]
    token: Token
    query: str = ""


Handler = Callable[[AdminRequest], "AdminAnswer"]


class AdminRoutes:
    """The admin routes of one process (`ports.AdminHandler`)."""

    OPEN = frozenset({"/health/live", "/health/ready", "/health/liveliness", "/health/readiness"})

    def __init__(self, metrics: Metrics, version: str) -> None:
        self.metrics, self.version = metrics, version

    def serves(self, path: str) -> bool:
        """Return whether there is such a path."""
        return _route_of(path)[0] is not None

    def answer(
        self,
        gateway: AdminContext,
        path: str,
        query: str,
        headers: RawHeaders,
        token: Token | None,
    ) -> AdminAnswer | Future[AdminAnswer] | None:
        """Return the answer to a GET or HEAD, None for an unknown path.

        A route that reads the store runs in a thread.
        """
        handler, rest = _route_of(path)
        if handler is None:
            return None
        if token is None and path not in self.OPEN:
            return _refused(None, refusal("no_token"))
        request = AdminRequest(
            gateway=gateway,
            metrics=self.metrics,
            version=self.version,
            rest=unquote(rest),
            headers={name.lower(): value for name, value in headers},
            token=token or _NOBODY,
            query=query,
        )
        if handler in _OF_ALL and is_limited(request.token):
            return _refused(None, refusal("session_token"))
        if handler in _QUICK:
            return handler(request)
        return gateway.in_store_thread(partial(handler, request))


def _live(request: AdminRequest) -> AdminAnswer:
    """Report that the gateway runs; without a token by the status alone."""
    if request.token is _NOBODY:
        return 200, [], b""
    return _json(200, {"live": True})


def _ready(request: AdminRequest) -> AdminAnswer:
    """Report whether requests can be served: without a token by the status alone, and with one without limits
    also the state of store and configuration. While the store is away, a gateway is ready as long as there
    are sessions that it serves; asked with `strict`, only if none is refused."""
    engine = request.gateway.engine
    away = engine.guard.why_not()
    store, refused = "ok", ""
    if away is not None:
        store, refused = str(away), "new sessions"
        if engine.guard.reads is not None:
            refused = "new sessions, and sessions that this gateway has not served yet"
    serves = away is None
    if away is not None and _STRICT not in dict(parse_qsl(request.query, keep_blank_values=True)):
        serves = engine.guard.reads is None or engine.sessions.has_any()
    ready = serves and (request.gateway.replaced or not request.gateway.draining)
    status = 200 if ready else 503
    if request.token is _NOBODY:
        return status, [], b""
    if is_limited(request.token):
        return _json(status, {"ready": ready})
    config = str(engine.config_error or "ok")
    value = {"ready": ready, "store": store, "config": config, "draining": request.gateway.draining}
    if refused:
        value["refused"] = refused
    return _json(status, value)


def _metrics(request: AdminRequest) -> AdminAnswer:
    request.metrics.measure(request.gateway)
    return 200, [(b"content-type", CONTENT_TYPE.encode())], request.metrics.render(request.version)


def _page(request: AdminRequest) -> AdminAnswer:
    host = request.headers.get(b"host", b"127.0.0.1:4141").decode("latin-1")
    text = _PAGE.format(version=request.version, base=f"http://{host}")
    return (
        200,
        [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")],
        text.encode(),
    )


def _models(request: AdminRequest) -> AdminAnswer:
    speaks = models.spoken(request.headers)
    return _json(200, models.listing(request.gateway.engine, speaks, _usable(request)))


def _model(request: AdminRequest) -> AdminAnswer:
    speaks = models.spoken(request.headers)
    try:
        return _json(200, models.one(request.gateway.engine, request.rest, speaks, _usable(request)))
    except HoldfastError as error:
        return _refused(speaks, from_error(error))


def _status(request: AdminRequest) -> AdminAnswer:
    return _json(200, views.status(request.gateway, request.metrics.shared, request.version))


def _providers(request: AdminRequest) -> AdminAnswer:
    return _json(200, views.providers(request.gateway.engine))


def _sessions(request: AdminRequest) -> AdminAnswer:
    """Return a page of sessions; where there are more, `link` (RFC 8288) names the next."""
    asked = dict(parse_qsl(request.query))
    number = asked.get("limit", "")
    limit = _SESSIONS
    if number.isdecimal() and number.isascii():
        limit = min(max(int(number[:9]), 1), _MOST_SESSIONS)
    try:
        listed, after = views.sessions(request.gateway.engine, request.token, limit, asked.get("after", ""))
    except IdentityError:
        return _refused(None, refusal("bad_page", after=asked["after"][:_LONGEST_SHOWN]))
    status, headers, body = _json(200, listed)
    if after:
        following = urlencode({"limit": limit, "after": after})
        headers.append((b"link", f'</holdfast/sessions?{following}>; rel="next"'.encode()))
    return status, headers, body


def _session(request: AdminRequest) -> AdminAnswer:
    value = views.session(request.gateway.engine, request.rest, request.token)
    if value is None:
        return _refused(None, refusal("no_such_session", session=request.rest))
    return _json(200, value)


def _request(request: AdminRequest) -> AdminAnswer:
    value = views.request(request.gateway.engine, request.rest, request.token)
    if value is None:
        return _refused(None, refusal("no_such_request", request=request.rest))
    return _json(200, value)


def _openapi(request: AdminRequest) -> AdminAnswer:
    return _json(200, openapi.document(request.version))


def _usable(request: AdminRequest) -> Collection[Pin] | None:
    """Return the pins that this token may use; None for all."""
    token, engine = request.token, request.gateway.engine
    if token.session is None:
        return usable_pins(token, None)
    engine.catch_up()
    return pins_in_session(engine, token, token.session)


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
    "/holdfast/openapi.json": _openapi,
}
_BELOW: tuple[tuple[str, Handler], ...] = (
    ("/models/", _model),
    ("/holdfast/session/", _session),
    ("/holdfast/requests/", _request),
)
_QUICK = (_live, _page, _openapi)
"""Routes that do not read the store."""
_OF_ALL = (_metrics, _status, _providers)
"""Routes that show everything together, which a token with limits may not see."""
_NOBODY = Token("", "", "")
"""Stands for the token of a caller who needs none."""


def _route_of(path: str) -> tuple[Handler | None, str]:
    """Return the handler of a path, with or without /v1, and the part of the path that follows its own
    part."""
    while path.startswith("/v1/"):
        path = path[3:]
    handler = _ROUTES.get(path)
    if handler is not None:
        return handler, ""
    for start, below in _BELOW:
        if path.startswith(start) and path != start:
            return below, path[len(start) :]
    return None, ""


def _json(status: int, value: object) -> AdminAnswer:
    return status, [(b"content-type", b"application/json")], plain_json(value).encode()


def _refused(speaks: frozenset[Dialect] | None, error: ClientError) -> AdminAnswer:
    """Return a refusal in the caller's dialect, which no SDK retries."""
    dialect = Dialect.OPENAI_CHAT
    if speaks == models.ANTHROPIC:
        dialect = Dialect.ANTHROPIC_MESSAGES
    headers = [(name.encode(), value.encode()) for name, value in error.headers.items()]
    return error.status(dialect), headers, error.body(dialect)
