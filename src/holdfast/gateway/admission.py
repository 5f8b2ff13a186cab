"""Decides from a request's head alone whether the request may go on: host, origin, token, route and
session."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..core.identity import Dialect
from ..core.session import is_session_id
from ..store.token import Token
from ..values.addresses import is_loopback
from ..wire.api_routes import body_rule
from ..wire.error_bodies import ClientError, refusal, unreadable
from ..wire.response_head import header_lines
from .header_rules import withhold_credentials
from .http1.authority import host_of, host_of_origin, is_address
from .http1.framing import MalformedMessage
from .http1.header_actions import LABEL, UPGRADE
from .http1.limits import HttpLimits
from .http1.ports import LocalAnswer
from .http1.request_head import Head
from .ports import Tokens
from .routing import KNOWN_METHODS, HttpRoute, HttpRoutes, session_for, wrong_method

_NO_WEBSOCKET = {"upgrade": "HTTP/1.1", "connection": "Upgrade"}
_MOST_REMEMBERED = 1024
_LONGEST_REMEMBERED = 300


class Admission:
    """The decision about one head: its route, token and session, or the error that its client gets.

    `session` is "" unless the request goes to a provider. `token` is None on an open path without one.
    `repeatable`: the same head may be admitted again without being read (data routes only). `body_bytes`: the
    most that its body may have. `streams`: its body is passed on as it comes.
    `unsure`: its token is not known, and may be new.
    """

    __slots__ = (
        "body_bytes",
        "error",
        "refusal",
        "repeatable",
        "route",
        "session",
        "streams",
        "token",
        "unsure",
    )

    def __init__(self, route: HttpRoute) -> None:
        self.route = route
        self.token: Token | None = None
        self.session = ""
        self.error: ClientError | None = None
        self.refusal: LocalAnswer | None = None
        self.repeatable = self.unsure = False
        self.body_bytes = 0
        self.streams = False

    @property
    def authenticated(self) -> bool:
        """True where a good token was shown."""
        return self.token is not None


class AdmissionControl:
    """The admission of all requests of one gateway.

    Paths in `open_paths` need no token. `hosts` are the further names, in lower case, under which clients may
    address the gateway. `limits` say how long a body may be.
    """

    def __init__(
        self, tokens: Tokens, open_paths: Collection[str], hosts: set[str], limits: HttpLimits
    ) -> None:
        self._tokens, self._open_paths, self._hosts = tokens, open_paths, hosts
        self._limits = limits
        self.routes = HttpRoutes()
        self._known_hosts: dict[bytes, bool] = {}
        self._known_origins: dict[bytes, bool] = {}
        self._own_sessions: dict[str, str] = {}

    def admit(self, head: Head) -> Admission:
        """Decide about a head. Raises MalformedMessage for a session id or a Host that is not allowed."""
        admission = Admission(self.routes[head.path])
        admission.error = self._barred(head, admission)
        if admission.error is None:
            admission.repeatable = bool(admission.session)
            admission.body_bytes = self._longest_body(admission)
            if admission.session and admission.route.takes_file and self._is_long(head, admission.route):
                admission.streams, admission.body_bytes = True, self._limits.upload_bytes
        return admission

    def session_of(self, token: Token) -> str:
        """Return the session of a token's requests that name none."""
        named = self._own_sessions.get(token.id)
        if named is None:
            named = f"token-{token.label}"
            if not is_session_id(named):
                named = f"token-{token.id}"
            self._own_sessions[token.id] = named
        return named

    def allows_host(self, host: bytes) -> bool:
        """Return whether a Host header names this gateway.

        Any other name may belong to a page that uses DNS rebinding. A literal address, and no header at all,
        never come from such a page. Raises MalformedMessage for what is no host (RFC 9112 3.2).
        """
        known = self._known_hosts.get(host)
        if known is None:
            name = host_of(host) if host else ""
            if name is None:
                raise MalformedMessage("the Host header holds no host")
            known = not name or self._is_own_host(name) or is_address(name)
            _remember(self._known_hosts, host, known)
        return known

    def allows_origin(self, origin: bytes) -> bool:
        """Return whether a page of this origin may use the gateway."""
        known = self._known_origins.get(origin)
        if known is None:
            name = host_of_origin(origin)
            known = name is not None and self._is_own_host(name)
            _remember(self._known_origins, origin, known)
        return known

    def _is_long(self, head: Head, route: HttpRoute) -> bool:
        """Return whether a body that may be a file is longer than what is held of one. All is held where a
        model is looked for."""
        if head.method != b"POST" or not (head.chunked or head.length > self._limits.held_bytes):
            return False
        return not body_rule("POST", route.path, head.once.get(LABEL, b"").lower()).named

    def _longest_body(self, admission: Admission) -> int:
        """Return the most bytes that a request's body may have: none where no token was shown."""
        if admission.session:
            return self._limits.body_bytes
        if admission.token is not None:
            return self._limits.local_body_bytes
        return 0

    def _barred(self, head: Head, admission: Admission) -> ClientError | None:
        """Return the error for a request that may not go on; fill in `admission` for the others."""
        route = admission.route
        if not self.allows_host(head.host):
            return refusal("foreign_host")
        if head.origin is not None and not self.allows_origin(head.origin):
            return refusal("foreign_origin")
        token = admission.token = self._token_of(head)
        refused = None
        if token is None:
            refused = self._barred_without_token(head, admission)
        if refused is None and head.method not in KNOWN_METHODS:
            refused = refusal("method_unknown", method=head.method.decode("ascii")[:20])
        if refused is not None or not route.name or token is None or head.method == b"OPTIONS":
            return refused
        withhold_credentials(head)
        if head.method != b"POST" and _asks_for_websocket(head):
            return refusal("upgrade_required", path=route.path, headers=_NO_WEBSOCKET)
        if head.method not in route.methods:
            return wrong_method(route)
        if head.method != b"POST" or (route.listed is not None and route.listed.shared):
            admission.route = route.for_caller(head.method, anthropic=_speaks_anthropic(head))
        chosen = session_for(token, route, head.once, self.session_of(token))
        if isinstance(chosen, ClientError):
            return chosen
        admission.session = chosen
        return None

    def _barred_without_token(self, head: Head, admission: Admission) -> ClientError | None:
        """Return the error for a request without a good token: what is open to all costs next to nothing."""
        route = admission.route
        if route.path not in self._open_paths:
            if not head.credentials:
                return refusal("no_token")
            # A look that ended just now may have brought the token.
            admission.unsure = self._tokens.may_have_changed or self._token_of(head) is not None
            return refusal("invalid_token")
        if head.length or head.chunked:
            return refusal("body_without_token", path=route.path)
        most = self._limits.unauthenticated_head_bytes
        if len(head.block) > most:
            return unreadable(431, f"without a good gateway token its head may have {most} bytes")
        return None

    def _token_of(self, head: Head) -> Token | None:
        """Return the token of the first good credential, which the head remembers; None where there is
        none."""
        for value in head.credentials:
            token = self._tokens.check(value)
            if token is not None:
                head.credential = value
                return token
        return None

    def _is_own_host(self, host: str) -> bool:
        if ":" in host:
            return host in self._hosts or is_loopback(f"[{host}]")
        return host in self._hosts or is_loopback(host)


def _asks_for_websocket(head: Head) -> bool:
    """Return whether a request wants a WebSocket. Codex asks for one first, and goes on over HTTP after 426
    alone."""
    return b"websocket" in head.once.get(UPGRADE, b"").lower()


def _speaks_anthropic(head: Head) -> bool:
    """Return whether a request is one of Anthropic's API, by the header that all of these have."""
    return any(line[:18].lower() == b"anthropic-version:" for line in head.kept)


def local_answer(error: ClientError, dialect: Dialect, theirs: Sequence[bytes] = ()) -> LocalAnswer:
    """Return an error as an answer in the client's dialect, with the provider's header lines `theirs`."""
    ours = error.headers_for(dialect, (line.partition(b":")[0] for line in theirs))
    return LocalAnswer(error.status(dialect), [*theirs, *header_lines(ours)], error.body(dialect))


def _remember(known: dict[bytes, bool], value: bytes, verdict: bool) -> None:
    """Keep a verdict, within limits: a client can invent any number of values, of any length."""
    if len(known) < _MOST_REMEMBERED and len(value) < _LONGEST_REMEMBERED:
        known[value] = verdict
