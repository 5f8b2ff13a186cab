"""The fast path of the library: sends a request that is like one before it, and gives its plain good answer.

It decides nothing. `engine.fastpath` recognises the request; whatever is not a whole and plainly good answer
is taken over by the full path, as the answer to the request's first send."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from ..core.errors import HoldfastError
from ..engine.fastpath import Question, Recalled
from ..engine.plain_answers import Beginning, begins_plainly, facts_of_good
from ..wire.api_routes import answer_of
from ..wire.conversation import Conversation, run_conversation
from ..wire.exchange import Bounds, ConversationResult
from ..wire.operations import Op, Read, Whole
from ..wire.ports import Open
from ..wire.response_head import mask_key, passing_headers
from .requests import SdkHead, SdkRequest, SdkResponse

if TYPE_CHECKING:
    from ..engine.answered_request import AnsweredRequest
    from ..engine.state import Engine
    from .httpx_compat import HttpxAdapter

_READ = Read()
Answered = tuple["AnsweredRequest", ConversationResult]
"""A request and how it ended."""


def recall(engine: Engine, question: Question, request: SdkRequest, bounds: Bounds) -> Recalled | None:
    """Return the request as it was sent before, if the full path has decided about its like."""
    body = request.body
    if body is None or not request.inspected or request.headers.client_retries or len(body) > bounds.replay:
        return None
    try:
        engine.check_open()
        return engine.fast_path.recall(question, body)
    except HoldfastError:  # the full path meets it, too, and says so
        return None


class FastRequest:
    """A request that is sent as it was `recalled`. `_came` is what has come of its answer: the head, then
    what its driver gave for each step."""

    __slots__ = ("_adapter", "_bounds", "_came", "_engine", "_hidden", "_recalled", "_request")

    def __init__(
        self,
        adapter: HttpxAdapter,
        engine: Engine,
        recalled: Recalled,
        *,
        request: SdkRequest,
        bounds: Bounds,
    ) -> None:
        self._adapter, self._engine, self._recalled = adapter, engine, recalled
        self._request, self._bounds = request, bounds
        self._hidden = recalled.learnt.key.secret if bounds.mask_answers else None
        self._came: list[Any] = []

    def run(self) -> Generator[Op, Any, SdkResponse | Answered]:
        """Carry the request to its end. Raises what broke it where recovery has ended."""
        recalled, request, came = self._recalled, self._request, self._came
        self._engine.fast_path.sends(recalled)
        sent = request.outbound(recalled.learnt.connection, recalled.learnt.key.secret)
        broken: BaseException | None = None
        try:
            head: SdkHead = yield sent
            came.append(head)
            if begins_plainly(head, streams=request.info.streams):
                if request.info.streams:
                    answered: SdkResponse | Answered | None = yield from self._peek(head)
                else:
                    pieces = yield Whole(self._bounds.whole)
                    came.append(pieces)
                    answered = self._whole(head, pieces)
                if answered is not None:
                    return answered
        except BaseException as error:  # the full path is told of it
            broken = error
        return (yield from self._take_over(sent, broken))

    def _whole(self, head: SdkHead, pieces: list[bytes]) -> SdkResponse | None:
        """Return the whole answer, and take note of it. None, and nothing is done, where it is not plainly as
        good as the one before."""
        request, recalled = self._request, self._recalled
        learnt, secret = recalled.learnt, recalled.learnt.key.secret
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if len(body) > self._bounds.whole:
            return None
        kind = answer_of(request.path)
        facts = facts_of_good(kind, body, learnt, asked=request.body, hidden=self._hidden)
        if facts is None or not self._engine.fast_path.succeeded(recalled, facts):
            return None
        theirs = passing_headers(head.headers, learnt.connection.provider.forward_headers)
        request_id = b"holdfast-request-id", recalled.request_id.encode("ascii")
        headers = [*mask_key(theirs, secret), request_id, *learnt.pairs]
        return SdkResponse._make((head.status, headers, [body], head.extensions, None))

    def _peek(self, head: SdkHead) -> Generator[Op, Any, Answered | None]:
        """Hold the stream back until its output begins, but not for long, then give it. None where it does
        not begin plainly."""
        engine, request, hidden = self._engine, self._request, self._hidden
        now, raises = engine.store.now, self._bounds.raise_when_cut
        beginning = Beginning(request.dialect, request.body, self._bounds, now())
        held = True
        while held:
            piece: bytes | None = yield _READ
            self._came.append(piece)
            held = beginning.holds(piece, now())
        return beginning.open(
            engine, self._recalled, head, errors=self._adapter, hidden=hidden, raises=raises
        )

    def _take_over(self, sent: Open, broken: BaseException | None) -> Generator[Op, Any, Answered]:
        """Go on on the full path, with what has come of the answer so far, or with what broke it."""
        request, engine = self._request, self._engine
        run = engine.fast_path.take_over(self._recalled, request.dialect, request.body)
        conversation = run_conversation(
            errors=self._adapter, engine=engine, request_run=run, request=request, bounds=self._bounds
        )
        return run, (yield from _resumed(conversation, sent, self._came, broken))


def _resumed(
    conversation: Conversation, sent: Open, came: list[Any], broken: BaseException | None
) -> Generator[Op, Any, ConversationResult]:
    """Carry on a conversation whose first send was made: `came` are the results of its steps so far, and the
    last one was `broken`."""
    try:
        op: Any = next(conversation)
        if came:
            op.timeout["read"] = sent.stall
        timeout = op.timeout
        for result in came:
            op = conversation.send(result)
            sent.timeout.update(timeout)  # the transport looks at those of what was sent
        if broken is not None:
            op = conversation.throw(broken)
        while True:
            try:
                result = yield op
            except BaseException as error:
                op = conversation.throw(error)
            else:
                op = conversation.send(result)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
