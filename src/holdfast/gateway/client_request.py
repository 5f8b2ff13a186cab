"""A client's request as the conversation takes it."""

from __future__ import annotations

from ..core.identity import Connection
from ..values.plain_text import plain
from ..values.secret import Secret
from ..wire.api_routes import body_rule
from ..wire.client_headers import readable_codings
from ..wire.error_bodies import ClientError, refusal
from ..wire.form_body import inspect_form
from ..wire.ports import Translated
from ..wire.request_body import UNREAD, RequestInfo, inspect_body, is_plain
from ..wire.request_coding import readable_body
from ..wire.request_head import BodilessHead, OutboundRequest, PreparedHead
from ..wire.strict_body import refusal_of_doubt
from .header_rules import forwarded, translated_lines
from .http1.header_actions import ENCODED, LABEL
from .http1.request_head import Head
from .routing import HttpRoute, asked_as

SHORT = 32 * 1024
"""Bytes: a shorter body is read strictly at once, a longer one in a thread."""
_LONGEST_LABEL = 80


class ClientRequest:
    """A client's request as the conversation takes it (`wire.exchange.ConversationRequest`).

    `route` is the name of its data route, with `{id}` for an id; `retries` is the number of earlier tries
    that its client reports. `readable`: its body is a JSON object, or is not looked into; where the token is
    `strict`, every parser reads the same model in it, and where it is `limited`, it is looked into. Until
    then `make_readable` has to be called.
    """

    __slots__ = (
        "_head",
        "_label",
        "_method",
        "_strict",
        "_uncertain",
        "body",
        "dialect",
        "info",
        "inspected",
        "masks_key",
        "path",
        "readable",
        "retries",
        "route",
        "rule",
    )

    inspected: bool

    def __init__(
        self, head: Head, route: HttpRoute, body: bytes, *, strict: bool = False, limited: bool = False
    ) -> None:
        self._label = head.once.get(LABEL, b"").lower()
        self._method = "POST" if head.method == b"POST" else asked_as(head.method)
        self.rule = body_rule(self._method, route.path, self._label)
        self.info: RequestInfo = UNREAD
        if self.rule.form and ENCODED not in head.once:
            self.info = inspect_form(body)
        elif self.rule.named and is_plain(body) and ENCODED not in head.once:
            self.info = inspect_body(body)
        self._uncertain = False
        if not self.rule.certain and body:
            self._uncertain = strict or (limited and not self.rule.judged)
        # Where no model was found, the body may be anything in braces.
        self.readable = self.info.span is not None or not self.rule.judged
        if (strict or limited) and self.rule.named and (ENCODED in head.once or not is_plain(body)):
            self.readable = False
        if self._uncertain:
            self.readable = False
        elif strict and self.readable:
            self.readable = len(body) < SHORT and refusal_of_doubt(body) is None
        self.body: bytes | None = body
        self.dialect, self.inspected = route.dialect, self.rule.judged
        self.path, self.route = route.path, route.name
        self.retries = head.retries
        if head.query:
            self.path = f"{route.path}?{head.query.decode('ascii')}"
        self._head, self._strict = head, strict
        self.masks_key = strict

    @property
    def prepared(self) -> PreparedHead:
        """The head as it last left."""
        prepared: PreparedHead = self._head.prepared
        return prepared

    def make_readable(self, most: int) -> ClientError | None:
        """Decode the body, up to `most` bytes. Return the refusal of one that cannot be read, or not in one
        way only. May take a while."""
        if self._uncertain:
            return refusal("uncertain_body", label=plain(self._label.decode("latin-1"))[:_LONGEST_LABEL])
        body = readable_body(self.body or b"", self._head.once.get(ENCODED, b""), most)
        if isinstance(body, ClientError):
            return body
        if self._strict:
            refused = refusal_of_doubt(body)
            if refused is not None:
                return refused
        self.body, self.info, self.readable = body, inspect_body(body), True
        return None

    def outbound(
        self, connection: Connection, secret: Secret | None, translated: Translated | None = None
    ) -> OutboundRequest:
        """Return the request as it leaves for `connection`, `translated` for one of another dialect.

        The head keeps the lines as they last left: a client sends the same head again and again.
        """
        if translated is not None:
            return self._written_anew(connection, secret, translated)
        prepared: PreparedHead | None = self._head.prepared
        streams = self.info.streams
        if prepared is None or not prepared.fits(connection, secret, streams):
            lines = self._lines(connection, streams=streams)
            kind = BodilessHead if self._method != "POST" and not self.body else PreparedHead
            prepared = kind(connection, secret, streams, path=self.path, lines=lines, method=self._method)
            self._head.prepared = prepared
        return prepared.with_body(self.body or b"", self.info)

    def _written_anew(
        self, connection: Connection, secret: Secret | None, translated: Translated
    ) -> OutboundRequest:
        streams = translated.info.streams
        lines = translated_lines(self._lines(connection, streams=streams), translated.dialect)
        head = PreparedHead(connection, secret, streams, path=translated.path, lines=lines)
        return head.with_body(translated.body, translated.info)

    def _lines(self, connection: Connection, *, streams: bool) -> list[bytes]:
        """Return the client's header lines that go along."""
        head = self._head
        lines = [*head.kept]
        if streams or head.accepts is not None:
            lines.append(b"accept-encoding: " + readable_codings(head.accepts or b"", streams))
        names = connection.provider.forward_headers
        if names and head.optional:
            lines += forwarded(head.optional, names)
        return lines
