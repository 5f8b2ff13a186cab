"""What the fast path takes as a plainly good answer, of the gateway and of the library alike. Whatever is not
one is left to the full path, which judges it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.identity import Dialect
from ..secrecy.masking import starred
from ..values.secret import Secret
from ..wire.answer_facts import AnswerFacts, facts_of
from ..wire.answer_mask import rewriter_for
from ..wire.answer_shape import AnswerKind, Form
from ..wire.exchange import Bounds, ConversationResult, Head, opened
from ..wire.long_answers import judge_answer
from ..wire.ports import ConnectionErrors
from ..wire.response_stream import ResponseStream
from ..wire.sse import StreamWatch
from ..wire.usage import NO_USAGE
from .answered_request import AnsweredRequest
from .fastpath import Learnt, Recalled

if TYPE_CHECKING:
    from .state import Engine


def begins_plainly(head: Head, *, streams: bool) -> bool:
    """Return whether an answer may be plainly good by its head, to a request that `streams` or not."""
    kind = b"event-stream" if streams else b"json"
    return head.status == 200 and not head.coding and kind in head.type


def facts_of_good(
    kind: AnswerKind, body: bytes, learnt: Learnt, *, asked: bytes | None, hidden: Secret | None
) -> AnswerFacts | None:
    """Return what a whole answer says of itself; None where it is not plainly as good as those before it.

    `asked` is the body of its request; the answer may not hold a key that is `hidden`."""
    flaw, document = judge_answer(kind, body, whole=True)
    if flaw is not None:
        return None
    facts = facts_of(body, document, asked)
    if facts.model not in learnt.models or (hidden is not None and starred(body, hidden) != body):
        return None
    return facts


class Beginning:
    """The beginning of a stream, held back until its output begins, but not for long. `pieces` are what has
    come of it, `asked` is the body of its request; times are of one clock, in seconds."""

    __slots__ = ("_ended", "_most", "_size", "_until", "_watch", "pieces")

    def __init__(self, dialect: Dialect, asked: bytes | None, bounds: Bounds, now: float) -> None:
        self._watch, self._ended, self._size = StreamWatch(dialect, asked), False, 0
        self._most, self._until = bounds.peek, now + bounds.peek_seconds
        self.pieces: list[bytes] = []

    def holds(self, piece: bytes | None, now: float, *, ended: bool = False) -> bool:
        """Take the next piece, None where the stream `ended` without one. Return whether it is to be held
        back further."""
        watch, self._ended = self._watch, ended or piece is None
        if piece:
            self.pieces.append(piece)
            self._size += len(piece)
            watch.feed(piece)
        if watch.started or watch.error is not None or watch.form is Form.DOCUMENT or self._ended:
            return False
        return self._size <= self._most and now <= self._until

    def open(
        self,
        engine: Engine,
        recalled: Recalled,
        head: Head,
        *,
        errors: ConnectionErrors,
        hidden: Secret | None,
        raises: bool,
    ) -> tuple[AnsweredRequest, ConversationResult] | None:
        """Take note of the stream as good, and return it with its request. None, and nothing is done, where
        it does not begin plainly."""
        watch, learnt = self._watch, recalled.learnt
        if watch.error is not None or watch.form is Form.DOCUMENT or (self._ended and not watch.started):
            return None
        facts = AnswerFacts(NO_USAGE, watch.model, watch.objects)
        if facts.model not in learnt.models or not engine.fast_path.succeeded(recalled, facts):
            return None
        run = engine.fast_path.opened(recalled)
        stream = ResponseStream(
            errors=errors,
            engine=engine,
            request_run=run,
            connection=learnt.connection,
            watch=watch,
            feed=watch.feed,
            raises=raises,
            rewriter=rewriter_for(None, hidden, b""),
        )
        good = opened(head, self.pieces, stream, learnt.key.secret, is_stream=True)
        return run, ConversationResult(good, None)
