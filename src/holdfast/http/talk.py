"""One request through the transport, without I/O: a generator that says what to open, read, close or wait for, is given what came,
and ends with the response to hand on. The sync and the async transport only carry out what it says.

It obeys the engine's steps and contains no rule of recovery: whether an answer is good, and what a bad one means, the core says.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..core.config import Limits
from ..core.errors import ConfigError, HoldfastError, SecretMissing
from ..core.faults import Phase, Reply, looks_ok
from ..core.identity import Connection, Dialect
from ..core.secret import Secret
from ..core.steps import Answer, Send
from .engine import Engine, Exchange
from .kit import Kit, Open, Opened, RawHeaders, RequestLike, Timeout
from .sse import StreamWatch
from .tail import Tail
from .wire import Decoder, asked_by, decoded, dialect_of, dress, is_plain, labelled, outward, reply_of, reply_of_error, requested_model, strip, told_by


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a transport buffers and how long it waits. Sizes in bytes, times in seconds.

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
    """Answer with the next raw bytes of the open response's body, or None at its end."""


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
    """Let the exchange take a step of its own, which may block; answer with what it returns."""

    exchange: Exchange


class Handed(NamedTuple):
    """What the caller gets. With a tail the answer is still open: `chunks` were read already, the rest passes through the tail."""

    status: int
    headers: RawHeaders
    chunks: list[bytes]
    extensions: dict[str, Any]
    tail: Tail | None = None


Op = Open | Read | Whole | Close | Wait | Perform
# What is sent in depends on the operation, which no type can say.
Talk = Generator[Op, Any, Handed]

_JSON = (b"{", b"[")
_READ, _CLOSE = Read(), Close()
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.25


class Ask:
    """What the caller asked for, looked at once. `body` is None when it is sent straight through and cannot be sent twice."""

    __slots__ = ("asked", "body", "dialect", "headers", "judged", "path", "request", "timeout")

    def __init__(self, request: RequestLike, body: bytes | None) -> None:
        self.request, self.body = request, body
        self.headers = strip(request.headers.raw)
        self.path = request.url.raw_path.decode("ascii")
        dialect = dialect_of(self.path)
        # Only answers of a model are looked into; a file, a list or a picture is passed on.
        self.judged = dialect is not None and request.method == "POST"
        self.dialect = dialect or (Dialect.ANTHROPIC_MESSAGES if self.headers.versioned else Dialect.OPENAI_CHAT)
        self.asked = asked_by(body)
        self.timeout: Timeout = dict(request.extensions.get("timeout") or {})


class _Head:
    """The head of an answer, looked at once; header names and values as they came."""

    __slots__ = ("coding", "extensions", "headers", "status", "type")

    def __init__(self, opened: Opened) -> None:
        self.status, self.headers, _, self.extensions = opened
        self.type = self.coding = b""
        for name, value in self.headers:
            told = told_by(name)
            if told == "content-type":
                self.type = value.lower()
            elif told == "content-encoding" and value.lower() != b"identity":
                self.coding = value.strip().lower()


class _Failed(NamedTuple):
    """The last bad answer: its head and decoded body, or the exception."""

    head: _Head | None
    body: bytes = b""
    error: Exception | None = None


def succeeded(status: int) -> bool:
    """Whether HTTP says that the request was served. What the body says is the core's business."""
    return 200 <= status < 300


def converse(kit: Kit, engine: Engine, session: str, ask: Ask, bounds: Bounds) -> Talk:
    """Carry one request to its end. Raises what the module raises when the connection cannot be made and recovery ended."""
    try:
        if ask.judged and ask.body and not is_plain(ask.body):
            raise ConfigError("the request's body is no JSON object in plain UTF-8, so nobody can tell which model it asks for: nothing was sent")
        exchange = engine.begin(
            session,
            ask.dialect,
            ask.asked.model,
            replayable=ask.body is not None and len(ask.body) <= bounds.replay,
            client_retries=ask.headers.client_retries,
            side_door=not ask.judged,
        )
    except HoldfastError as error:
        return _refusal(ask.dialect, error)
    talk = _Conversation(kit, engine, exchange, ask, bounds)
    try:
        while (step := exchange.step) is not None:
            if isinstance(step, Send):
                if step.after > 0:
                    yield Wait(step.after)
                exchange.answer((yield from talk.send(step.connection)))
            else:
                pause = _FIRST_PAUSE
                while not (yield Perform(exchange)):
                    yield Wait(pause)
                    pause = min(pause * 1.5, _LONGEST_PAUSE)
        return talk.ended()
    except BaseException:
        exchange.abandon()
        raise


class _Conversation:
    """The state of one request between its steps: the good answer that is open, or the last bad one."""

    __slots__ = ("ask", "bad", "bounds", "engine", "exchange", "good", "kit", "secret")

    def __init__(self, kit: Kit, engine: Engine, exchange: Exchange, ask: Ask, bounds: Bounds) -> None:
        self.kit, self.engine, self.exchange, self.ask, self.bounds = kit, engine, exchange, ask, bounds
        self.secret: Secret | None = None
        self.good: tuple[_Head, list[bytes], Tail | None] | None = None
        self.bad: _Failed | None = None

    def send(self, connection: Connection) -> Generator[Op, Any, Answer]:
        """Send the request once and find out whether the answer is good."""
        exchange, kit, ask = self.exchange, self.kit, self.ask
        try:
            secret = self.secret = exchange.secret(connection)
        except SecretMissing as missing:
            now = exchange.now()
            return Answer(now, Reply(None, body=f"SecretMissing: {missing}".encode(), phase=Phase.UNSENT, request_written=False), sent_at=now)
        url, headers, body = dress(connection, secret, ask.path, ask.headers, ask.body, ask.asked)
        timeout = ask.timeout.copy()
        send = Open(connection.endpoint, ask.request.method, url, headers, ask.request.stream if body is None else body, timeout)
        sent_at, phase = exchange.now(), Phase.HEADERS
        try:
            head = _Head((yield send))
            phase = Phase.BODY
            if succeeded(head.status):
                reply = yield from self._look(connection, head)
            else:
                timeout["read"] = min(timeout.get("read") or self.bounds.fault_seconds, self.bounds.fault_seconds)
                reply = yield from self._read_fault(connection, head)
        except kit.not_theirs:
            raise
        except kit.broken as error:
            self.bad = _Failed(None, error=error)
            reply = reply_of_error(error, phase, connection.endpoint.host)
        return Answer(exchange.now(), reply, sent_at=sent_at)

    def ended(self) -> Handed:
        """What to hand on, now that there is an outcome."""
        outcome, exchange = self.exchange.outcome, self.exchange
        if outcome is None:
            raise RuntimeError("the engine gave neither a step nor an outcome")
        if outcome.fault is None and self.good is not None:
            head, chunks, tail = self.good
            if tail is None:
                exchange.stream_ended(None, "" if head.coding else requested_model(chunks[0]) or "")
            return Handed(head.status, labelled(head.headers, exchange.headers()), chunks, head.extensions, tail)
        bad = self.bad
        if bad is not None and outcome.fault is not None and outcome.fault.phase is not Phase.UNSENT and not outcome.from_memory:
            if bad.error is not None:
                bad.error.args = (f"{bad.error}\n{exchange.explanation()}",)
                raise bad.error
            if bad.head is not None and not succeeded(bad.head.status):
                if bad.body.lstrip()[:1] in _JSON:
                    return Handed(bad.head.status, outward(bad.head.headers, exchange.headers()), [bad.body], bad.head.extensions)
                # A page or a bare line tells an SDK's user nothing: the provider's status, and in our words what it means.
                _, told, body = exchange.explain()
                return Handed(bad.head.status, labelled([], told), [body], bad.head.extensions)
        status, told, body = exchange.explain()
        return Handed(status, labelled([], told), [body], {})

    def _read_fault(self, connection: Connection, head: _Head) -> Generator[Op, Any, Reply]:
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

    def _refused(self, connection: Connection, head: _Head, body: bytes, phase: Phase) -> Reply:
        """A bad answer as we keep it and hand it on: a provider that repeats the key it was shown is not repeated."""
        if self.secret is not None:
            body = self.secret.scrub(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        self.bad = _Failed(head, body)
        return reply_of(head.status, head.headers, body, phase, connection.endpoint.host)

    def _look(self, connection: Connection, head: _Head) -> Generator[Op, Any, Reply | None]:
        """Whether an answer with a good status is one. None: yes, and `good` holds it."""
        if not self.ask.judged:
            self._commit(connection, head, [], None)
            return None
        if b"event-stream" in head.type or (self.ask.asked.streams and b"json" not in head.type and b"html" not in head.type):
            if head.coding:
                self._commit(connection, head, [], None)
                return None
            return (yield from self._peek(connection, head))
        chunks: list[bytes] = yield Whole(self.bounds.whole)
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if len(body) > self.bounds.whole:
            self._commit(connection, head, chunks, None)
            return None
        seen = decoded(body, head.coding, self.bounds.whole) if head.coding else body
        whole = 0 < len(seen) < self.bounds.whole or not head.coding
        if whole and not looks_ok(head.status, head.type.decode("latin-1"), seen, self.engine.profile(connection)):
            return self._refused(connection, head, seen, Phase.BODY)
        self.good = head, [body], None
        return None

    def _peek(self, connection: Connection, head: _Head) -> Generator[Op, Any, Reply | None]:
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
                return self._refused(connection, head, b"".join(chunks), Phase.PRE_OUTPUT)
            if size > self.bounds.peek or self.exchange.now() > deadline:
                break
        self._commit(connection, head, chunks, watch)
        return None

    def _commit(self, connection: Connection, head: _Head, chunks: list[bytes], watch: StreamWatch | None) -> None:
        tail = Tail(self.kit, self.engine, self.exchange, connection, watch, raises=self.bounds.raise_when_cut)
        self.good = head, chunks, tail


def _refusal(dialect: Dialect, error: HoldfastError) -> Handed:
    """Our own refusal before anything was sent, in the caller's dialect (409: the session's choice is in conflict with what is)."""
    told: dict[str, Any] = {"type": "invalid_request_error", "message": str(error), "holdfast": {"class": type(error).__name__}}
    body = (
        {"type": "error", "error": told}
        if dialect is Dialect.ANTHROPIC_MESSAGES
        else {"error": told | {"param": None, "code": "holdfast_" + _snake(type(error).__name__)}}
    )
    headers: RawHeaders = [(b"content-type", b"application/json"), (b"x-should-retry", b"false")]
    return Handed(409, headers, [json.dumps(body).encode()], {})


def _snake(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")
