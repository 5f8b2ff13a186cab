"""A running request, between a driver and the core. It performs the steps that need no provider's answer,
stores what was learnt before the next step is taken, and builds the headers and errors for the client. It
contains no rule of recovery."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

from ..core.changes import Change
from ..core.errors import StoreError
from ..core.explain import Explanation
from ..core.faults import Fault, FaultClass
from ..core.identity import Connection, Pin
from ..core.request_flow import flow
from ..core.secret import Secret
from ..core.steps import Answer, Call, Outcome, Probe, Refresh, Relist, Send, Step
from ..secrecy.masking import redacted
from ..store.base import Lease
from ..store.journal_events import AnswerTruncated, Event, ModelDiffered, RequestGivenUp
from ..store.stored_events import stored
from ..wire.answered_model import confirm_model
from ..wire.error_bodies import ClientError, from_fault
from ..wire.usage import NO_USAGE
from .account_objects import told
from .answer_headers import headers_of
from .journal import attempt_event, events_of, usage_event
from .key_reads import read_key
from .ports import RequestContext

_LONGEST_NAME = 200


class RequestRun:
    """A running request. A driver performs `step` and reports its result with `answer`, until `outcome` is
    set."""

    __slots__ = (
        "_answered",
        "_began",
        "_differs",
        "_flow",
        "_gone",
        "_held",
        "_is_open",
        "_patience",
        "_sends",
        "_sent_at",
        "_unsaved",
        "_unsettled",
        "_until",
        "_used",
        "_waiting",
        "call",
        "engine",
        "now",
        "outcome",
        "pin",
        "step",
    )

    def __init__(self, engine: RequestContext, call: Call, pin: Pin, now: float) -> None:
        self.engine, self.call, self.pin = engine, call, pin
        self.now = engine.store.now
        self.outcome: Outcome | None = None
        self._began = now
        self._gone = self._unsettled = self._is_open = False
        self._unsaved: list[Change] = []
        self._answered = self._differs = ""
        self._held: Lease | None = None
        self._waiting, self._patience, self._until = False, 0.0, 0.0
        self._used: Secret | None = None
        self._sends, self._sent_at = 0, 0.0
        self._flow: Generator[Step, Answer, Outcome] = flow(call, engine.context(), now)
        self.step: Step | None = None
        self.take(None)

    def knows(self, connection: Connection) -> bool:
        """Return True if `secret` gives the key without waiting for a file, a program or a network."""
        key = connection.key
        return key is None or key.ref.startswith("env:") or self.engine.vault.peek(key) is not None

    def secret(self, connection: Connection) -> Secret | None:
        """Return the key to send with; None if the endpoint takes none. Raises SecretMissing if it cannot be
        read any more."""
        self._used = None
        if connection.key is not None:
            self._used = self.engine.vault.secret(connection.key)
        self._sent_at = self.now()
        self._sends += 1
        return self._used

    def answer(self, answer: Answer) -> None:
        """Report the result of `step`, set the next one, and save what was learnt. May block."""
        self.take(answer)
        self.save()

    @property
    def unsaved(self) -> bool:
        """Return whether there is something for `save`."""
        return not self._is_open and (self._unsettled or bool(self._unsaved))

    def save(self) -> None:
        """Make known to the other processes what was learnt. May block on the store."""
        changes, self._unsaved = self._unsaved, []
        self.engine.store_changes(changes, self._began)
        if self._unsettled and self._held is not None:
            self._unsettled = False
            self._keep_or_release(self._held)

    def perform(self) -> bool:
        """Perform a step that needs no driver (a key's reference, the probe's lease, a model list) and report
        it. May block. Return False while another request tests the key: call again in a moment."""
        step = self.step
        if isinstance(step, Probe):
            return self._take_probe(step)
        if isinstance(step, Refresh):
            return self._refresh(step)
        if isinstance(step, Relist):
            self.answer(Answer(self.now(), models=self.engine.relist(step.connection, self._used)))
        return True

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
        return headers_of(self._ended(), self.call, self._differs, self.now)

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
        if usage:
            counted = (self.now(), self.call, connection, usage)
            self.engine.journal_writer.journal(usage_event, *counted)

    def give_up(self, reason: str) -> str:
        """Write down that the request ends for this reason while it waits, and return the text about it."""
        call, connection = self.call, self.call.route.connection
        self._note(RequestGivenUp(reason))
        text = (
            f"{reason}\n{connection}: the call waited for the key, or for another request that tests it\n"
            f"Next: see what went before: holdfast why {call.session}"
        )
        self.engine.remember(call.session, text)
        return text

    def abandon(self, *, by_caller: bool = False) -> None:
        """End the request without an outcome: release what is held, soon, and blame no key. That its caller
        left is written to the journal. A thread that performs a step at this moment releases what it gets."""
        self._gone, self.step = True, None
        if by_caller and self.outcome is None:
            left = f"its caller left before there was an answer; sent until then: {self._sends}"
            self._note(RequestGivenUp(left))
        if self._held is not None or self._unsaved:
            self._unsettled = True
            self.engine.soon(self.save)

    def _note(self, detail: AnswerTruncated | ModelDiffered | RequestGivenUp) -> None:
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

    def _take_probe(self, step: Probe) -> bool:
        store, name = self.engine.store, f"probe:{step.fingerprint}@{step.connection.endpoint.url}"
        alone = False
        try:
            if self._waiting and store.holder(name) is not None:
                return False
            if not self._waiting:
                self._patience = step.patience
                self._held = store.lease(name, self.engine.owner, step.patience)
                if self._held is None:
                    self._waiting = True
                    return False
        except StoreError as error:  # no lease to wait for: this request tests the key for itself
            self.engine.journal_writer.warn_once(error)
            alone = True
        self._waiting = False
        self.engine.catch_up()
        self.answer(Answer(self.now(), yes=alone or self._held is not None))
        return True

    def _refresh(self, step: Refresh) -> bool:
        """Read a key and report it. Return False while its source is silent and still waited for."""
        latest = self.now() + step.patience
        self._until = min(self._until, latest) if self._waiting else latest  # a clock may be set back
        answer = read_key(self.engine, step, self._used, since=self._sent_at, until=self._until)
        self._waiting = answer is None
        if answer is not None:
            self.answer(answer._replace(now=self.now()))
        return answer is not None

    def take(self, answer: Answer | None, *, is_open: bool = False) -> None:
        """Report the result of `step`, None at the start, and set the next one. What is `unsaved` is to be
        saved before that is taken; where a good answer `is_open`, it is saved soon."""
        if self._gone:
            if self._held is not None:
                self._keep_or_release(self._held)
            return
        try:
            if answer is None:
                self.step = next(self._flow)
            else:
                self.step = self._flow.send(answer)
            changes = self.step.changes
        except StopIteration as end:
            outcome: Outcome = end.value
            self.step, self.outcome, changes = None, outcome, outcome.changes
            self._end(outcome, answer)
        if changes:
            self._unsaved += self.engine.take_changes(changes, self._began)
        # The reference of a key under test is read again under the same lease: requests that wait for the
        # verdict start no test of their own.
        self._unsettled = self._held is not None and not isinstance(self.step, Refresh)
        if is_open and self.unsaved:
            self._is_open = True
            self.engine.soon(self.save)

    def _end(self, outcome: Outcome, answer: Answer | None) -> None:
        """Write the request's journal, and keep what its fault shows; `answer` is the last one."""
        self.engine.journal_writer.journal(events_of, outcome, self.call, self._began)
        if not self.call.passthrough:
            self.engine.watch(outcome)
        fault = outcome.fault
        if fault is None:
            return
        if fault.kind is FaultClass.UNKNOWN and answer is not None and answer.reply is not None:
            keep = self.engine.keep_unclassified
            self.engine.journal_writer.journal(keep, answer.reply, outcome.connection)
        self.engine.remember(self.call.session, str(self.explanation()))

    def _keep_or_release(self, held: Lease) -> None:
        try:
            if isinstance(self.step, Send) and self.step.probe and not self._gone:
                self.engine.store.renew(held, self._patience + self.step.after)
            else:
                self._held = None
                self.engine.store.release(held)
        except StoreError as error:  # the lease expires by itself
            self.engine.journal_writer.warn_once(error)
