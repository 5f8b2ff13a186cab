"""One request, without I/O: a generator that says what to open, read, close or wait for, is given what came, and ends with what was
told. The sync and the async transport and the gateway's relay only carry out what it says.

It obeys the engine's steps and contains no rule of recovery: whether an answer is good, and what a bad one means, the core says.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ..core.config import Limits
from ..core.errors import SecretMissing
from ..core.faults import Phase, Reply, looks_ok
from ..core.identity import Connection, Dialect
from ..core.secret import Secret
from ..core.steps import Answer, Send
from .asked import Asked, requested_model
from .engine import Engine, Exchange
from .kit import Faults, Open, RawHeaders
from .sse import StreamWatch
from .tail import NOTHING, Tail
from .usage import by_kind, usage_of
from .wire import Decoder, Leaving, decoded, reply_of, reply_of_error


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a driver buffers and how long it waits. Sizes in bytes, times in seconds.

    `replay`: a larger request body is sent once and never again. `whole`: a larger answer is passed on without being looked at.
    `peek`, `peek_seconds`: a stream that has not begun its output by then is passed on as it is. `fault_seconds`: the body of
    a failed answer is read no longer than this. `raise_when_cut`: a stream without its terminal event raises the module's
    RemoteProtocolError; otherwise it ends with an error event of its dialect, by which the SDKs raise an error of theirs.
    """

    replay: int = Limits().replay_limit
    whole: int = 1024 * 1024
    peek: int = 64 * 1024
    peek_seconds: float = 10.0
    fault_seconds: float = 10.0
    raise_when_cut: bool = False


class Read(NamedTuple):
    """Answer with the next raw bytes of the open response's body, or None at its end; with b"" to say that time has passed."""


class Whole(NamedTuple):
    """Answer with the open response's body in pieces: all of it, and the response is closed; or those that first make more than
    `limit` bytes, and it stays open."""

    limit: int


class Close(NamedTuple):
    """Close the open response."""


class Wait(NamedTuple):
    """Let `seconds` pass."""

    seconds: float


class Perform(NamedTuple):
    """Call this, which may block; answer with what it returns."""

    call: Callable[[], Any]


Op = Open | Leaving | Read | Whole | Close | Wait | Perform

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
    """What the caller asked for. `body` is None when it is sent straight through and cannot be sent twice; `judged`: the answer is
    a model's, and is looked into."""

    asked: Asked
    body: bytes | None
    dialect: Dialect
    judged: bool

    def opening(self, connection: Connection, secret: Secret | None) -> Open | Leaving:
        """The request as it leaves for `connection`."""
        ...


class Failed(NamedTuple):
    """A bad answer: its head and decoded body, or the exception. Nothing in it repeats the key that was sent."""

    head: Head | None
    headers: RawHeaders
    body: bytes = b""
    error: Exception | None = None


class Good(NamedTuple):
    """A good answer. With a tail it is still open: `chunks` were read already, the rest passes through the tail. `usage` is what a whole
    one tells, under the provider's names."""

    head: Head
    chunks: list[bytes]
    tail: Tail | None
    usage: Mapping[str, int] = NOTHING


class Told(NamedTuple):
    """How a conversation ended. `good` if the outcome is; `bad` is the provider's last refusal, if it still speaks for the outcome."""

    good: Good | None
    bad: Failed | None


# What is sent in depends on the operation, which no type can say.
Talk = Generator[Op, Any, Told]


def succeeded(status: int) -> bool:
    """Whether HTTP says that the request was served. What the body says is the core's business."""
    return 200 <= status < 300


def converse(kit: Faults, engine: Engine, exchange: Exchange, ask: Ask, bounds: Bounds) -> Talk:
    """Carry one request that was begun to its end."""
    talk = _Conversation(kit, engine, exchange, ask, bounds)
    try:
        while (step := exchange.step) is not None:
            if isinstance(step, Send):
                if step.after > 0:
                    yield Wait(step.after)
                exchange.answer((yield from talk.send(step.connection)))
            else:
                pause = _FIRST_PAUSE
                while not (yield Perform(exchange.perform)):
                    yield Wait(pause)
                    pause = min(pause * 1.5, _LONGEST_PAUSE)
        return talk.ended()
    except BaseException:
        exchange.abandon()
        raise


class _Conversation:
    """The state of one request between its steps: the good answer that is open, or the last bad one."""

    __slots__ = ("ask", "bad", "bounds", "engine", "exchange", "good", "kit", "secret")

    def __init__(self, kit: Faults, engine: Engine, exchange: Exchange, ask: Ask, bounds: Bounds) -> None:
        self.kit, self.engine, self.exchange, self.ask, self.bounds = kit, engine, exchange, ask, bounds
        self.secret: Secret | None = None
        self.good: Good | None = None
        self.bad: Failed | None = None

    def send(self, connection: Connection) -> Generator[Op, Any, Answer]:
        """Send the request once and find out whether the answer is good."""
        exchange, kit = self.exchange, self.kit
        secret = self._secret(connection) if exchange.knows(connection) else (yield Perform(lambda: self._secret(connection)))
        if isinstance(secret, SecretMissing):
            now = exchange.now()
            return Answer(now, Reply(None, body=f"{type(secret).__name__}: {secret}".encode(), phase=Phase.UNSENT, request_written=False), sent_at=now)
        self.secret = secret
        send = self.ask.opening(connection, secret)
        sent_at, phase = exchange.now(), Phase.HEADERS
        try:
            head: Head = yield send
            phase = Phase.BODY
            if succeeded(head.status):
                reply = yield from self._look(connection, head)
            else:
                read = send.timeout.get("read")
                send.timeout["read"] = self.bounds.fault_seconds if read is None else min(read, self.bounds.fault_seconds)
                reply = yield from self._read_fault(connection, head)
        except kit.not_theirs:
            raise
        except kit.broken as error:
            self.bad = Failed(None, [], error=error)
            reply = reply_of_error(error, phase, connection.endpoint.host)
        return Answer(exchange.now(), reply, sent_at=sent_at)

    def _secret(self, connection: Connection) -> Secret | SecretMissing | None:
        try:
            return self.exchange.secret(connection)
        except SecretMissing as missing:
            return missing

    def ended(self) -> Told:
        """What came of it, now that there is an outcome."""
        outcome = self.exchange.outcome
        if outcome is None:
            raise RuntimeError("the engine gave neither a step nor an outcome")
        if outcome.fault is None and self.good is not None:
            head, chunks, tail, usage = self.good
            if tail is None:
                self.exchange.stream_ended(None, "" if head.coding else requested_model(chunks[0]) or "", by_kind(usage))
            else:
                self.exchange.answered_by(tail.model)
            return Told(self.good, None)
        speaks = outcome.fault is not None and outcome.fault.phase is not Phase.UNSENT and not outcome.from_memory
        return Told(None, self.bad if speaks else None)

    def _read_fault(self, connection: Connection, head: Head) -> Generator[Op, Any, Reply]:
        """The bounded body of a failed answer; one that stalls, breaks off or expands without end is judged by what came."""
        decoder, deadline = Decoder(head.coding), self.exchange.now() + self.bounds.fault_seconds
        parts: list[bytes] = []
        try:
            while not decoder.full and self.exchange.now() < deadline and (chunk := (yield _READ)) is not None:
                parts.append(decoder.feed(chunk))
        except self.kit.broken:
            pass
        yield _CLOSE
        return self._refused(connection, head, b"".join(parts), Phase.HEADERS)

    def _refused(self, connection: Connection, head: Head, body: bytes, phase: Phase) -> Reply:
        """A bad answer as we keep it and hand it on: a provider that repeats the key it was shown is not repeated."""
        headers = head.headers
        if self.secret is not None:
            body = self.secret.scrub_bytes(body)
            headers = [(name, self.secret.scrub(value.decode("latin-1")).encode("latin-1", "replace")) for name, value in headers]
        self.bad = Failed(head, headers, body)
        return reply_of(head.status, headers, body, phase, connection.endpoint.host)

    def _look(self, connection: Connection, head: Head) -> Generator[Op, Any, Reply | None]:
        """Whether an answer with a good status is one. None: yes, and `good` holds it."""
        if not self.ask.judged:
            self._commit(connection, head, [], None)
            return None
        if b"event-stream" in head.type or (self.ask.asked.streams and b"json" not in head.type and b"html" not in head.type):
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
        if whole and not looks_ok(head.status, head.type.decode("latin-1"), seen, self.engine.profile(connection)):
            return self._refused(connection, head, seen, Phase.BODY)
        self.good = Good(head, [body], None, usage_of(seen))
        return None

    def _peek(self, connection: Connection, head: Head) -> Generator[Op, Any, Reply | None]:
        """Hold a stream back until its output begins, so that an error before it can still be recovered from."""
        watch, chunks, size = StreamWatch(self.ask.dialect), [], 0
        deadline = self.exchange.now() + self.bounds.peek_seconds
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
                    return self._judge(connection, head, [body])  # no stream after all, and its type did not say so
                return self._refused(connection, head, body, Phase.PRE_OUTPUT)
            if size > self.bounds.peek or self.exchange.now() > deadline:
                break
        self._commit(connection, head, chunks, watch)
        return None

    def _commit(self, connection: Connection, head: Head, chunks: list[bytes], watch: StreamWatch | None) -> None:
        tail = Tail(self.kit, self.engine, self.exchange, connection, watch, raises=self.bounds.raise_when_cut)
        self.good = Good(head, chunks, tail)
