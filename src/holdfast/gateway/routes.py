"""Which request a path is: the data routes with and without version, for a session or for none."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from ..core.identity import Dialect
from ..core.session import is_session_id
from .framing import Malformed

DATA: dict[str, Dialect] = {
    "chat/completions": Dialect.OPENAI_CHAT,
    "responses": Dialect.OPENAI_RESPONSES,
    "messages": Dialect.ANTHROPIC_MESSAGES,
    "messages/count_tokens": Dialect.ANTHROPIC_MESSAGES,
    "embeddings": Dialect.OPENAI_CHAT,
}
_MOST, _LONGEST = 4096, 600
_PREFIX = b"/s/"


class Route(NamedTuple):
    """`name` is the key of DATA, "" for what is no data route; `path` is what follows the session; `session` is None for none."""

    name: str
    path: str
    dialect: Dialect
    session: str | None


class Routes(dict[bytes, Route]):
    """From a path as it was sent to its route; bounded. Raises Malformed for a session that cannot be one."""

    def __missing__(self, raw: bytes) -> Route:
        session, path = None, raw
        if raw.startswith(_PREFIX):
            named, _, rest = raw.removeprefix(_PREFIX).partition(b"/")
            session = unquote_to_bytes(named).decode("utf-8", "replace")
            if not is_session_id(session):
                raise Malformed(f"'{session[:40]}' cannot be a session's id")
            path = b"/" + rest
        text = path.decode("ascii")
        name = text.removeprefix("/v1").strip("/") if text.startswith("/v1/") else text.strip("/")
        dialect = DATA.get(name)
        shape = Dialect.ANTHROPIC_MESSAGES if name.startswith("messages") else Dialect.OPENAI_CHAT
        route = Route(name if dialect is not None else "", text, dialect or shape, session)
        if len(self) >= _MOST:
            self.clear()
        if len(raw) <= _LONGEST:  # anybody may make up any number of paths
            self[raw] = route
        return route
