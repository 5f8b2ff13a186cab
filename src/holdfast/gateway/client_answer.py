"""The client's side of one request: the answer to the client, and the figures for metrics and logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.faults import Fault
from ..core.steps import Outcome
from ..engine.answered_request import AnsweredRequest
from ..wire.error_bodies import ClientError, refusal
from ..wire.exchange import ConversationResult, GoodAnswer, SendFailed, passes_as_it_came
from ..wire.response_head import header_lines
from ..wire.response_stream import COMMENT, ResponseStream
from ..wire.usage import NO_USAGE
from .admission import local_answer
from .answer_clock import AnswerClock
from .client_request import ClientRequest
from .header_rules import error_lines, passing, refusal_lines
from .http1.errors import UpstreamError
from .http1.ports import ClientConnection, UpstreamLink
from .ports import RelayContext

_SSE = [b"content-type: text/event-stream", b"cache-control: no-cache"]


class ClientAnswer:
    """The answer to one request, passed on to its client (`ports.FinishedRequest`).

    `began` is the time when the request came, in seconds of the loop's clock; `_clock` runs for the provider.
    `_pieces` are pieces of the provider's answer that are not passed on yet; `_ended` is true once its last
    one came, `_failure` is why none will. `_comments` counts the comments that were sent, the last one at
    `_commented`.
    """

    __slots__ = (
        "_client",
        "_clock",
        "_commented",
        "_comments",
        "_ended",
        "_failure",
        "_gateway",
        "_pieces",
        "_stream",
        "_upstream",
        "began",
        "chunks",
        "client_left",
        "code",
        "first",
        "over",
        "request",
        "request_run",
        "route",
        "seconds",
        "session",
        "size",
        "status",
        "streamed",
        "usage",
    )

    def __init__(
        self, gateway: RelayContext, client: ClientConnection, request: ClientRequest, session: str
    ) -> None:
        self._gateway, self._client = gateway, client
        self.request = request
        self.route, self.session = request.route, session
        self.request_run: AnsweredRequest | None = None
        self._upstream: UpstreamLink | None = None
        self._stream: ResponseStream | None = None
        self._pieces: list[bytes] = []
        self._ended = False
        self._failure: Exception | None = None
        self._comments = 0
        self.began = self._commented = gateway.loop.time()
        self._clock = AnswerClock(self.began)
        self.status = self.size = self.chunks = 0
        self.seconds, self.code = 0.0, ""
        self.streamed = self.client_left = self.over = False
        self.usage: Mapping[str, int] = NO_USAGE
        self.first: float | None = None

    @property
    def broken(self) -> Fault | None:
        """The fault that ended the answer after its first piece had been passed on."""
        if self._stream is None:
            return None
        return self._stream.fault

    @property
    def outcome(self) -> Outcome | None:
        """The outcome, None where nothing was begun."""
        if self.request_run is None:
            return None
        return self.request_run.outcome

    @property
    def request_id(self) -> str:
        """The id by which the journal knows the request."""
        if self.request_run is None:
            return ""
        return self.request_run.call.request_id

    def pause(self) -> None:
        """Stop the provider, since the client reads too slowly."""
        if self._upstream is not None:
            self._upstream.pause()

    def resume(self) -> None:
        """Let the provider go on."""
        if self._upstream is not None:
            self._upstream.resume()

    def upstream_is_full(self, *, full: bool) -> None:
        """Take note that the provider reads slowly: a request that is sent whole waits for nobody."""

    def _drop(self) -> None:
        """Close the connection to the provider."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.drop()

    def _note_progress(self, now: float) -> None:
        """Tell the provider's clock what came since the last call. Where the client reads too slowly, the
        provider waits for it, and its time stands still."""
        upstream, stream, stopped = self._upstream, self._stream, self._client.paused
        heard = moved = stopped
        if upstream is not None:
            heard, upstream.heard = heard or upstream.heard, False
        if stream is not None:
            self._clock.came = self.size
            moved = stream.has_moved() or stopped
        self._clock.note(now, heard=heard, moved=moved)

    def _pass_on(self, result: ConversationResult) -> None:
        """Pass on the result of the conversation."""
        request_run, good = self.request_run, result.good
        if request_run is None:
            raise RuntimeError("a conversation without a request")
        if good is None:
            self._pass_on_bad(request_run, result.bad)
            return
        if self._comments:
            self._pass_on_late(good)
            return
        head = good.head
        lines = passing(good, self.outcome) + header_lines(request_run.headers())
        if good.stream is not None:
            self._client.begin(head.status, lines)
            self._pass_on_stream(good, good.stream)
            return
        body = good.chunks[0]
        self._client.answer(head.status, lines, body)
        self.usage = good.usage
        self._finish(head.status, len(body))

    def _pass_on_bad(self, request_run: AnsweredRequest, bad: SendFailed | None) -> None:
        """Answer with our own error; where no model was asked, with the provider's refusal as it came."""
        if bad is None or bad.head is None or not passes_as_it_came(self.request, bad):
            self._refuse(request_run.client_error(), error_lines(bad, self.outcome))
            return
        lines = refusal_lines(bad, request_run.headers(), self.outcome)
        self._client.answer(bad.head.status, lines, bad.body)
        self._finish(bad.head.status, len(bad.body))

    def _pass_on_late(self, good: GoodAnswer) -> None:
        """Pass on a good answer after comments: only a stream can follow them."""
        if good.stream is not None and good.stream.takes_events:
            self._pass_on_stream(good, good.stream)
            return
        if good.stream is not None:
            good.stream.end_without_fault()
            self._drop()
        self._refuse(refusal("not_a_stream", request=self.request_id))

    def _pass_on_stream(self, good: GoodAnswer, stream: ResponseStream) -> None:
        """Pass on the pieces that were held back, and from then on each one that comes."""
        self._stream, self.status, self.streamed = stream, good.head.status, True
        now = self._gateway.loop.time()
        self._clock.start(now)
        self.first = now - self.began
        held = good.chunks + [stream.passing(late) for late in self._pieces]
        self._pieces = []
        data = b"".join(held)
        if data:
            self.chunks += 1
            self.size += len(data)
            self._client.send(data)
        if self._ended or self._failure is not None:
            self._end_stream(stream, self._failure)

    def _end_stream(self, stream: ResponseStream, error: Exception | None = None) -> None:
        """End the answer, since the provider closed its body or the connection broke by `error`. One that was
        cut short ends with an error event, or its connection is cut."""
        try:
            last = stream.finish(error)
        except UpstreamError:
            self._client.cut()
        else:
            self._client.send(last)
            self._client.end()
        self._finish(self.status, self.size)

    def _refuse(self, error: ClientError, theirs: Sequence[bytes] = ()) -> None:
        """Answer with an error of ours and the provider's header lines `theirs`.

        Where comments have begun a stream, the error is sent as an event, since the status is sent already.
        """
        dialect, self.code = self.request.dialect, error.kind.name
        if self._comments:
            last = error.event(dialect)
            self._client.send(last)
            self._client.end()
            self._finish(200, len(last))
            return
        answer = local_answer(error, dialect, theirs)
        self._client.answer(*answer)
        self._finish(answer.status, len(answer.body))

    def _answer_inside(self) -> None:
        """Answer that we failed; where the answer has begun, cut it."""
        if self._stream is None and not self._comments:
            self._client.answer(*local_answer(refusal("internal"), self.request.dialect))
        else:
            self._client.cut()

    def _break_off(self, error: ClientError) -> None:
        """End the answer with an error of ours; where it has begun, with an event, or cut where none may
        follow."""
        if self._stream is None:
            self._refuse(error)
            return
        self.code = error.kind.name
        if self._stream.between_events:
            self._client.send(self._stream.last_event(error))
            self._client.end()
        else:
            self._client.cut()
        self._finish(self.status, self.size)

    def _finish(self, status: int, size: int) -> None:
        if self.over:
            return
        self.over = True
        self.status, self.size = status, size
        self.seconds = self._gateway.loop.time() - self.began
        if self._stream is not None:
            self.usage = self._stream.usage
        self._client.finished()
        self._gateway.metrics.finished(self)

    def _comment(self, now: float) -> None:
        """Send a comment to a client whose stream has been silent for long, so that nobody on the way takes
        it for dead. Where none of it was sent yet, its status is fixed from then on.

        `now` is the loop's time in seconds.
        """
        if self.over or not self.request.info.streams or self._client.paused:
            return
        silent_since = self._commented
        if self._stream is not None:
            silent_since = max(silent_since, self._clock.heard)
            if not self._stream.between_events:
                return
        if now - silent_since <= self._gateway.bounds.comment:
            return
        if self._stream is None and not self._comments:
            names = {"holdfast-request-id": self.request_id, "holdfast-session": self.session}
            early = [f"{name}: {value}".encode() for name, value in names.items()]
            self._client.begin(200, [*_SSE, *early])
        self._comments += 1
        self._commented = now
        self._client.send(COMMENT if self._stream is None else self._stream.waiting())
