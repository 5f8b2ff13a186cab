"""Sends one request, as often as the core says, and finds out each time whether the answer is good. A part of
`conversation`, which drives it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ..core.errors import SecretMissing
from ..core.faults import Flaw, Phase, Reply
from ..core.identity import Connection
from ..core.steps import Answer, Send
from ..secrecy.masking import masked_bytes, starred
from ..translate.losses import Untranslatable
from ..values.secret import Secret
from .account_objects import objects_named
from .answer_facts import facts_of
from .answer_mask import rewriter_for
from .answer_shape import Form, Judgement
from .api_routes import answer_of
from .decoding import DECODABLE, Feed, decoding, ignore
from .exchange import (
    Bounds,
    ConversationRequest,
    ConversationResult,
    GoodAnswer,
    Head,
    SendFailed,
    is_about_an_answer,
    label_for,
    label_of,
    may_be_stream,
    opened,
    shorten,
)
from .json_end import JsonWatch
from .long_answers import judge_answer
from .operations import Close, Op, Perform, Read, Whole
from .ports import ConnectionErrors, Engine, RequestRun, Translated
from .response_head import Decoder, decoded, mask_key, reply_of, reply_of_error, reply_of_unsent, succeeded
from .response_stream import ResponseStream, Watch
from .side_streams import SideStreamWatch, side_stream
from .sse import StreamWatch
from .usage import by_kind

_READ, _CLOSE = Read(), Close()


@dataclass(slots=True)
class SendState:
    """The state of one request between its steps: the good answer that is open, or the last bad one; the key
    that was sent, and once more where it is `hidden` in good answers too; the request as it was `translated`
    for the endpoint, if it was."""

    errors: ConnectionErrors
    engine: Engine
    request_run: RequestRun
    request: ConversationRequest
    bounds: Bounds
    secret: Secret | None = None
    hidden: Secret | None = None
    translated: Translated | None = None
    most: int = 0
    good: GoodAnswer | None = None
    bad: SendFailed | None = None

    def send(self, step: Send) -> Generator[Op, Any, Answer]:
        """Send the request once and find out whether the answer is good."""
        request_run, errors, connection = self.request_run, self.errors, step.connection
        if request_run.takes_long(connection):
            yield Perform(partial(request_run.prepare, connection))
        try:
            self.translated = request_run.translated(connection)
        except Untranslatable as refused:
            return self._unsent(refused)
        if request_run.knows(connection):
            secret = self._secret(connection)
        else:
            secret = yield Perform(lambda: self._secret(connection))
        if isinstance(secret, SecretMissing):
            return self._unsent(secret)
        self.secret = secret
        # All of a whole answer is held where it is translated.
        self.most = (
            self.bounds.whole if self.translated is None else max(self.bounds.whole, self.bounds.replay)
        )
        self.hidden = secret if self.bounds.mask_answers or self.request.masks_key else None
        outbound = self.request.outbound(connection, secret, self.translated)
        if step.fresh or not self.request.rule.replays:  # a kept connection may be closed at that moment
            outbound = outbound._replace(fresh=True)
        sent_at, phase = request_run.sent_at, Phase.HEADERS
        try:
            head: Head = yield outbound
            phase = Phase.BODY
            if succeeded(head.status):
                reply = yield from self._examine(connection, head)
                if reply is not None:
                    yield _CLOSE
            else:
                shorten(outbound.timeout, self.bounds.fault_seconds)
                reply = yield from self._read_fault(connection, head)
        except errors.ours:
            raise
        except errors.broken as error:
            self.bad = SendFailed(None, [], error=error)
            reply = reply_of_error(error, phase, connection.endpoint.host)
            if phase is Phase.HEADERS and errors.closed_unheard(error):
                reply = replace(reply, closed_unheard=True)
        return Answer._make((request_run.now(), reply, False, (), sent_at))

    def _unsent(self, error: SecretMissing | Untranslatable) -> Answer:
        """Return the answer to a Send that cannot be made."""
        at = self.request_run.now()
        return Answer(at, reply_of_unsent(error, at), sent_at=at)

    def _secret(self, connection: Connection) -> Secret | SecretMissing | None:
        try:
            return self.request_run.secret(connection)
        except SecretMissing as missing:
            return missing

    def ended(self) -> ConversationResult:
        """Return the result, now that there is an outcome."""
        outcome = self.request_run.outcome
        if outcome is None:
            raise RuntimeError("the engine gave neither a step nor an outcome")
        if outcome.fault is None and self.good is not None:
            if self.good.stream is not None:
                self.request_run.answered_by(self.good.stream.model)
                self.request_run.made(self.good.stream.objects)
            else:
                self.request_run.made(self.good.objects)
                self.request_run.stream_ended(None, self.good.model, by_kind(self.good.usage))
            return ConversationResult(self.good, None)
        if is_about_an_answer(outcome):
            return ConversationResult(None, self.bad)
        return ConversationResult(None, None)

    def _read_fault(self, connection: Connection, head: Head) -> Generator[Op, Any, Reply]:
        """Read the bounded body of a failed answer, as far as it comes."""
        decoder, deadline = Decoder(head.coding), self.request_run.now() + self.bounds.fault_seconds
        parts: list[bytes] = []
        try:
            while not decoder.full and self.request_run.now() < deadline:
                chunk = yield _READ
                if chunk is None:
                    break
                parts.append(decoder.feed(chunk))
        except self.errors.broken:
            pass
        yield _CLOSE
        return self._refused(connection, head, b"".join(parts), phase=Phase.HEADERS)

    def _refused(
        self, connection: Connection, head: Head, body: bytes, *, phase: Phase, flaw: Flaw | None = None
    ) -> Reply:
        """Keep a bad answer, without the key that was sent should the provider repeat it; return it as the
        core sees it."""
        headers = mask_key(head.headers, self.secret)
        if self.secret is not None:
            body = masked_bytes(body, self.secret)
        self.bad = SendFailed(head, headers, body)
        host = connection.endpoint.host
        reply = reply_of(status=head.status, headers=headers, body=body, phase=phase, host=host)
        return replace(reply, flaw=flaw, optional=self.request.rule.optional)

    def _examine(self, connection: Connection, head: Head) -> Generator[Op, Any, Reply | None]:
        """Judge an answer with a good status. Return None when it is good; then `good` holds it."""
        streams = self.request.inspected and may_be_stream(self.request, head)
        if head.coding not in DECODABLE and (streams or self.hidden or self.translated):
            # Nobody asked for this coding, and neither a truncation nor a key could be seen in it.
            yield _CLOSE
            coding = head.coding.decode("latin-1")
            raise self.errors.cut(f"the answer came in the content coding {coding}, which cannot be watched")
        if streams:
            return (yield from self._peek(connection, head))
        if self.request.inspected:
            return self._judge(connection, head, (yield Whole(self.most)))
        if self.request.rule.makes and b"json" in head.type:
            self._take_note(connection, head, (yield Whole(self.most)))
        else:
            side, feed = side_stream(head.type, head.coding)
            self._commit(connection, head, [], watch=side, feed=feed)
        return None

    @property
    def _asked(self) -> bytes | None:
        """Return the body as its caller wrote it; None where it was translated."""
        return self.request.body if self.translated is None else None

    def _take_note(self, connection: Connection, head: Head, chunks: list[bytes]) -> None:
        """Take an answer that names what the account keeps from now on as good, whatever it says."""
        body = b"".join(chunks)
        text = decoded(body, head.coding, self.most + 1) if head.coding else body
        if max(len(body), len(text)) > self.most or head.coding not in DECODABLE:
            self._commit(connection, head, [body], watch=None)
            return
        shown = text if self.hidden is None else starred(text, self.hidden)
        undone, made = bool(head.coding), objects_named(text)
        self.good = GoodAnswer(head, [shown], None, secret=self.secret, objects=made, decoded=undone)

    def _judge(self, connection: Connection, head: Head, chunks: list[bytes]) -> Reply | None:
        """Judge a body, or the beginning of one that is too large. Return None when it is good."""
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        text, most = body, self.most
        if head.coding:
            text = decoded(body, head.coding, most + 1)
        whole = max(len(body), len(text)) <= most
        flaw, document = Judgement(None)
        if not head.coding or head.coding in DECODABLE:
            path = self.request.path if self.translated is None else self.translated.path
            flaw, document = judge_answer(answer_of(path), text, whole=whole)
        if flaw is not None:
            phase = Phase.PRE_OUTPUT if flaw is Flaw.UNASKED else Phase.BODY
            return self._refused(connection, head, text[:most], phase=phase, flaw=flaw)
        if not whole and self.translated is None:
            self._commit_long(connection, head, body)
            return None
        undone, label, shown = False, b"", text
        if document is not None:
            label = label_of(head, b"application/json")
        if self.hidden is not None and (shown := starred(text, self.hidden)) != text:
            body, undone = shown, bool(head.coding)
        if self.translated is not None:
            written = self.translated.whole(shown)
            if written is None:
                return self._refused(connection, head, text[:most], phase=Phase.BODY, flaw=Flaw.OTHER)
            body, undone, label = written, True, label_of(head, label_for(self.request))
        usage, model, made = facts_of(text, document, self._asked)
        self.good = GoodAnswer._make((head, [body], None, usage, self.secret, model, made, label, undone))
        return None

    def _peek(self, connection: Connection, head: Head) -> Generator[Op, Any, Reply | None]:
        """Hold a stream back until its output begins, so that recovery from an error before it is still
        possible. Return None when it is passed on. A body that does not begin as events do is judged as a
        whole, whatever its type says."""
        watch, chunks, size = StreamWatch(connection.dialect, self._asked), [], 0
        feed = decoding(watch.feed, head.coding)
        deadline = self.request_run.now() + self.bounds.peek_seconds
        while True:
            chunk: bytes | None = yield _READ
            if chunk is None:
                watch.close()
            else:
                chunks.append(chunk)
                size += len(chunk)
                feed(chunk)
            if watch.form is Form.DOCUMENT:
                return self._judge(connection, head, [*chunks, *(yield Whole(self.most))])
            if watch.started:
                break
            if chunk is None or watch.error is not None:
                body = decoded(b"".join(chunks), head.coding)
                return self._refused(connection, head, body, phase=Phase.PRE_OUTPUT, flaw=watch.flaw)
            unknown = watch.form is Form.UNKNOWN and b"event-stream" not in head.type
            if unknown and size <= self.bounds.whole:
                continue
            if size > self.bounds.peek or self.request_run.now() > deadline:
                break
        self._commit(connection, head, chunks, watch=watch, feed=feed)
        return None

    def _commit_long(self, connection: Connection, head: Head, begun: bytes) -> None:
        """Take an answer that is too large to be held as good; the end of its JSON is watched."""
        if head.coding not in DECODABLE:
            self._commit(connection, head, [begun], watch=None)
            return
        watch = JsonWatch()
        feed = decoding(watch.feed, head.coding)
        feed(begun)
        self._commit(connection, head, [begun], watch=watch, feed=feed)

    def _commit(
        self,
        connection: Connection,
        head: Head,
        chunks: list[bytes],
        *,
        watch: Watch | None,
        feed: Feed = ignore,
    ) -> None:
        """Take an answer as good. From here on nothing is replayed."""
        rewriter = rewriter_for(self.translated, self.hidden, head.coding)
        packed = bool(head.coding) and self.translated is None
        side = isinstance(watch, SideStreamWatch)
        stream = ResponseStream(
            errors=self.errors,
            engine=self.engine,
            request_run=self.request_run,
            connection=connection,
            watch=watch,
            feed=feed,
            raises=self.bounds.raise_when_cut or packed or not (self.request.info.streams or side),
            rewriter=rewriter,
        )
        is_stream = side or (isinstance(watch, StreamWatch) and watch.form is Form.EVENTS)
        self.good = opened(head, chunks, stream, self.secret, is_stream=is_stream)
