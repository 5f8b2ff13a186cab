"""The client's side: reads one request at a time from a connection, strictly, and writes what is handed on.
Whatever is wrong with a request is answered in its dialect; whatever is unclear about where it ends closes
the connection."""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
from typing import TYPE_CHECKING, cast

from ...core.errors import HoldfastError
from ...core.identity import Dialect
from ...store.base import Token
from ...wire.error_bodies import ClientError, from_error, refusal, unreadable
from ...wire.response_head import header_lines
from ..header_rules import withhold_credentials
from ..own import LocalResponse
from ..relay import Relay
from ..routing import HttpRoute, session_for, there_is_no
from .framing import LONG_BODIES, BodyBuffer, Chunks, MalformedMessage, status_line
from .request_head import CachedHead, Head, cacheable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from ..gateway import Gateway, SideAnswer

_log = logging.getLogger("holdfast.gateway")
_END = b"\r\n\r\n"
_CLOSE = b"connection: close"


class ServerConnection(asyncio.Protocol):
    """One connection of a client."""

    __slots__ = (
        "_body",
        "_chunked_out",
        "_chunks",
        "_gateway",
        "_head",
        "_held",
        "_keep",
        "_need",
        "_room",
        "_route",
        "_seen",
        "_session",
        "_state",
        "_token",
        "_tr",
        "deadline",
        "paused",
        "relay",
        "sized",
        "unread",
    )  # fmt: skip

    _HEAD, _BODY, _BUSY, _FULL, _LINGER = range(5)

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._tr: asyncio.Transport | None = None
        self._state, self._need, self._keep, self._held = self._HEAD, 0, True, bytearray()
        self._head: Head | None = None
        self._route: HttpRoute | None = None
        self._token: Token | None = None
        self._seen: CachedHead | None = None
        self._session = ""
        self._body: list[bytes] = []
        self._room: BodyBuffer | None = None
        self._chunks: Chunks | None = None
        self._chunked_out = self.sized = self.paused = False
        self.relay: Relay | None = None
        self.deadline, self.unread = 0.0, 0

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self._state == self._BUSY

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tr = cast("asyncio.Transport", transport)
        self._tr.set_write_buffer_limits(self._gateway.bounds.high_water)
        self._gateway.clients.add(self)
        self.deadline = self._gateway.loop.time() + self._gateway.bounds.idle
        if self._gateway.draining:
            self._tr.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it was lost makes no difference
        self._tr = None
        self._gateway.clients.discard(self)
        relay, self.relay = self.relay, None
        if relay is not None:
            relay.gone()

    def eof_received(self) -> bool:
        return False  # whoever says no more has left: what is under way is wanted by nobody

    def pause_writing(self) -> None:
        self.paused = True
        if self.relay is not None and self.relay.up is not None:
            self.relay.up.pause()

    def resume_writing(self) -> None:
        self.paused = False
        if self.relay is not None and self.relay.up is not None:
            self.relay.up.resume()
        elif self._state == self._FULL:
            self._next()

    def retire(self) -> None:
        """Take no further request; close now if none is under way. One whose head is not whole was taken by
        nobody."""
        self._keep = False
        if self._state == self._HEAD and self._tr is not None:
            self._tr.close()

    def cut(self) -> None:
        """Close in the middle, so that nobody takes what was sent for a whole answer."""
        self._keep = False
        if self._tr is not None:
            self._tr.abort()

    def look(self, now: float) -> None:
        """Time has passed."""
        if self.relay is not None:
            self.relay.look(now)
        if now < self.deadline or self._tr is None:
            return
        if self._state == self._BODY or (self._state == self._HEAD and self._held):
            self._reject(refusal("request_timeout"))
        elif self._state != self._BUSY:
            before, self.unread = self.unread, self._tr.get_write_buffer_size()
            if not 0 < self.unread < before:
                self._tr.abort()
                return
            self.deadline = now + self._gateway.bounds.idle  # a slow reader, but it reads

    def data_received(self, data: bytes) -> None:
        if self._state == self._LINGER:
            return
        if self._state in (self._BUSY, self._FULL):  # the next request has to wait for the answer to this one
            self._held += data
            if self._tr is not None:
                self._tr.pause_reading()
            return
        try:
            while data and self._state in (self._HEAD, self._BODY):
                data = self._take_head(data) if self._state == self._HEAD else self._take_body(data)
        except MalformedMessage as error:
            self._reject(unreadable(error.status, error.what))
            return
        except Exception as error:
            _log.error("a request failed inside the gateway", exc_info=error)
            self._reject(refusal("internal"))
            return
        if data and self._state in (self._BUSY, self._FULL) and self._tr is not None:
            self._held += data
            self._tr.pause_reading()

    def _take_head(self, data: bytes) -> bytes:
        """Read as much of a head as there is; what follows it is given back."""
        bounds, held = self._gateway.bounds, self._held
        if self._seen is not None and not held:
            rest = self._take_again(self._seen, data)
            if rest is not None:
                return rest
        if held:
            searched = max(0, len(held) - 3)
            held += data
            end = held.find(_END, searched)
        else:
            data = data.lstrip(b"\r\n") if data[:1] in (b"\r", b"\n") else data
            end = data.find(_END)
        if end > bounds.head_bytes or (end < 0 and len(held or data) > bounds.head_bytes):
            raise MalformedMessage(f"its head is longer than {bounds.head_bytes} bytes", 431)
        if end < 0:
            if not held and data:
                held += data
                self.deadline = self._gateway.loop.time() + bounds.head
            return b""
        if held:
            data = bytes(held)
            held.clear()
        head = Head(data[:end], bounds.header_count, bounds.target_bytes, self._gateway.request_names)
        self._begin(head)
        if self._state != self._BODY:
            return b""
        self._seen = (
            cacheable(head)
            if self._route is not None and self._route.name and self._token is not None
            else None
        )
        return self._take_body(data[end + 4 :])

    def _take_again(self, seen: CachedHead, data: bytes) -> bytes | None:
        """What `_take_head` does, for the head that this connection's last request had too: a client sends
        the same one again and again, but for its length. None where it is another, or where the token is not
        what it was. Tested: nobody is answered otherwise by it."""
        place = seen.at(data)
        if place is None:
            return None
        token = self._gateway.tokens.check(seen.credential)
        if token is not self._token and token != self._token:
            return None
        start, end = place
        self._keep = seen.head.keep and not self._gateway.draining
        self._expect(seen.head, int(data[start:end]))
        return self._take_body(data[end + len(seen.after) :]) if self._state == self._BODY else b""

    def _begin(self, head: Head) -> None:
        """Decide from the head alone whether the body is wanted."""
        gateway = self._gateway
        self._head, self._keep = head, head.keep and not gateway.draining
        self._token = self._seen = None
        route = self._route = gateway.routes[head.path]
        refused = self._barred(head, route)
        if refused is not None:
            self._reject(refused)
        else:
            self._expect(head, head.length)

    def _expect(self, head: Head, length: int) -> None:
        """Make ready for the body, if it is not too long."""
        bounds = self._gateway.bounds
        if length > bounds.body_bytes:
            self._reject(unreadable(413, f"its body is larger than {bounds.body_bytes} bytes"))
            return
        self._state, self._need, self._chunks = self._BODY, length, None
        if head.chunked:
            self._chunks, self._need = Chunks(), 0
        if head.expects and self._tr is not None:
            self._tr.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _barred(self, head: Head, route: HttpRoute) -> ClientError | None:
        """Why this request may not go on, if it may not."""
        gateway = self._gateway
        if not gateway.may_be_called(head.host):
            return refusal("foreign_host")
        if head.origin is not None and not gateway.may_ask(head.origin):
            return refusal("foreign_origin")
        if route.path not in gateway.sides.OPEN:
            self._token = gateway.token_of(head)
            if self._token is None:
                return refusal("invalid_token" if head.credentials else "no_token")
        if not route.name:
            return None
        withhold_credentials(head)
        if head.method != b"POST":
            return refusal("method_not_allowed", path=route.path, allow="POST", headers={"allow": "POST"})
        token = cast("Token", self._token)
        chosen = session_for(token, route, head.once, gateway.session_of(token))
        if isinstance(chosen, ClientError):
            return chosen
        self._session = chosen
        return None

    def _take_body(self, data: bytes) -> bytes:
        """Read as much of the body as there is; what follows it is given back."""
        bounds = self._gateway.bounds
        if self._chunks is not None:
            pieces = self._chunks.feed(data)
            self._body.append(b"".join(pieces))  # one object, however small the pieces are
            self._need += len(self._body[-1])
            if self._need > bounds.body_bytes:
                raise MalformedMessage(f"its body is larger than {bounds.body_bytes} bytes", 413)
            if not self._chunks.done:
                self.deadline = self._gateway.loop.time() + bounds.body
                return b""
            rest = self._chunks.rest
        elif len(data) < self._need:
            if self._room is not None or (self._need in LONG_BODIES and not self._body):
                self._room = self._room or BodyBuffer()
                self._room.add(data)
            elif data:
                self._body.append(data)
            self._need -= len(data)
            self.deadline = self._gateway.loop.time() + bounds.body
            return b""
        else:
            rest = data[self._need :] if len(data) > self._need else b""
            self._body.append(data[: self._need] if rest else data)
        room, pieces = self._room, self._body
        body = (
            room.whole(pieces[0]) if room is not None else pieces[0] if len(pieces) == 1 else b"".join(pieces)
        )
        self._body, self._room = [], None
        self._dispatch(body)
        return rest

    def _dispatch(self, body: bytes) -> None:
        """The request is complete."""
        self._state, self.deadline = self._BUSY, math.inf
        head, route, gateway = cast("Head", self._head), cast("HttpRoute", self._route), self._gateway
        if route.name:
            relay = self.relay = Relay(gateway, self, head, route, self._session, body)
            relay.start()
            return
        found = gateway.sides.answer(
            gateway,
            head.method.decode("ascii"),
            route.path,
            head.query.decode("ascii"),
            head.headers,
            self._token,
        )
        if inspect.isawaitable(found):
            gateway.spawn(self._aside(found))
        else:
            self._answer_aside(found)

    async def _aside(self, found: Awaitable[SideAnswer | None]) -> None:
        try:
            answer = await found
        except HoldfastError as error:
            self._reject(from_error(error))
        except Exception as error:
            _log.error("a side route failed", exc_info=error)
            self._reject(refusal("internal"))
        else:
            self._answer_aside(answer)

    def _answer_aside(self, answer: SideAnswer | None) -> None:
        if answer is None:
            route = cast("HttpRoute", self._route)
            self.refuse(there_is_no(route.path), route.dialect)
            self._told(404, "unknown_route")
        else:
            status, headers, body = answer
            self.answer(status, [b"%b: %b" % pair for pair in headers], body)
            self._told(status)
        self.finished()

    def _told(self, status: int, code: str = "") -> None:
        """Let metrics and logs know of an answer of our own."""
        self._gateway.metrics.finished(
            LocalResponse(self._route.name if self._route is not None else "", status, code)
        )

    def answer(self, status: int, lines: list[bytes], body: bytes) -> None:
        """Write a whole answer."""
        if self._tr is None:
            return
        if not self._keep:
            lines.append(_CLOSE)
        lines.append(b"content-length: %d\r\n\r\n" % len(body))
        if self._head is not None and self._head.method == b"HEAD":
            body = b""
        head = status_line(status) + b"\r\n".join(lines)
        if len(body) < 32 * 1024:
            self._tr.write(head + body)
        else:
            self._tr.writelines((head, body))

    def begin(self, status: int, lines: list[bytes], length: int | None) -> None:
        """Write the head of an answer whose body follows piece by piece; `length` is None where nobody knows
        it."""
        if self._tr is None:
            return
        self.sized, self._chunked_out = length is not None, False
        if length is not None:
            lines.append(b"content-length: %d" % length)
        elif self._head is not None and self._head.modern:
            self._chunked_out = True
            lines.append(b"transfer-encoding: chunked")
        else:
            self._keep = False
        if not self._keep:
            lines.append(_CLOSE)
        self._tr.write(b"%b%b\r\n\r\n" % (status_line(status), b"\r\n".join(lines)))

    def send(self, data: bytes) -> None:
        """Write the next piece of a body."""
        if self._tr is None or not data:
            return
        if not self._chunked_out:
            self._tr.write(data)
        elif len(data) < 32 * 1024:
            self._tr.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self._tr.writelines((b"%x\r\n" % len(data), data, b"\r\n"))

    def end(self) -> None:
        """The body is complete."""
        if self._tr is not None and self._chunked_out:
            self._tr.write(b"0\r\n\r\n")

    def refuse(self, told: ClientError, dialect: Dialect, theirs: Sequence[bytes] = ()) -> int:
        """Answer a complete request with an error of ours, and with lines of the provider's head. Returns the
        length of its body."""
        body = told.body(dialect)
        self.answer(told.status(dialect), [*theirs, *header_lines(told.headers)], body)
        return len(body)

    def finished(self) -> None:
        """The answer is written: on to the next request, once the client takes what it has, or to the end."""
        self.relay = None
        if self._tr is None:
            return
        self.deadline = self._gateway.loop.time() + self._gateway.bounds.idle
        if self.paused:
            self._state, self.unread = self._FULL, self._tr.get_write_buffer_size()
        else:
            self._next()

    def _next(self) -> None:
        if self._tr is None:
            return
        if not self._keep:
            self._state, self.unread = self._LINGER, self._tr.get_write_buffer_size()
            self._tr.close()
            return
        self._state = self._HEAD
        if self._held:
            waiting = bytes(self._held)
            self._held.clear()
            self._gateway.loop.call_soon(self._go_on, waiting)

    def _go_on(self, waiting: bytes) -> None:
        if self._tr is not None:
            self._tr.resume_reading()
            self.data_received(waiting)

    def _reject(self, told: ClientError) -> None:
        """Answer a request whose rest is not wanted, and close once the client has had time to read why (RFC
        9112 9.6)."""
        if self._tr is None:
            return
        self._keep, self._state, self._body = False, self._LINGER, []
        self._held.clear()
        dialect = self._route.dialect if self._route is not None else Dialect.OPENAI_CHAT
        self.refuse(told, dialect)
        self._told(told.status(dialect), told.kind.name)
        self.deadline = self._gateway.loop.time() + self._gateway.bounds.linger
        if self._tr.can_write_eof():
            self._tr.write_eof()
