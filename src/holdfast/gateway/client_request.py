"""A client's request as the conversation takes it."""

from __future__ import annotations

from ..core.identity import Connection
from ..core.secret import Secret
from ..wire.request_body import RequestInfo, inspect_body
from ..wire.request_head import OutboundRequest, PreparedHead, readable
from .header_rules import forwarded
from .http1.request_head import Head
from .routing import HttpRoute


class ClientRequest:
    """A client's request as the conversation takes it (`wire.conversation.Ask`).

    `route` is the name of its data route; `retries` is the number of earlier tries that its client reports.
    """

    __slots__ = ("_head", "asked", "body", "dialect", "judged", "path", "retries", "route")

    judged: bool

    def __init__(self, head: Head, route: HttpRoute, body: bytes) -> None:
        self.asked: RequestInfo = inspect_body(body)
        self.body: bytes | None = body
        self.dialect, self.judged = route.dialect, True
        self.path, self.route = route.path, route.name
        self.retries = head.retries
        if head.query:
            self.path = f"{route.path}?{head.query.decode('ascii')}"
        self._head = head

    def opening(self, connection: Connection, secret: Secret | None) -> OutboundRequest:
        """Return the request as it leaves for `connection`.

        The head keeps the lines as they last left: a client sends the same head again and again.
        """
        prepared: PreparedHead | None = self._head.prepared
        streams = self.asked.streams
        if prepared is None or not prepared.fits(connection, secret, streams):
            lines = self._lines(connection, streams=streams)
            prepared = PreparedHead(connection, secret, streams, path=self.path, lines=lines)
            self._head.prepared = prepared
        return prepared.leave(self.body or b"", self.asked)

    def _lines(self, connection: Connection, *, streams: bool) -> list[bytes]:
        """Return the client's header lines that go along."""
        head = self._head
        lines = [*head.kept]
        if head.accepts is not None:
            lines.append(b"accept-encoding: " + readable(head.accepts, streams))
        names = connection.provider.forward_headers
        if names and head.optional:
            lines += forwarded(head.optional, names)
        return lines
