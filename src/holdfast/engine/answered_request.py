"""A request that has an outcome: what its caller is told of it, and what its answer goes on to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..core.explain import Explanation
from ..core.faults import Fault
from ..core.identity import Pin
from ..core.steps import Call, Outcome
from ..secrecy.masking import redacted
from ..store.journal_events import AnswerTruncated, Event, ModelDiffered, RequestGivenUp, RequestTranslated
from ..store.stored_events import stored
from ..wire.answered_model import confirm_model
from ..wire.error_bodies import ClientError, from_fault
from ..wire.usage import NO_USAGE
from .account_objects import told
from .answer_headers import headers_of
from .journal import attempt_event, usage_event
from .ports import RequestContext
from .usage_counts import Counted

if TYPE_CHECKING:
    from .translator import Translator

_LONGEST_NAME = 200


class AnsweredRequest:
    """A request of the session that chose `pin`; all but its `outcome` is known from the start."""

    __slots__ = ("_answered", "_differs", "call", "engine", "now", "outcome", "pin", "translator")

    def __init__(self, engine: RequestContext, call: Call, pin: Pin, outcome: Outcome | None = None) -> None:
        self.engine, self.call, self.pin = engine, call, pin
        self.now = engine.store.now
        self.outcome = outcome
        self.translator: Translator | None = None
        self._answered = self._differs = ""

    def client_error(self) -> ClientError:
        """Return our own error for the outcome's fault, where the provider sent no answer to forward."""
        outcome, call = self._ended(), self.call
        if outcome.fault is None:
            raise ValueError("a good answer needs no explanation")
        events = [attempt_event(attempt, call.session, call.request_id) for attempt in outcome.attempts]
        return from_fault(
            outcome.fault,
            self.explanation(),
            [{"pin": event.pin, **stored(event.detail)} for event in events],
            self.headers(),
            session=call.session,
            pin=str(self.pin),
            request_id=call.request_id,
            now=self.now(),
        )

    def explanation(self) -> Explanation:
        """Return the four lines about the outcome's fault."""
        outcome, call = self._ended(), self.call
        explanation = self.engine.explain(
            outcome.connection,
            outcome.fault,
            outcome.attempts,
            call.session or call.request_id,
            chosen=call.route.connection.pin,
            memory_ends=outcome.memory_ends,
        )
        return told(explanation, outcome.fault) if call.bound else explanation

    def headers(self) -> dict[str, str]:
        """Return our own headers for the answer."""
        headers = headers_of(self._ended(), self.call, self._differs, self.now)
        if self.translator is not None and self.translator.last is not None:
            headers["holdfast-translated"] = self.translator.last.translation.label
        return headers

    def answered_by(self, model: str) -> None:
        """Take note of the model that the provider says answered; "" if it names none. A model other than
        the chosen one is written to the journal, and shown in `headers` if they are not sent yet."""
        connection = self._ended().connection
        if model in ("", connection.model, self._answered):
            return
        self._answered = model
        if confirm_model(connection, model) is not None:
            self._differs = redacted(model, self.engine.vault.known(), limit=_LONGEST_NAME)
            self._note(ModelDiffered(connection.model, self._differs))

    def made(self, names: Sequence[str]) -> None:
        """Take note of the objects that the answer made, which only its account knows."""
        if names:
            self.engine.objects.made(self.call.session, self._ended().connection, names)

    def stream_ended(
        self, fault: Fault | None, answered_model: str = "", usage: Mapping[str, int] = NO_USAGE
    ) -> None:
        """Write down what a streamed answer showed after its first part was forwarded; nothing is sent again.

        `usage` is the provider's count, by kind of token (`input`, `output`, …)."""
        connection = self._ended().connection
        if fault is not None:
            excerpt = redacted(fault.excerpt, self.engine.vault.known())
            self._note(AnswerTruncated(fault.kind, fault.cause or "", excerpt))
        self.answered_by(answered_model)
        now, writer = self.now(), self.engine.journal_writer
        named = self.call.session, connection.label, str(connection.pin)
        writer.count(Counted._make((now, *named, usage)))
        if usage:
            counted = (now, self.call, connection, usage)
            writer.journal(usage_event, *counted)

    def note_translation(self, translator: Translator) -> None:
        """Write down in which dialect the request was sent, and what that took away."""
        if translator.last is not None:
            translation = translator.last.translation
            less = ",".join(translation.less)
            self._note(RequestTranslated(str(translation.caller), str(translation.endpoint), less))

    def _note(self, detail: AnswerTruncated | ModelDiffered | RequestGivenUp | RequestTranslated) -> None:
        """Queue a journal event about the answer."""
        call, pin = self.call, str(self.call.route.connection.pin)
        if self.outcome is not None:
            pin = str(self.outcome.connection.pin)
        event = Event(at=self.now(), detail=detail, session=call.session, request=call.request_id, pin=pin)
        self.engine.journal(event)

    def _ended(self) -> Outcome:
        if self.outcome is None:
            raise RuntimeError("the request has not ended yet")
        return self.outcome
