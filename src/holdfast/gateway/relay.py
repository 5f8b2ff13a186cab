"""Carries one request to a provider and its answer back, from the callbacks of two connections, without a
task of its own.

It decides nothing: it opens, reads and waits as the conversation asks, then passes on the result.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ..engine.request import RequestRun
from ..store.token import Token
from ..wire.conversation import Conversation, run_conversation
from ..wire.error_bodies import refusal
from ..wire.operations import Close, Read, Wait, Whole
from ..wire.request_head import OutboundRequest
from .client_request import ClientRequest
from .http1.errors import ReadTimeout, UpstreamErrors
from .http1.ports import ClientConnection, UpstreamLink
from .http1.response_head import ResponseHead
from .ports import RelayContext
from .request_start import RequestStart
from .token_refusals import pin_refusal

_log = logging.getLogger("holdfast.gateway")
ERRORS = UpstreamErrors()


class Relay(RequestStart):
    """A request between its client and a provider.

    `_waiting` is the operation whose answer is waited for, `_limit` the number of bytes of the provider's
    body that may come before a whole body is judged.
    """

    __slots__ = ("_conversation", "_limit", "_outbound", "_timer", "_waiting")

    def __init__(
        self,
        gateway: RelayContext,
        client: ClientConnection,
        request: ClientRequest,
        session: str,
        token: Token,
    ) -> None:
        super().__init__(gateway, client, request, session=session, token=token)
        self._conversation: Conversation | None = None
        self._outbound: OutboundRequest | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: type | None = None
        self._limit = 0

    def _converse(self, request_run: RequestRun) -> None:
        """Begin the conversation of a started request, unless its token may not use the pin."""
        gateway = self._gateway
        refused = pin_refusal(self._token, request_run.pin, request_run.call.route.connection.pin)
        if refused is not None:
            request_run.abandon()
            self._refuse(refused)
            return
        self.request_run = request_run
        self._conversation = run_conversation(
            errors=ERRORS,
            engine=gateway.engine,
            request_run=request_run,
            request=self.request,
            bounds=gateway.conversation_bounds,
        )
        self._advance(None)

    def connected(self, link: UpstreamLink) -> None:
        """Take the connection that was opened for this request."""
        if self.over or self._outbound is None:
            link.give_back()
        else:
            self._upstream = link
            link.send(self, self._outbound)

    def answered(self, head: ResponseHead, pieces: list[bytes], *, ended: bool) -> None:
        """Take the head of the answer; where `ended`, with all of its body."""
        self._pieces, self._ended = pieces, ended
        if ended:
            self._upstream = None
        else:
            self._clock.start(self._gateway.loop.time())
        self._advance(head)

    def fed(self, data: bytes, *, ended: bool) -> None:
        """Take the next piece of the body."""
        stream = self._stream
        if stream is not None:
            # Nearly every piece of a stream takes only this path, so it is written without further calls.
            if data:
                stream.feed(data)
                if stream.rewriter is not None:
                    data = stream.rewriter.feed(data)
            if data:
                self.chunks += 1
                self.size += len(data)
                self._client.send(data)
            if ended:
                self._upstream, self._ended = None, True
                self._end_stream(stream)
            return
        if ended:
            self._upstream, self._ended = None, True
        if data:
            self._pieces.append(data)
            self._clock.came += len(data)
        if self._waiting is Read and (self._pieces or ended):
            self._advance(self._pieces.pop(0) if self._pieces else None)
        elif self._waiting is Whole and (ended or self._clock.came > self._limit):
            pieces, self._pieces = self._pieces, []
            self._advance(pieces)

    def failed(self, error: Exception) -> None:
        """Take note that no connection could be opened, or that it broke."""
        self._upstream = None
        if self.over:
            return
        if self._stream is not None:
            self._end_stream(self._stream, error)
        elif self._waiting in (OutboundRequest, Read, Whole):
            self._advance(None, error)
        else:
            self._failure = error  # for the step that reads on

    def look(self, now: float) -> None:
        """Give up a provider that is silent for too long, and send a comment to a client that waits for long.

        `now` is the loop's time in seconds.
        """
        if self.over:
            return
        if self._token.id not in self._gateway.good_tokens:
            self._give_up()
            self._break_off(refusal("token_ended"))
            return
        late = self._overdue(now)
        if late:
            self._drop()
            self.failed(ReadTimeout(late))
            return
        if self._waiting is Read:
            self._advance(b"")
        self._comment(now)

    def _overdue(self, now: float) -> str:
        """Return why the provider has had its time, "" while it has some left."""
        bounds = self._gateway.bounds
        if self._waiting is OutboundRequest:
            return self._clock.head_overdue(now, bounds)
        if self._stream is None and self._waiting not in (Read, Whole):
            return ""
        self._note_progress(now)
        return self._clock.body_overdue(now, bounds)

    def client_closed(self) -> None:
        """Give up, since the client left: the provider's stream is closed at once, and no key is blamed."""
        if self.over:
            return
        self.over = self.client_left = True
        self.seconds = self._gateway.loop.time() - self.began
        self._give_up()
        if self._stream is not None:
            self.usage = self._stream.usage
        self._gateway.metrics.finished(self)

    def _give_up(self) -> None:
        """Close the provider's connection and end the conversation; no key is blamed."""
        if self._timer is not None:
            self._timer.cancel()
        self._drop()
        if self._conversation is not None:
            self._conversation.close()
        if self._stream is not None:
            self._stream.end_without_fault()

    def _advance(self, result: Any, error: Exception | None = None) -> None:
        """Let the conversation go on with a result or an error, as far as it can without waiting."""
        conversation, self._waiting = self._conversation, None
        if conversation is None or self.over:
            return
        try:
            op: Any = conversation.send(result) if error is None else conversation.throw(error)
            while True:
                kind = type(op)
                if kind is OutboundRequest:
                    self._open(op)
                    return
                if kind is Whole:
                    held = sum(map(len, self._pieces))
                    self._limit = self._clock.came - held + op.limit
                    if not self._ended and self._clock.came <= self._limit:
                        break
                    result, self._pieces = self._pieces, []
                elif kind is Read:
                    if not self._pieces and not self._ended:
                        break
                    result = self._pieces.pop(0) if self._pieces else None
                elif kind is Close:
                    self._drop()
                    result = None
                elif kind is Wait:
                    self._timer = self._gateway.loop.call_later(op.seconds, self._advance, None)
                    break
                else:
                    self._gateway.in_thread(op.call).add_done_callback(self._performed)
                    break
                op = conversation.send(result)
            self._waiting = kind
        except StopIteration as end:
            self._conversation = None
            self._pass_on(end.value)
        except Exception as failure:
            self.fail_inside(failure)

    def _performed(self, done: asyncio.Future[Any]) -> None:
        if self.over or done.cancelled():
            return
        error = done.exception()
        if error is not None:
            self.fail_inside(error)
            return
        self._advance(done.result())
        if self._failure is not None and self._waiting in (Read, Whole):
            self._advance(None, self._failure)

    def _open(self, outbound: OutboundRequest) -> None:
        """Send a request, on a kept connection or on a new one."""
        self._outbound, self._waiting, self._ended, self._failure = outbound, OutboundRequest, False, None
        self._pieces.clear()
        self._clock.start(self._gateway.loop.time())
        pool = self._gateway.upstreams.to(outbound.endpoint.origin)
        upstream = self._upstream = None if outbound.fresh else pool.take()
        if upstream is not None:
            upstream.send(self, outbound)
        else:
            self._gateway.spawn(pool.dial(self))

    def fail_inside(self, error: BaseException) -> None:
        """Log an internal error, and end the request without details for the client."""
        _log.error("a request failed inside the gateway", exc_info=error)
        if self.over:
            return
        self._drop()
        self._answer_inside()
        if self._conversation is not None:
            self._conversation.close()
        self._finish(500, 0)
