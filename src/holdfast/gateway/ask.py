"""What a client asked for, as the conversation takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.identity import Connection
from ..core.secret import Secret
from ..http.asked import Asked, asked_by
from ..http.wire import Dressed, Leaving, readable

if TYPE_CHECKING:
    from .head import Head
    from .routes import Route


class GatewayAsk:
    """What a client asked for, as the conversation takes it."""

    __slots__ = ("_head", "asked", "body", "dialect", "judged", "path")

    judged: bool

    def __init__(self, head: Head, route: Route, body: bytes) -> None:
        self.asked: Asked = asked_by(body)
        self.body: bytes | None = body
        self.dialect, self.judged = route.dialect, True
        self.path = f"{route.path}?{head.query.decode('ascii')}" if head.query else route.path
        self._head = head

    def opening(self, connection: Connection, secret: Secret | None) -> Leaving:
        """The request as it leaves for `connection`."""
        head, streams = self._head, self.asked.streams
        dressed = head.dressed
        if dressed is None or not dressed.fits(connection, secret, streams):
            lines = head.kept if head.accepts is None else [*head.kept, b"accept-encoding: " + readable(head.accepts, streams)]
            dressed = head.dressed = Dressed(connection, secret, streams, self.path, lines)
        return dressed.leave(self.body or b"", self.asked)
