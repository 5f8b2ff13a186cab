"""One request on its way: drives `http.talk` from the callbacks of two connections, without a task of its
own. It decides nothing: the conversation says what to open, read or wait for, and this carries it out, then
hands on what came of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ..core.errors import HoldfastError, NoSession
from ..core.faults import Fault
from ..core.steps import Outcome
from ..engine.request import RequestRun
from ..engine.sessions import begin_session
from ..wire.conversation import (
    Close,
    Conversation,
    ConversationResult,
    GoodAnswer,
    Perform,
    Read,
    Wait,
    Whole,
    run_conversation,
)
from ..wire.error_bodies import ClientError, from_error, refusal
from ..wire.request_body import is_plain
from ..wire.request_head import OutboundRequest
from ..wire.response_head import header_lines
from ..wire.response_stream import ResponseStream
from .ask import GatewayRequest
from .header_rules import error_lines, passing
from .http1.errors import GatewayFaults, ReadTimeout, UpstreamError

if TYPE_CHECKING:
    from .gateway import Gateway
    from .http1.request_head import Head
    from .http1.server_connection import ServerConnection
    from .http1.upstream_pool import ResponseHead, UpstreamConnection
    from .routing import HttpRoute

_log = logging.getLogger("holdfast.gateway")
_FAULTS = GatewayFaults()
_COMMENT = b": holdfast\n\n"
_SSE = [b"content-type: text/event-stream", b"cache-control: no-cache"]


class Relay:
    """A request between its client and a provider. Also what metrics and logs read of it once it is over
    (`plane.Done`)."""

    __slots__ = (
        "_client",
        "_comments",
        "_ended",
        "_engine",
        "_gateway",
        "_leaving",
        "_limit",
        "_pieces",
        "_quiet",
        "_retries",
        "_tail",
        "_talk",
        "_timer",
        "_waiting",
        "ask",
        "began",
        "chunks",
        "first",
        "left",
        "over",
        "request_run",
        "route",
        "seconds",
        "session",
        "size",
        "status",
        "streamed",
        "up",
        "usage",
    )  # fmt: skip

    def __init__(
        self,
        gateway: Gateway,
        client: ServerConnection,
        head: Head,
        route: HttpRoute,
        session: str,
        body: bytes,
    ) -> None:
        self._gateway, self._client, self._engine = gateway, client, gateway.engine
        self.ask = GatewayRequest(head, route, body)
        self.route, self.session, self._retries = route.name, session, head.retries
        self.request_run: RequestRun | None = None
        self._talk: Conversation | None = None
        self.up: UpstreamConnection | None = None
        self._tail: ResponseStream | None = None
        self._leaving: OutboundRequest | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: type | None = None
        self._pieces: list[bytes] = []
        self._ended, self._limit, self._comments = False, 0, 0
        self.began = self._quiet = gateway.loop.time()
        self.status = self.size = self.chunks = 0
        self.seconds = 0.0
        self.streamed = self.left = self.over = False
        self.usage: Mapping[str, int] = {}
        self.first: float | None = None

    @property
    def broken(self) -> Fault | None:
        """What went wrong after the first piece had been passed on."""
        return self._tail.fault if self._tail is not None else None

    @property
    def outcome(self) -> Outcome | None:
        """How it ended, None where nothing was begun."""
        return self.request_run.outcome if self.request_run is not None else None

    @property
    def request_id(self) -> str:
        """By which the journal knows it."""
        return self.request_run.call.request_id if self.request_run is not None else ""

    def start(self) -> None:
        """Begin. A session that does not exist yet is made first, off the loop."""
        ask, gateway = self.ask, self._gateway
        body = ask.body or b""
        if not is_plain(body):
            self._refuse(refusal("unreadable_body"))
            return
        try:
            request_run = self._engine.start_request(
                self.session,
                ask.dialect,
                ask.asked.model,
                replayable=len(body) <= gateway.talk.replay,
                client_retries=self._retries,
                body=body,
            )
        except NoSession:
            making = gateway.in_thread(partial(begin_session, self._engine, self.session, ask.asked.model))
            making.add_done_callback(self._made)
            return
        except HoldfastError as error:
            self._refuse(from_error(error))
            return
        self.request_run = request_run
        pin = request_run.call.route.connection.pin
        if gateway.strict is not None and pin != gateway.strict:
            request_run.abandon()
            self.request_run = None
            facts = {
                "chosen": str(gateway.strict),
                "requested": str(pin),
                "candidates": [str(gateway.strict)],
            }
            self._refuse(refusal("pin_mismatch", facts=facts, chosen=gateway.strict, requested=pin))
            return
        self._talk = run_conversation(_FAULTS, self._engine, request_run, ask, gateway.talk)
        self._go(None)

    def _made(self, making: asyncio.Future[None]) -> None:
        if self.over or making.cancelled():
            return
        error = making.exception()
        if isinstance(error, HoldfastError):
            self._refuse(from_error(error))
        elif error is not None:
            self._bug(error)
        else:
            self.start()

    def _go(self, got: Any, error: Exception | None = None) -> None:
        """Let the conversation go on with what came, as far as it can without waiting."""
        talk, self._waiting = self._talk, None
        if talk is None or self.over:
            return
        try:
            op = talk.send(got) if error is None else talk.throw(error)
            while True:
                kind = type(op)
                if kind is OutboundRequest:
                    self._open(op)  # type: ignore[arg-type]
                    return
                if kind is Whole:
                    self._limit = op.limit  # type: ignore[union-attr]
                    if not self._ended and sum(map(len, self._pieces)) <= self._limit:
                        break
                    got, self._pieces = self._pieces, []
                elif kind is Read:
                    if not self._pieces and not self._ended:
                        break
                    got = self._pieces.pop(0) if self._pieces else None
                elif kind is Close:
                    self._drop()
                    got = None
                elif kind is Wait:
                    self._timer = self._gateway.loop.call_later(op.seconds, self._go, None)  # type: ignore[union-attr]
                    break
                else:
                    self._perform(op)  # type: ignore[arg-type]
                    break
                op = talk.send(got)
            self._waiting = kind
        except StopIteration as end:
            self._talk = None
            self._hand(end.value)
        except Exception as bug:
            self._bug(bug)

    def _perform(self, op: Perform) -> None:
        self._gateway.in_thread(op.call).add_done_callback(self._performed)

    def _performed(self, done: asyncio.Future[Any]) -> None:
        if self.over or done.cancelled():
            return
        error = done.exception()
        if error is not None:
            self._bug(error)
        else:
            self._go(done.result())

    def _open(self, leaving: OutboundRequest) -> None:
        self._leaving, self._waiting, self._ended = leaving, OutboundRequest, False
        self._pieces.clear()
        self._quiet = self._gateway.loop.time()
        pool = self._gateway.upstreams.to(leaving.endpoint)
        up = self.up = pool.take()
        if up is not None:
            up.send(self, leaving)
        else:
            self._gateway.spawn(pool.dial(self))

    def dialled(self, up: UpstreamConnection | None, error: UpstreamError | None) -> None:
        """A connection was made for us, or could not be."""
        if self.over:
            if up is not None:
                up.pool.put(up)
        elif up is None or self._leaving is None:
            self._go(None, error)
        else:
            self.up = up
            up.send(self, self._leaving)

    def resend(self) -> None:
        """A kept connection turned out to be closed before it was written to, or in good order and before any
        byte of an answer: the provider never took up the request, and it goes out once on a fresh one (as
        Go's net/http does)."""
        if self._leaving is not None and not self.over:
            self.up = None
            self._gateway.spawn(self._gateway.upstreams.to(self._leaving.endpoint).dial(self))

    def answered(self, head: ResponseHead, pieces: list[bytes], *, ended: bool) -> None:
        """The head of the answer, perhaps with all of its body."""
        self._pieces, self._ended = pieces, ended
        if ended:
            self.up = None
        self._go(head)

    def fed(self, data: bytes, *, ended: bool) -> None:
        """More of the body."""
        tail = self._tail
        if tail is not None and data and not ended:  # what `_pass` does, for nearly every piece of a stream
            tail.feed(data)
            self.chunks += 1
            self.size += len(data)
            self._client.send(data)
            return
        if ended:
            self.up, self._ended = None, True
        if tail is not None:
            self._pass(tail, data, ended=ended)
            return
        if data:
            self._pieces.append(data)
        if self._waiting is Read:
            if self._pieces or ended:
                self._go(self._pieces.pop(0) if self._pieces else None)
        elif self._waiting is Whole and (ended or sum(map(len, self._pieces)) > self._limit):
            pieces, self._pieces = self._pieces, []
            self._go(pieces)

    def broke(self, error: Exception) -> None:
        """The connection to the provider is gone."""
        self.up = None
        if self.over:
            return
        if self._tail is not None:
            self._broke_off(self._tail, error)
        elif self._waiting in (OutboundRequest, Read, Whole):
            self._go(None, error)

    def _drop(self) -> None:
        up, self.up = self.up, None
        if up is not None:
            up.drop()

    def _hand(self, told: ConversationResult) -> None:
        """Hand on what came of the conversation."""
        request_run, good = self.request_run, told.good
        if request_run is None:
            raise RuntimeError("a conversation without an exchange")
        if good is None:
            self._refuse(request_run.client_error(), error_lines(told.bad, self.outcome))
        elif self._comments:
            self._hand_late(good)
        else:
            head: Any = good.head
            lines = passing(head, self.outcome) + header_lines(request_run.headers())
            if good.tail is None:
                body = good.chunks[0]
                self._client.answer(head.status, lines, body)
                self.usage = good.usage
                self._finish(head.status, len(body))
            else:
                self._client.begin(head.status, lines, head.length)
                self._follow(good, good.tail)

    def _hand_late(self, good: GoodAnswer) -> None:
        """Pass on a good answer after comments: only a stream can follow them."""
        if good.tail is not None and not good.head.coding:
            self._follow(good, good.tail)
            return
        if good.tail is not None:
            good.tail.left()
            self._drop()
        self._refuse(refusal("not_a_stream", request=self.request_id))

    def _follow(self, good: GoodAnswer, tail: ResponseStream) -> None:
        """Pass on what was held back, then what comes."""
        self._tail, self.status, self.streamed = tail, good.head.status, True
        self._quiet = self._gateway.loop.time()
        self.first = self._quiet - self.began
        held = good.chunks + self._pieces
        for late in self._pieces:
            tail.feed(late)
        self._pieces = []
        data = held[0] if len(held) == 1 else b"".join(held)
        self._pass(tail, data, ended=self._ended, fed=True)

    def _pass(self, tail: ResponseStream, data: bytes, *, ended: bool, fed: bool = False) -> None:
        if data:
            if not fed:
                tail.feed(data)
            self.chunks += 1
            self.size += len(data)
            self._client.send(data)
        if ended:
            try:
                last = tail.finish()
            except UpstreamError:
                self._client.cut()
            else:
                if last:
                    self._client.send(last)
                self._client.end()
            self._finish(self.status, self.size)

    def _broke_off(self, tail: ResponseStream, error: Exception) -> None:
        last = tail.cut_off(error)
        if last and not self._client.sized:
            self._client.send(last)
            self._client.end()
        else:
            self._client.cut()
        self._finish(self.status, self.size)

    def _refuse(self, error: ClientError, theirs: Sequence[bytes] = ()) -> None:
        """Answer with an error of ours: as an event where comments have begun a stream, since its status is
        gone."""
        dialect = self.ask.dialect
        if self._comments:
            last = error.event(dialect)
            self._client.send(last)
            self._client.end()
            self._finish(200, len(last))
        else:
            self._finish(error.status(dialect), self._client.refuse(error, dialect, theirs))

    def _bug(self, error: BaseException) -> None:
        """Something of ours went wrong: told to the log, not to the client."""
        _log.error("a request failed inside the gateway", exc_info=error)
        if self.over:
            return
        self._drop()
        if self._tail is None and not self._comments:
            self._client.refuse(refusal("internal"), self.ask.dialect)
        else:
            self._client.cut()
        if self._talk is not None:
            self._talk.close()
        self._finish(500, 0)

    def _finish(self, status: int, size: int) -> None:
        if self.over:
            return
        self.over = True
        self.status, self.size = status, size
        self.seconds = self._gateway.loop.time() - self.began
        if self._tail is not None:
            self.usage = self._tail.usage
        self._client.finished()
        self._gateway.metrics.finished(self)

    def gone(self) -> None:
        """The client went away: the provider's stream is closed at once, and nobody is blamed."""
        if self.over:
            return
        self.over = self.left = True
        self.seconds = self._gateway.loop.time() - self.began
        if self._timer is not None:
            self._timer.cancel()
        self._drop()
        if self._talk is not None:
            self._talk.close()
        if self._tail is not None:
            self._tail.left()
            self.usage = self._tail.usage
        self._gateway.metrics.finished(self)

    def look(self, now: float) -> None:
        """Time has passed: whoever is silent for too long is given up, and a client that waits is told that
        we are here."""
        if self.over:
            return
        bounds = self._gateway.bounds
        up = self.up
        if up is not None and (up.heard or self._client.paused):
            up.heard, self._quiet = False, now
        limit = bounds.answer if self._waiting is OutboundRequest else bounds.stall
        if (
            self._waiting in (OutboundRequest, Read, Whole) or self._tail is not None
        ) and now - self._quiet > limit:
            self._drop()
            self.broke(ReadTimeout(f"the provider was silent for {limit:g} s"))
            return
        if self._waiting is Read:
            self._go(b"")
        self._comment(now - self.began)

    def _comment(self, waited: float) -> None:
        """Tell a client that waits long for its stream that we are here. From then on nothing can change its
        status."""
        if (
            self.over
            or self._tail is not None
            or not self.ask.asked.streams
            or waited <= self._gateway.bounds.comment * (self._comments + 1)
        ):
            return
        if not self._comments:
            early = [
                b"holdfast-request-id: " + self.request_id.encode(),
                b"holdfast-session: " + self.session.encode(),
            ]
            self._client.begin(200, [*_SSE, *early], None)
        self._comments += 1
        self._client.send(_COMMENT)
