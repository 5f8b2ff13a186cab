"""What a client asked for, as the conversation takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.identity import Connection
from ..core.secret import Secret
from ..wire.request_body import RequestInfo, inspect_body
from ..wire.request_head import OutboundRequest, PreparedHead, readable
from .header_rules import forwarded

if TYPE_CHECKING:
    from .http1.request_head import Head
    from .routing import HttpRoute


class GatewayRequest:
    """What a client asked for, as the conversation takes it."""

    __slots__ = ("_head", "asked", "body", "dialect", "judged", "path")

    judged: bool

    def __init__(self, head: Head, route: HttpRoute, body: bytes) -> None:
        self.asked: RequestInfo = inspect_body(body)
        self.body: bytes | None = body
        self.dialect, self.judged = route.dialect, True
        self.path = f"{route.path}?{head.query.decode('ascii')}" if head.query else route.path
        self._head = head

    def opening(self, connection: Connection, secret: Secret | None) -> OutboundRequest:
        """The request as it leaves for `connection`."""
        head, streams = self._head, self.asked.streams
        dressed = head.dressed
        if dressed is None or not dressed.fits(connection, secret, streams):
            lines = (
                head.kept
                if head.accepts is None
                else [*head.kept, b"accept-encoding: " + readable(head.accepts, streams)]
            )
            names = connection.provider.forward_headers
            if names and head.optional:
                lines = lines + forwarded(head.optional, names)
            dressed = head.dressed = PreparedHead(connection, secret, streams, self.path, lines)
        return dressed.leave(self.body or b"", self.asked)
