"""The provider's side: connections that are kept and used again, and answers read as they come. What an
answer means is not looked at."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, cast

from ...core.identity import Endpoint
from ...wire.request_head import OutboundRequest
from .connect import UpstreamAddress, address_of, connect
from .errors import ReadError, RemoteProtocolError, UpstreamError
from .framing import CRLF, Chunks, HeaderNames, MalformedMessage, length_of, lines_of
from .header_actions import CODING, DROPPED, KEPT, LENGTH, OPTIONAL, PACKED, TYPE

if TYPE_CHECKING:
    from ..gateway import Bounds
    from ..relay import Relay

RawHeaders = list[tuple[bytes, bytes]]
_END = CRLF + CRLF
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: .*)?")
_MOST_LINES = 256
_LONGEST_HEAD = 256 * 1024
_BODILESS = frozenset({204, 304})


class ResponseHead:
    """The head of a provider's answer. `kept` are the lines that go on to the client, `optional` those that
    do where the provider's `forward_headers` name them; `length` is None where the body's end is told
    otherwise. `names` says what becomes of each line."""

    __slots__ = ("_lines", "chunked", "coding", "keep", "kept", "length", "optional", "status", "type")

    def __init__(self, block: bytes, names: HeaderNames) -> None:
        lines = self._lines = lines_of(block, _MOST_LINES)
        first = _STATUS.fullmatch(lines[0])
        if first is None:
            raise MalformedMessage("the answer's first line is no status of HTTP/1.1")
        self.status = int(first[2])
        self.keep = first[1] == b"1"
        self.kept: list[bytes] = []
        self.optional: tuple[bytes, ...] = ()
        self.type = self.coding = b""
        self.length: int | None = None
        self.chunked = False
        keep = self.kept.append
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            action = names[name] if colon else names[b""]
            if action == KEPT:
                keep(line)
            elif action == DROPPED:
                continue
            elif action == OPTIONAL:
                self.optional += (line,)
            else:
                self._note(action, line, value.strip(b" \t"))
        if self.chunked and self.length is not None:
            raise MalformedMessage("the answer tells its end in two ways")
        if self.status in _BODILESS:
            self.length, self.chunked = 0, False

    def _note(self, action: int, line: bytes, value: bytes) -> None:
        if action == TYPE:
            self.type = value.lower()
            self.kept.append(line)
        elif action == LENGTH:
            length = length_of(value)
            if self.length not in (None, length):
                raise MalformedMessage("the answer has two lengths")
            self.length = length
        elif action == CODING:
            if value.lower() != b"chunked" or self.chunked:
                raise MalformedMessage("the answer has a transfer coding that is not understood")
            self.chunked = True
        elif action == PACKED:
            self.coding = b"" if value.lower() == b"identity" else value.lower()
            self.kept.append(line)
        elif b"close" in value.lower():
            self.keep = False

    @property
    def headers(self) -> RawHeaders:
        """All of them, as they came, for whoever has to understand a failed answer."""
        pairs = (line.partition(b":") for line in self._lines[1:])
        return [(name, value.strip(b" \t")) for name, _, value in pairs]


class UpstreamConnection(asyncio.Protocol):
    """One connection to a provider; it carries one request at a time."""

    __slots__ = (
        "_chunks",
        "_held",
        "_keep",
        "_need",
        "_spoke",
        "_state",
        "_tr",
        "born",
        "heard",
        "pool",
        "relay",
        "served",
        "since",
    )

    _HEAD, _LENGTH, _CHUNKED, _CLOSE = range(4)

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.relay: Relay | None = None
        self.served, self.born, self.since, self.heard = 0, 0.0, 0.0, False
        self._state, self._need, self._keep, self._held = self._HEAD, 0, False, b""
        self._spoke = False
        self._chunks: Chunks | None = None
        self._tr: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tr = cast("asyncio.Transport", transport)
        self._tr.set_write_buffer_limits(self.pool.bounds.high_water)
        self.born = self.pool.loop.time()

    def send(self, relay: Relay, leaving: OutboundRequest) -> None:
        """Send a request; what comes of it is told to `relay`."""
        transport = self._tr
        if transport is None:
            raise RuntimeError("the connection is not open")
        self.relay, self._state, self._held, self._spoke = relay, self._HEAD, b"", False
        self.served += 1
        pieces = leaving.pieces
        if len(pieces) == 1:
            transport.write(pieces[0])
        else:
            transport.writelines(pieces)

    @property
    def usable(self) -> bool:
        """Whether another request can be sent."""
        return self._tr is not None and not self._tr.is_closing()

    def drop(self) -> None:
        """Close at once; what is still under way is wanted by nobody."""
        self.relay = None
        if self._tr is not None:
            self._tr.abort()

    def pause(self) -> None:
        """Let the provider wait for a slow reader."""
        if self._tr is not None and not self._tr.is_closing():
            self._tr.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._tr is not None and not self._tr.is_closing():
            self._tr.resume_reading()

    def data_received(self, data: bytes) -> None:
        relay = self.relay
        if (
            relay is None
        ):  # an answer that nobody asked for: nothing on this connection can be trusted any more
            self.drop()
            return
        self.heard = self._spoke = True
        try:
            if self._state == self._HEAD:
                self._head(relay, data)
            else:
                self._body(relay, data)
        except MalformedMessage as error:
            self.relay = None
            self.drop()
            relay.broke(RemoteProtocolError(f"the provider's answer is not HTTP: {error.what}"))

    def _head(self, relay: Relay, data: bytes) -> None:
        if self._held:
            data = self._held + data
        while True:
            end = data.find(_END)
            if end < 0:
                if len(data) > _LONGEST_HEAD:
                    raise MalformedMessage("its head is too long")
                self._held = data
                return
            head = ResponseHead(data[:end], self.pool.names)
            if head.status >= 200:
                break
            if head.status == 101:
                raise MalformedMessage("it changed the protocol")
            data = data[end + 4 :]
        self._held, self._keep = b"", head.keep
        rest = data[end + 4 :]
        if head.chunked:
            self._state, self._chunks = self._CHUNKED, Chunks()
        elif head.length is not None:
            self._state, self._need = self._LENGTH, head.length
            if len(rest) >= head.length:
                # All of it is there already: the connection is free before anybody looks at the answer.
                if len(rest) > head.length:
                    self._keep, rest = False, rest[: head.length]
                self._release()
                relay.answered(head, [rest] if rest else [], ended=True)
                return
        else:
            self._state, self._keep = self._CLOSE, False
        relay.answered(head, [], ended=False)
        if rest and self.relay is relay:
            self._body(relay, rest)

    def _body(self, relay: Relay, data: bytes) -> None:
        if self._state == self._CHUNKED:
            chunks = cast("Chunks", self._chunks)
            pieces = chunks.feed(data)
            ended = chunks.done
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            if ended and chunks.rest:
                self._keep = False
        elif self._state == self._LENGTH:
            if len(data) > self._need:
                self._keep, data = False, data[: self._need]
            self._need -= len(data)
            ended = not self._need
        else:
            ended = False
        if ended:
            self._release()
        relay.fed(data, ended=ended)

    def _release(self) -> None:
        """The answer is complete: keep the connection for the next request, if both sides will."""
        self.relay = None
        # An answer may come before all of the request has left: the next one would wait behind the rest of
        # it.
        if (
            self._keep
            and self._tr is not None
            and not self._tr.is_closing()
            and not self._tr.get_write_buffer_size()
        ):
            self.pool.put(self)
        else:
            self.drop()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        relay, self.relay, self._tr = self.relay, None, None
        self.pool.forget(self)
        if relay is None:
            return
        if self._state == self._CLOSE and exc is None:
            relay.fed(b"", ended=True)
        elif not self._spoke and self.served > 1 and (exc is None or isinstance(exc, BrokenPipeError)):
            relay.resend()
        elif exc is not None:
            relay.broke(ReadError(str(exc) or type(exc).__name__))
        elif self._state == self._HEAD:
            relay.broke(RemoteProtocolError("Server disconnected without sending a response."))
        else:
            relay.broke(RemoteProtocolError("peer closed connection without sending complete message body"))


class Pool:
    """The connections to one place, the last one used first."""

    __slots__ = ("bounds", "idle", "loop", "names", "open", "place")

    def __init__(
        self, place: UpstreamAddress, bounds: Bounds, loop: asyncio.AbstractEventLoop, names: HeaderNames
    ) -> None:
        self.place, self.bounds, self.loop, self.names = place, bounds, loop, names
        self.idle: list[UpstreamConnection] = []
        self.open: set[UpstreamConnection] = set()

    def take(self) -> UpstreamConnection | None:
        """A kept connection, or None."""
        while self.idle:
            up = self.idle.pop()
            if up.usable:
                return up
        return None

    def put(self, up: UpstreamConnection) -> None:
        """Keep a connection that has served."""
        now = self.loop.time()
        if len(self.idle) >= self.bounds.pool_size or now - up.born > self.bounds.pool_age:
            up.drop()
        else:
            up.since = now
            self.idle.append(up)

    def forget(self, up: UpstreamConnection) -> None:
        """The connection is gone."""
        self.open.discard(up)
        if up in self.idle:
            self.idle.remove(up)

    async def dial(self, relay: Relay) -> None:
        """Open a connection for `relay`, and tell it what came of that."""
        up = UpstreamConnection(self)
        try:
            await connect(self.place, lambda: up, self.bounds.connect)
        except UpstreamError as error:
            relay.dialled(None, error)
            return
        self.open.add(up)
        if up.usable:
            relay.dialled(up, None)
        else:
            relay.dialled(None, ReadError("the connection was closed as soon as it was made"))

    def sweep(self, now: float) -> None:
        """Close what has been idle for too long: the oldest stand first."""
        limit = now - self.bounds.pool_idle
        while self.idle and self.idle[0].since < limit:
            self.idle.pop(0).drop()


class Upstreams:
    """The pools of one process, one for each place. `names` says what becomes of the headers of answers."""

    def __init__(self, bounds: Bounds, names: HeaderNames) -> None:
        self._bounds, self._names = bounds, names
        self._pools: dict[str, Pool] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say on which loop the connections live."""
        self._loop = loop

    def to(self, endpoint: Endpoint) -> Pool:
        """The pool of an endpoint."""
        pool = self._pools.get(endpoint.origin)
        if pool is None:
            if self._loop is None:
                raise RuntimeError("the plane does not serve yet")
            pool = Pool(address_of(endpoint), self._bounds, self._loop, self._names)
            self._pools[endpoint.origin] = pool
        return pool

    def open(self) -> int:
        """How many connections there are, idle ones too."""
        return sum(len(pool.open) for pool in [*self._pools.values()])

    def sweep(self, now: float) -> None:
        """Look after all pools."""
        for pool in self._pools.values():
            pool.sweep(now)

    def close(self) -> None:
        """Cut all connections."""
        for pool in self._pools.values():
            for up in [*pool.open]:
                up.drop()
