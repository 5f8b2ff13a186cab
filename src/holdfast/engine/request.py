"""A running request, between a driver and the core. It performs the steps that need no provider's answer,
has what was learnt stored behind the next step, and builds the headers and errors for the client. It
contains no rule of recovery."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, NamedTuple

from ..core.errors import HoldfastError, StoreError
from ..core.faults import FaultClass
from ..core.identity import Connection, Pin
from ..core.key_selection import KeySelection
from ..core.request_flow import flow
from ..core.steps import Answer, Call, Outcome, Probe, Refresh, Relist, Send, Step
from ..store.base import Lease
from ..store.journal_events import RequestGivenUp
from ..store.time_limit import time_limit
from ..values.secret import Secret
from ..wire.error_bodies import ClientError, from_error
from .answered_request import AnsweredRequest
from .journal import events_of
from .key_reads import read_key
from .ports import RequestContext

if TYPE_CHECKING:
    from ..wire.translated import TranslatedRequest
    from .dispatch import RequestPlan
    from .translator import Translator


_BRIEFLY = 0.25
"""Seconds that the test of a key waits for the store: without a lease a request tests the key for itself."""


class Begun(NamedTuple):
    """The first send of a request, made before the request came here: by whose `choice`, with which key, and
    when (epoch seconds)."""

    choice: KeySelection
    secret: Secret | None
    sent_at: float


class RequestRun(AnsweredRequest):
    """A running request. A driver performs `step` and reports its result with `answer`, until `outcome` is
    set. `plan` is what it was planned by; `sent_at` is when its last send left, in epoch seconds."""

    __slots__ = (
        "_began",
        "_begun",
        "_flow",
        "_gone",
        "_held",
        "_is_open",
        "_patience",
        "_refusal",
        "_sends",
        "_unsettled",
        "_until",
        "_used",
        "_waiting",
        "plan",
        "sent_at",
        "step",
    )

    def __init__(
        self,
        engine: RequestContext,
        call: Call,
        pin: Pin,
        now: float,
        *,
        plan: RequestPlan | None = None,
        begun: Begun | None = None,
        translator: Translator | None = None,
    ) -> None:
        super().__init__(engine, call, pin)
        self.translator = translator
        self.plan, self._began = plan, now
        self._gone = self._unsettled = self._is_open = False
        self._refusal: HoldfastError | None = None
        self._held: Lease | None = None
        self._waiting, self._patience, self._until = False, 0.0, 0.0
        self._used: Secret | None = None
        self._sends, self.sent_at = 0, 0.0
        self._begun = begun
        sent = None if begun is None else begun.choice
        self._flow: Generator[Step, Answer, Outcome] = flow(call, engine.context(), now, sent)
        self.step: Step | None = None
        self.take(None)

    def knows(self, connection: Connection) -> bool:
        """Return True if `secret` gives the key without waiting for a file, a program or a network."""
        key = connection.key
        if key is None or self._begun is not None or key.ref.startswith("env:"):
            return True
        return self.engine.vault.peek(key) is not None

    def secret(self, connection: Connection) -> Secret | None:
        """Return the key to send with; None if the endpoint takes none. Raises SecretMissing if it cannot be
        read any more."""
        begun, self._begun, self._used = self._begun, None, None
        if begun is not None:
            self._used, self.sent_at = begun.secret, begun.sent_at
        else:
            if connection.key is not None:
                self._used = self.engine.vault.secret(connection.key)
            self.sent_at = self.now()
        self._sends += 1
        return self._used

    def translated(self, connection: Connection) -> TranslatedRequest | None:
        """Return the request in the dialect of the connection's endpoint; None where that is the caller's.
        Raises Untranslatable."""
        if self.translator is None:
            return None
        return self.translator.to(connection)

    def takes_long(self, connection: Connection | None = None) -> bool:
        """Return whether the request is yet to be translated for a connection, by default that of its own
        route, and so long that this is better done by `prepare` on another thread."""
        if self.translator is None:
            return False
        return not self.translator.knows(connection or self.call.route.connection)

    def prepare(self, connection: Connection | None = None) -> bool:
        """Translate the request for a connection. Return False where that cannot be done: `translated` says
        why, and so does `client_error` for the request's own route. May take a while."""
        if self.translator is None:
            return True
        try:
            self.translator.check(connection or self.call.route.connection)
        except HoldfastError as refused:
            if connection is None:
                self._refusal = refused
            return False
        return True

    def client_error(self) -> ClientError:
        if self._refusal is not None:
            return from_error(self._refusal)
        return super().client_error()

    def answer(self, answer: Answer) -> None:
        """Report the result of `step`, set the next one, and settle the lease of a test. May block."""
        self.take(answer)
        self.save()

    @property
    def unsaved(self) -> bool:
        """Return whether there is something for `save`."""
        return not self._is_open and self._unsettled

    def save(self) -> None:
        """Keep the lease of the test, or end it once its verdict is stored. May block on the store."""
        if self._unsettled and self._held is not None:
            self._unsettled = False
            with time_limit(_BRIEFLY):
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
        if self._held is not None:
            self._unsettled = True
            self.engine.soon(self.save)

    def _take_probe(self, step: Probe) -> bool:
        store, name = self.engine.store, f"probe:{step.fingerprint}@{step.connection.endpoint.url}"
        alone = False
        try:
            with time_limit(_BRIEFLY):
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
        if not alone:
            self.engine.catch_up()
        self.answer(Answer(self.now(), yes=alone or self._held is not None))
        return True

    def _refresh(self, step: Refresh) -> bool:
        """Read a key and report it. Return False while its source is silent and still waited for."""
        latest = self.now() + step.patience
        self._until = min(self._until, latest) if self._waiting else latest  # a clock may be set back
        answer = read_key(self.engine, step, self._used, since=self.sent_at, until=self._until)
        self._waiting = answer is None
        if answer is not None:
            self.answer(answer._replace(now=self.now()))
        return answer is not None

    def take(self, answer: Answer | None, *, is_open: bool = False) -> None:
        """Report the result of `step`, None at the start, and set the next one. What was learnt counts at
        once. A lease that is `unsaved` is settled before the next step is taken; soon, where a good answer
        `is_open`."""
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
            self.engine.take_changes(changes, self._began)
        # The reference of a key under test is read again under the same lease: requests that wait for the
        # verdict start no test of their own.
        self._unsettled = self._held is not None and not isinstance(self.step, Refresh)
        if is_open and self.unsaved:
            self._is_open = True
            self.engine.soon(self.save)

    def _end(self, outcome: Outcome, answer: Answer | None) -> None:
        """Write the request's journal, and keep what its fault shows; `answer` is the last one."""
        self.engine.journal_writer.journal(events_of, outcome, self.call, self._began)
        if self.translator is not None:
            self.note_translation(self.translator)
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
                self.engine.journal_writer.changes.flush()
                self.engine.store.release(held)
        except StoreError as error:  # the lease expires by itself
            self.engine.journal_writer.warn_once(error)
