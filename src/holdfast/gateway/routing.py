"""Finds the route and the session of a request: data routes with and without version, and all other paths."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from ..core.identity import Dialect
from ..core.session import is_session_id
from ..store.token import Token
from ..wire.error_bodies import ClientError, refusal
from ..wire.route_table import PATHS, BodyKind, PathRoutes, routes_at
from .http1.framing import MalformedMessage
from .http1.header_actions import HARNESS, SESSION
from .permissions import may_use_session

KNOWN_METHODS = frozenset({b"POST", b"GET", b"HEAD", b"OPTIONS", b"PUT", b"PATCH", b"DELETE"})
"""Methods that are refused by route; any other is not implemented anywhere here."""
EVERYTHING = "*"
"""The path of `OPTIONS *`, which asks about the whole gateway (RFC 9110 9.3.7)."""
_MOST, _LONGEST = 4096, 600
_PREFIX = b"/s/"


def asked_as(method: bytes) -> str:
    """Return the method with which a provider is asked: the answer to HEAD is that to GET, without its
    body."""
    return "GET" if method == b"HEAD" else method.decode("ascii")


class HttpRoute(NamedTuple):
    """The route of a path.

    `listed` is its place in the table of the providers' routes; None, and `name` is "", for what is none of
    them. `path` is the part that follows the session, for a data route without version. `session` is None
    where the path names none. `methods` are those that the route allows. `takes_file`: the body of a POST may
    be one.
    """

    name: str
    path: str
    dialect: Dialect
    session: str | None
    listed: PathRoutes | None = None
    methods: Collection[bytes] = ()
    takes_file: bool = False

    def for_caller(self, method: bytes, *, anthropic: bool) -> HttpRoute:
        """Return the route for a method, and for a caller of this API where two APIs have its path."""
        row = None if self.listed is None else self.listed.row(asked_as(method), anthropic=anthropic)
        return self if row is None else self._replace(dialect=row.dialect)


class HttpRoutes(dict[bytes, HttpRoute]):
    """The routes by path as it was sent, of limited number.

    A look-up raises MalformedMessage for a session id that is not allowed.
    """

    def __missing__(self, raw: bytes) -> HttpRoute:
        session, path = None, raw
        if raw.startswith(_PREFIX):
            named, _, rest = raw.removeprefix(_PREFIX).partition(b"/")
            session = unquote_to_bytes(named).decode("utf-8", "replace")
            if not is_session_id(session):
                raise MalformedMessage(f"'{session[:40]}' cannot be a session's id")
            path = b"/" + rest
        text = path.decode("ascii")
        route = _route_of(text, session)
        if len(self) >= _MOST:
            self.clear()
        if len(raw) <= _LONGEST:  # a client may invent any number of paths
            self[raw] = route
        return route


def _route_of(path: str, session: str | None) -> HttpRoute:
    """Return the route of a path that follows the session."""
    name = path
    while name.startswith("/v1/"):  # a base URL with the version, under an SDK that adds it
        name = name.removeprefix("/v1")
    name = name.strip("/")
    listed = routes_at(name)
    if listed is not None:
        (row, *_), *_ = listed.rows.values()
        posts = listed.rows.get("POST", ())
        takes_file = any(row.body is BodyKind.FILE for row in posts)
        methods = frozenset(method.encode("ascii") for method in _with_head(listed))
        # The provider is asked for the route's own path, without the slashes that the client added.
        return HttpRoute(
            listed.name,
            f"/{name}",
            row.dialect,
            session,
            listed=listed,
            methods=methods,
            takes_file=takes_file,
        )
    shape = Dialect.OPENAI_CHAT
    if name.startswith("messages"):
        shape = Dialect.ANTHROPIC_MESSAGES
    return HttpRoute("", path, shape, session)


def _with_head(listed: PathRoutes) -> list[str]:
    """Return the methods of a path; where it has GET, HEAD too (RFC 9110 9.3.2)."""
    methods = [*listed.rows]
    if "GET" in methods:
        methods.insert(methods.index("GET") + 1, "HEAD")
    return methods


def session_for(token: Token, route: HttpRoute, once: Mapping[int, bytes], own: str) -> str | ClientError:
    """Return the session of a request, or the refusal of one that it may not use.

    It is the session to which the token is bound, else that of the path, of our header, of a harness's
    header, else the token's `own`. `once` holds the values of the headers by their action.
    """
    named = route.session or once.get(SESSION, b"").decode("latin-1")
    if token.session is not None:
        if named and not may_use_session(token, named):
            return refusal("session_mismatch", session=token.session)
        return token.session
    if named:
        if named != route.session and not is_session_id(named):
            return refusal("bad_session", session=named[:40])
        return named
    by_harness = once.get(HARNESS, b"").decode("latin-1")
    if is_session_id(by_harness):
        return by_harness
    return own


def allowed_methods(route: HttpRoute) -> str:
    """Return the methods that a route allows, as its Allow header names them."""
    if route.path == EVERYTHING:
        return "GET, HEAD, POST, DELETE, OPTIONS"
    if route.listed is not None:
        return ", ".join([*_with_head(route.listed), "OPTIONS"])
    return "GET, HEAD, OPTIONS"


def wrong_method(route: HttpRoute) -> ClientError:
    """Return the refusal of a method that a route does not allow."""
    allowed = allowed_methods(route)
    return refusal("method_not_allowed", path=route.path, allow=allowed, headers={"allow": allowed})


def unknown_route(path: str) -> ClientError:
    """Return the refusal of a path that is no route; it names those that are."""
    routes = [f"/v1/{name}" for name in (*PATHS, "models")]
    plain = [name for name in routes if "{" not in name]
    return refusal("unknown_route", path=path, routes=", ".join(plain), facts={"candidates": routes})
