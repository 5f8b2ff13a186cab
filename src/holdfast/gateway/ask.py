"""What a client asked for, as the conversation takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.identity import Connection
from ..core.secret import Secret
from ..http.asked import Asked, asked_by
from ..http.wire import Leaving, leave, readable

if TYPE_CHECKING:
    from .head import Head
    from .routes import Route


class GatewayAsk:
    """What a client asked for, as the conversation takes it."""

    __slots__ = ("asked", "body", "dialect", "judged", "lines", "path")

    judged: bool

    def __init__(self, head: Head, route: Route, body: bytes) -> None:
        self.asked: Asked = asked_by(body)
        self.body: bytes | None = body
        self.dialect, self.judged = route.dialect, True
        self.path = f"{route.path}?{head.query.decode('ascii')}" if head.query else route.path
        self.lines = head.kept
        if head.accepts is not None:
            self.lines.append(b"accept-encoding: " + readable(head.accepts, self.asked.streams))

    def opening(self, connection: Connection, secret: Secret | None) -> Leaving:
        """The request as it leaves for `connection`."""
        return leave(connection, secret, self.path, self.lines, self.body or b"", self.asked)
