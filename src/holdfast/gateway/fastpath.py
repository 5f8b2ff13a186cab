"""The fast path, byte side: sends a request that is like one before it, and passes its plain good answer on.

It decides nothing. `engine.fastpath` recognises the request; whatever is not a whole and plainly good answer
is taken over by the full path, as the answer to the request's first send."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ..core.errors import HoldfastError
from ..core.steps import Outcome
from ..engine.fastpath import Question, Recalled
from ..engine.plain_answers import Beginning, begins_plainly, facts_of_good
from ..values.secret import Secret
from ..wire.api_routes import answer_of
from ..wire.conversation import run_conversation
from ..wire.exchange import ConversationResult
from ..wire.operations import Read, Whole
from ..wire.request_head import OutboundRequest
from ..wire.response_head import mask_key_in_lines
from .header_rules import forwarded
from .http1.ports import UpstreamLink
from .http1.response_head import ResponseHead
from .relay import ERRORS, Relay
from .token_refusals import pin_refusal


class FastRelay(Relay):
    """A request between its client and a provider. While `_recalled` is set it is on the fast path: `_answer`
    is the head of its answer, `_beginning` that of its stream. `_known` is its outcome once it was answered
    whole there."""

    __slots__ = ("_answer", "_beginning", "_known", "_recalled")

    _answer: ResponseHead | None
    _beginning: Beginning | None
    _known: Outcome | None
    _recalled: Recalled | None

    def sent(self, recalled: Recalled, upstream: UpstreamLink, began: float) -> None:
        """Go on with a request that was sent as it is `recalled`, when it `began` (the loop's time)."""
        self._begin(recalled)
        self._upstream, self._waiting = upstream, OutboundRequest
        self.began = self._commented = began
        self._clock.start(began)

    def start(self) -> None:
        self._begin(None)
        if self._looks_first():
            return
        recalled = self._recalled = self._recall()
        if recalled is None:
            self._start()
            return
        self._gateway.engine.fast_path.sends(recalled)
        learnt = recalled.learnt
        try:
            self._open(self.request.outbound(learnt.connection, learnt.key.secret))
        except Exception as failure:
            self.fail_inside(failure)

    def _begin(self, recalled: Recalled | None) -> None:
        self._recalled, self._answer, self._beginning, self._known = recalled, None, None, None

    @property
    def outcome(self) -> Outcome | None:
        if self._known is not None:
            return self._known
        return super().outcome

    @property
    def request_id(self) -> str:
        if self._recalled is not None:
            return self._recalled.request_id
        return super().request_id

    @property
    def _question(self) -> Question:
        request = self.request
        return self.session, request.dialect, request.info.model, request.rule.any_model

    def _recall(self) -> Recalled | None:
        """Return the request as it was sent before, if the full path has decided about its like."""
        request, gateway, body = self.request, self._gateway, self.request.body or b""
        if not (request.readable and request.inspected) or request.retries:
            return None
        if len(body) > gateway.conversation_bounds.replay or self._has_to_ask_whose():
            return None
        try:
            recalled = gateway.engine.fast_path.recall(self._question, body)
        except HoldfastError:  # the full path meets it, too, and says so
            return None
        if recalled is None:
            return None
        learnt = recalled.learnt
        if pin_refusal(self._token, learnt.session.pin, learnt.connection.pin) is not None:
            return None
        return recalled

    def _advance(self, result: Any, error: Exception | None = None) -> None:
        recalled = self._recalled
        if recalled is None:
            super()._advance(result, error)
            return
        try:
            if error is not None:
                self._take_over()
                self.failed(error)
            elif not self._takes(recalled, result):
                self._take_over()
        except Exception as failure:
            self.fail_inside(failure)

    def _takes(self, recalled: Recalled, result: Any) -> bool:
        """Take the head of the answer, or what has come of its body. Return False where the full path has to
        go on: the answer is not plainly good, or more than is held."""
        head, beginning = self._answer, self._beginning
        if head is not None:
            if beginning is not None:
                return self._peek(recalled, head, beginning, result)
            self._pieces = result
            return self._ended and self._settle(recalled, head)
        head = self._answer = result
        request, bounds = self.request, self._gateway.conversation_bounds
        if not begins_plainly(head, streams=request.info.streams):
            return False
        if request.info.streams:
            now = self._gateway.loop.time()
            beginning = self._beginning = Beginning(request.dialect, request.body, bounds, now)
            self._waiting = Read
            if not self._ended:
                return True
            pieces, self._pieces = self._pieces, []
            return self._peek(recalled, head, beginning, b"".join(pieces))
        if self._ended:
            return self._settle(recalled, head)
        self._waiting, self._limit = Whole, bounds.whole
        return True

    def _peek(
        self, recalled: Recalled, head: ResponseHead, beginning: Beginning, piece: bytes | None
    ) -> bool:
        """Hold the stream back until its output begins, then pass it on. Return False where it does not begin
        plainly."""
        gateway = self._gateway
        if beginning.holds(piece, gateway.loop.time(), ended=self._ended):
            self._waiting = Read
            return True
        raises = gateway.conversation_bounds.raise_when_cut
        answered = beginning.open(
            gateway.engine, recalled, head, errors=ERRORS, hidden=self._hidden(recalled), raises=raises
        )
        if answered is None:
            return False
        self._recalled = self._waiting = self._beginning = None
        self.request_run, result = answered
        self._learn_to_repeat(recalled, head)
        super()._pass_on(result)
        return True

    def _hidden(self, recalled: Recalled) -> Secret | None:
        """Return the key that the answer may not hold."""
        hides = self._gateway.conversation_bounds.mask_answers or self.request.masks_key
        return recalled.learnt.key.secret if hides else None

    def _settle(self, recalled: Recalled, head: ResponseHead) -> bool:
        """Pass on the whole answer and take note of it. Return False, having done nothing, where it is not
        plainly as good as the one before."""
        learnt, gateway, request = recalled.learnt, self._gateway, self.request
        pieces, secret = self._pieces, learnt.key.secret
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if len(body) > gateway.conversation_bounds.whole:
            return False
        kind, hidden = answer_of(request.path), self._hidden(recalled)
        facts = facts_of_good(kind, body, learnt, asked=request.body, hidden=hidden)
        if facts is None or not gateway.engine.fast_path.succeeded(recalled, facts):
            return False
        lines, names = head.kept, learnt.connection.provider.forward_headers
        if names and head.optional:
            lines = lines + forwarded(head.optional, names)
        lines = mask_key_in_lines(lines, secret)
        request_id = b"holdfast-request-id: " + recalled.request_id.encode("ascii")
        self._known, self.usage = learnt.outcome, facts.usage
        self._client.answer(head.status, [*lines, request_id, *learnt.lines], body)
        self._learn_to_repeat(recalled, head)
        self._finish(head.status, len(body))
        return True

    def _learn_to_repeat(self, recalled: Recalled, head: ResponseHead) -> None:
        """Let the next request like this one be sent without being read."""
        self._gateway.repeats.learn(self._client, self.request, recalled.learnt, head)

    def _take_over(self) -> None:
        """Go on on the full path, with what has come of the answer so far."""
        head, held = self._answer, self._beginning.pieces if self._beginning is not None else []
        self._beginning, pieces = None, [*held, *self._pieces]
        self._begin_conversation()
        self._pieces = pieces
        if head is not None:
            super()._advance(head)

    def _begin_conversation(self) -> None:
        """Begin the conversation of a request whose first send is made."""
        recalled, gateway = self._recalled, self._gateway
        if recalled is None:
            return
        self._recalled = self._answer = None
        request = self.request
        self.request_run = gateway.engine.fast_path.take_over(recalled, request.dialect, request.body)
        self._conversation = run_conversation(
            errors=ERRORS,
            engine=gateway.engine,
            request_run=self.request_run,
            request=self.request,
            bounds=gateway.conversation_bounds,
        )
        self._conversation.send(None)
        self._waiting = OutboundRequest

    def _give_up(self) -> None:
        self._begin_conversation()
        super()._give_up()

    def fail_inside(self, error: BaseException) -> None:
        if not self.over:
            with suppress(Exception):  # the first error is the one to report
                self._begin_conversation()
        super().fail_inside(error)

    def _pass_on(self, result: ConversationResult) -> None:
        super()._pass_on(result)
        good, run = result.good, self.request_run
        if good is not None and run is not None and self.request.inspected:
            model = good.model if good.stream is None else good.stream.model
            self._gateway.engine.fast_path.learn(self._question, run, model)
