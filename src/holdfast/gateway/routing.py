"""Which request a path is: the data routes with and without version; and for which session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from ..core.identity import Dialect
from ..core.session import is_session_id
from ..store.base import Token
from ..wire.error_bodies import ClientError, refusal
from .http1.framing import MalformedMessage
from .http1.header_actions import HARNESS, SESSION

DATA: dict[str, Dialect] = {
    "chat/completions": Dialect.OPENAI_CHAT,
    "responses": Dialect.OPENAI_RESPONSES,
    "messages": Dialect.ANTHROPIC_MESSAGES,
    "messages/count_tokens": Dialect.ANTHROPIC_MESSAGES,
    "embeddings": Dialect.OPENAI_CHAT,
}
_MOST, _LONGEST = 4096, 600
_PREFIX = b"/s/"


class HttpRoute(NamedTuple):
    """`name` is the key of DATA, "" for what is no data route; `path` follows the session, for a data route
    without version; `session` is None for none."""

    name: str
    path: str
    dialect: Dialect
    session: str | None


class HttpRoutes(dict[bytes, HttpRoute]):
    """From a path as it was sent to its route; bounded. Raises Malformed for a session that cannot be one."""

    def __missing__(self, raw: bytes) -> HttpRoute:
        session, path = None, raw
        if raw.startswith(_PREFIX):
            named, _, rest = raw.removeprefix(_PREFIX).partition(b"/")
            session = unquote_to_bytes(named).decode("utf-8", "replace")
            if not is_session_id(session):
                raise MalformedMessage(f"'{session[:40]}' cannot be a session's id")
            path = b"/" + rest
        text = path.decode("ascii")
        name = text.removeprefix("/v1").strip("/") if text.startswith("/v1/") else text.strip("/")
        dialect = DATA.get(name)
        shape = Dialect.ANTHROPIC_MESSAGES if name.startswith("messages") else Dialect.OPENAI_CHAT
        # Whatever slashes surround it: a provider is asked for the route's own path.
        route = (
            HttpRoute(name, f"/{name}", dialect, session)
            if dialect is not None
            else HttpRoute("", text, shape, session)
        )
        if len(self) >= _MOST:
            self.clear()
        if len(raw) <= _LONGEST:  # anybody may make up any number of paths
            self[raw] = route
        return route


def session_for(token: Token, route: HttpRoute, once: Mapping[int, bytes], own: str) -> str | ClientError:
    """Whose request it is: the token's session, else that of the path, of the header, of what a harness
    sends, else the token's `own`."""
    named = route.session or (once[SESSION].decode("latin-1") if SESSION in once else "")
    if token.session is not None:
        if named and named != token.session:
            return refusal("session_mismatch", session=token.session)
        return token.session
    if named:
        if named != route.session and not is_session_id(named):
            return refusal("bad_session", session=named[:40])
        return named
    sent = once[HARNESS].decode("latin-1") if HARNESS in once else ""
    return sent if is_session_id(sent) else own


def there_is_no(path: str) -> ClientError:
    """Return the refusal of a path that is no route; it names those that are."""
    routes = [f"/v1/{name}" for name in (*DATA, "models")]
    return refusal("unknown_route", path=path, routes=", ".join(routes), facts={"candidates": routes})
