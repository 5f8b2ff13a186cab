"""One request, without I/O: a generator that says what to open, read, close or wait for, is given what came,
and ends with what was told. The sync and the async transport and the gateway's relay only carry out what it
says.

It obeys the engine's steps and contains no rule of recovery: whether an answer is good, and what a bad one
means, the core says."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ..core.classify import looks_ok
from ..core.config import Limits
from ..core.errors import SecretMissing
from ..core.faults import Phase, Reply
from ..core.identity import Connection, Dialect
from ..core.secret import Secret
from ..core.steps import Answer, Send
from .ports import Engine, Faults, Open, RawHeaders, RequestRun
from .request_body import RequestInfo, requested_model
from .request_head import OutboundRequest
from .response_head import Decoder, decoded, reply_of, reply_of_error
from .response_stream import NOTHING, ResponseStream
from .sse import StreamWatch
from .usage import by_kind, usage_of


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a driver buffers and how long it waits. Sizes in bytes, times in seconds.

    `replay`: a larger request body is sent once and never again. `whole`: a larger answer is passed on
    without being looked at. `peek`, `peek_seconds`: a stream that has not begun its output by then is passed
    on as it is. `fault_seconds`: the body of a failed answer is read no longer than this. `raise_when_cut`: a
    stream without its terminal event raises the module's RemoteProtocolError; otherwise it ends with an error
    event of its dialect, by which the SDKs raise an error of theirs."""

    replay: int = Limits().replay_limit
    whole: int = 1024 * 1024
    peek: int = 64 * 1024
    peek_seconds: float = 10.0
    fault_seconds: float = 10.0
    raise_when_cut: bool = False


class Read(NamedTuple):
    """Answer with the next raw bytes of the open response's body, or None at its end; with b"" to say that
    time has passed."""


class Whole(NamedTuple):
    """Answer with the open response's body in pieces: all of it, and the response is closed; or those that
    first make more than `limit` bytes, and it stays open."""

    limit: int


class Close(NamedTuple):
    """Close the open response."""


class Wait(NamedTuple):
    """Let `seconds` pass."""

    seconds: float


class Perform(NamedTuple):
    """Call this, which may block; answer with what it returns."""

    call: Callable[[], Any]


Op = Open | OutboundRequest | Read | Whole | Close | Wait | Perform

_READ, _CLOSE = Read(), Close()
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.25


class Head(Protocol):
    """The head of an answer: content type and coding in lower case, the rest as it came."""

    status: int
    type: bytes
    coding: bytes

    @property
    def headers(self) -> RawHeaders: ...


class Ask(Protocol):
    """What the caller asked for. `body` is None when it is sent straight through and cannot be sent twice;
    `judged`: the answer is a model's, and is looked into."""

    asked: RequestInfo
    body: bytes | None
    dialect: Dialect
    judged: bool

    def opening(self, connection: Connection, secret: Secret | None) -> Open | OutboundRequest:
        """The request as it leaves for `connection`."""
        ...


class SendFailed(NamedTuple):
    """A bad answer: its head and decoded body, or the exception. Nothing in it repeats the key that was
    sent."""

    head: Head | None
    headers: RawHeaders
    body: bytes = b""
    error: Exception | None = None


class GoodAnswer(NamedTuple):
    """A good answer. With a tail it is still open: `chunks` were read already, the rest passes through the
    tail. `usage` is what a whole one tells, under the provider's names."""

    head: Head
    chunks: list[bytes]
    tail: ResponseStream | None
    usage: Mapping[str, int] = NOTHING


class ConversationResult(NamedTuple):
    """How a conversation ended. `good` if the outcome is; `bad` is the provider's last refusal, if it still
    speaks for the outcome."""

    good: GoodAnswer | None
    bad: SendFailed | None


# What is sent in depends on the operation, which no type can say.
Conversation = Generator[Op, Any, ConversationResult]


def succeeded(status: int) -> bool:
    """Whether HTTP says that the request was served. What the body says is the core's business."""
    return 200 <= status < 300


def run_conversation(
    adapter: Faults, engine: Engine, request_run: RequestRun, ask: Ask, bounds: Bounds
) -> Conversation:
    """Carry one request that was begun to its end."""
    talk = _ConversationState(adapter, engine, request_run, ask, bounds)
    try:
        while (step := request_run.step) is not None:
            if isinstance(step, Send):
                if step.after > 0:
                    yield Wait(step.after)
                request_run.answer((yield from talk.send(step.connection)))
            else:
                pause = _FIRST_PAUSE
                while not (yield Perform(request_run.perform)):
                    yield Wait(pause)
                    pause = min(pause * 1.5, _LONGEST_PAUSE)
        return talk.ended()
    except BaseException:
        request_run.abandon()
        raise


class _ConversationState:
    """The state of one request between its steps: the good answer that is open, or the last bad one."""

    __slots__ = ("adapter", "ask", "bad", "bounds", "engine", "good", "request_run", "secret")

    def __init__(
        self, adapter: Faults, engine: Engine, request_run: RequestRun, ask: Ask, bounds: Bounds
    ) -> None:
        self.adapter, self.engine, self.request_run, self.ask, self.bounds = (
            adapter,
            engine,
            request_run,
            ask,
            bounds,
        )
        self.secret: Secret | None = None
        self.good: GoodAnswer | None = None
        self.bad: SendFailed | None = None

    def send(self, connection: Connection) -> Generator[Op, Any, Answer]:
        """Send the request once and find out whether the answer is good."""
        request_run, adapter = self.request_run, self.adapter
        secret = (
            self._secret(connection)
            if request_run.knows(connection)
            else (yield Perform(lambda: self._secret(connection)))
        )
        if isinstance(secret, SecretMissing):
            now = request_run.now()
            return Answer(
                now,
                Reply(
                    None,
                    body=f"{type(secret).__name__}: {secret}".encode(),
                    phase=Phase.UNSENT,
                    request_written=False,
                ),
                sent_at=now,
            )
        self.secret = secret
        send = self.ask.opening(connection, secret)
        sent_at, phase = request_run.now(), Phase.HEADERS
        try:
            head: Head = yield send
            phase = Phase.BODY
            if succeeded(head.status):
                reply = yield from self._look(connection, head)
            else:
                read = send.timeout.get("read")
                send.timeout["read"] = (
                    self.bounds.fault_seconds if read is None else min(read, self.bounds.fault_seconds)
                )
                reply = yield from self._read_fault(connection, head)
        except adapter.not_theirs:
            raise
        except adapter.broken as error:
            self.bad = SendFailed(None, [], error=error)
            reply = reply_of_error(error, phase, connection.endpoint.host)
        return Answer(request_run.now(), reply, sent_at=sent_at)

    def _secret(self, connection: Connection) -> Secret | SecretMissing | None:
        try:
            return self.request_run.secret(connection)
        except SecretMissing as missing:
            return missing

    def ended(self) -> ConversationResult:
        """What came of it, now that there is an outcome."""
        outcome = self.request_run.outcome
        if outcome is None:
            raise RuntimeError("the engine gave neither a step nor an outcome")
        if outcome.fault is None and self.good is not None:
            head, chunks, tail, usage = self.good
            if tail is None:
                self.request_run.stream_ended(
                    None, "" if head.coding else requested_model(chunks[0]) or "", by_kind(usage)
                )
            else:
                self.request_run.answered_by(tail.model)
            return ConversationResult(self.good, None)
        speaks = (
            outcome.fault is not None and outcome.fault.phase is not Phase.UNSENT and not outcome.from_memory
        )
        return ConversationResult(None, self.bad if speaks else None)

    def _read_fault(self, connection: Connection, head: Head) -> Generator[Op, Any, Reply]:
        """The bounded body of a failed answer; one that stalls, breaks off or expands without end is judged
        by what came."""
        decoder, deadline = Decoder(head.coding), self.request_run.now() + self.bounds.fault_seconds
        parts: list[bytes] = []
        try:
            while (
                not decoder.full
                and self.request_run.now() < deadline
                and (chunk := (yield _READ)) is not None
            ):
                parts.append(decoder.feed(chunk))
        except self.adapter.broken:
            pass
        yield _CLOSE
        return self._refused(connection, head, b"".join(parts), Phase.HEADERS)

    def _refused(self, connection: Connection, head: Head, body: bytes, phase: Phase) -> Reply:
        """A bad answer as we keep it and hand it on: a provider that repeats the key it was shown is not
        repeated."""
        headers = head.headers
        if self.secret is not None:
            body = self.secret.scrub_bytes(body)
            headers = [
                (name, self.secret.scrub(value.decode("latin-1")).encode("latin-1", "replace"))
                for name, value in headers
            ]
        self.bad = SendFailed(head, headers, body)
        return reply_of(head.status, headers, body, phase, connection.endpoint.host)

    def _look(self, connection: Connection, head: Head) -> Generator[Op, Any, Reply | None]:
        """Whether an answer with a good status is one. None: yes, and `good` holds it."""
        if not self.ask.judged:
            self._commit(connection, head, [], None)
            return None
        if b"event-stream" in head.type or (
            self.ask.asked.streams and b"json" not in head.type and b"html" not in head.type
        ):
            if head.coding:
                self._commit(connection, head, [], None)
                return None
            return (yield from self._peek(connection, head))
        return self._judge(connection, head, (yield Whole(self.bounds.whole)))

    def _judge(self, connection: Connection, head: Head, chunks: list[bytes]) -> Reply | None:
        """Whether a body is an answer, if it is not too large to be looked at."""
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if len(body) > self.bounds.whole:
            self._commit(connection, head, chunks, None)
            return None
        seen = decoded(body, head.coding, self.bounds.whole) if head.coding else body
        whole = 0 < len(seen) < self.bounds.whole or not head.coding
        if whole and not looks_ok(
            head.status, head.type.decode("latin-1"), seen, self.engine.profile(connection)
        ):
            return self._refused(connection, head, seen, Phase.BODY)
        self.good = GoodAnswer(head, [body], None, usage_of(seen))
        return None

    def _peek(self, connection: Connection, head: Head) -> Generator[Op, Any, Reply | None]:
        """Hold a stream back until its output begins, so that an error before it can still be recovered
        from."""
        watch, chunks, size = StreamWatch(self.ask.dialect), [], 0
        deadline = self.request_run.now() + self.bounds.peek_seconds
        while True:
            chunk: bytes | None = yield _READ
            if chunk is None:
                watch.close()
            else:
                chunks.append(chunk)
                size += len(chunk)
                watch.feed(chunk)
            if watch.started:
                break
            if chunk is None or watch.error is not None:
                yield _CLOSE
                body = b"".join(chunks)
                if chunk is None and b"event-stream" not in head.type and body.lstrip()[:1] == b"{":
                    return self._judge(
                        connection, head, [body]
                    )  # no stream after all, and its type did not say so
                return self._refused(connection, head, body, Phase.PRE_OUTPUT)
            if size > self.bounds.peek or self.request_run.now() > deadline:
                break
        self._commit(connection, head, chunks, watch)
        return None

    def _commit(
        self, connection: Connection, head: Head, chunks: list[bytes], watch: StreamWatch | None
    ) -> None:
        tail = ResponseStream(
            self.adapter, self.engine, self.request_run, connection, watch, raises=self.bounds.raise_when_cut
        )
        self.good = GoodAnswer(head, chunks, tail)
