"""Takes the steps that the core names for a record, one at a time, under one lease; each is on the disk
before the next begins.

The intent is stored before a key is requested, the response is saved before it is parsed, and the key is in
the vault before the record says so. So any process can continue a record that another left halfway."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace

from ..core.errors import HoldfastError
from ..core.faults import Reply
from ..core.provisioning_state import (
    WITH_KEY,
    Capability,
    Consent,
    Record,
    State,
    Step,
    expects,
    granted,
    intend,
    listed,
    next_step,
    refused,
    unknown,
)
from .base import (
    MalformedAnswer,
    Minted,
    ProvisionedKey,
    Provisioner,
    Tools,
    label_of,
    minted,
    new_intent,
)
from .before_minting import newer_state, with_settings
from .leases import alone, busy
from .ports import ProvisioningPorts
from .retirement import Retirement

_MOST_STEPS = 8
_BEFORE_A_KEY = frozenset({Step.MINT, Step.ASK_CONSENT, Step.ASK_OPERATOR})
"""Steps for a record without a key that works."""


class Runner:
    """Takes the steps of records; one for each process. `kinds` has the provisioners by their kind."""

    def __init__(
        self, ports: ProvisioningPorts, tools: Callable[[Record], Tools], kinds: Mapping[str, Provisioner]
    ) -> None:
        self.ports, self.kinds = ports, kinds
        self._tools = tools
        self._owner = secrets.token_hex(8)
        self._retirement = Retirement(ports, tools, kinds)

    def run(
        self, record: Record, consent: Consent | None = None, *, patience: float = 0.0, again: bool = False
    ) -> Record:
        """Take every step that is possible now, and return the record after them. `record` is the beginning
        where none is stored. With `again` the operator agrees that a key of unknown outcome, or after a spent
        trial, may be paid for once more.

        Raises NotReady (`busy` after `patience` seconds in which another process had the lease,
        `quarantined`, `needs_operator` for a key that is here and belongs to no record), StoreError and
        ConfigError when something cannot be written; nothing was requested then."""
        with alone(self.ports.records, record.name, self._owner, patience):
            record = self._stored(record, renewed=consent is not None)
            for _ in range(_MOST_STEPS):
                after = self._step(record, consent, again)
                if after is None:
                    break
                if after.epoch != record.epoch:
                    consent = None  # a consent is for one key
                record = after
            self.ports.readable(record)  # computes a key that another machine obtained
            self._enter(record)
            return record

    def newer(self, record: Record) -> Record | None:
        """Return the record with what is here of a newer state of it; None if nothing is. Raises NotReady."""
        return newer_state(record, self.ports, self._tools(record))

    def relist(self, record: Record, *, patience: float = 0.0) -> Record:
        """List the models of a record that has a key, without waiting for its next attempt. Raises like
        `run`."""
        with alone(self.ports.records, record.name, self._owner, patience):
            record = self._stored(record, renewed=False)
            if record.state not in WITH_KEY or not self.ports.readable(record):
                return record
            return self._list(record)

    def retire(self, record: Record, *, only_here: bool, patience: float) -> Record:
        """Complete what was begun, give the key back, and remove it here; with `only_here` the service is not
        asked. The reason of the record that is returned is a `Fate`. Raises NotReady when the service did not
        say what became of the key; nothing was changed then."""
        with alone(self.ports.records, record.name, self._owner, patience):
            record = self._stored(record, renewed=False)
            saved = None
            if record.state in (State.INTENT, State.AMBIGUOUS):
                saved = self.ports.answers.text(record.intent)
            if saved:
                record = self._receive(record, saved) or record
            return self._retirement.end(record, only_here=only_here)

    def change(self, record: Record, how: Callable[[Record, float], Record]) -> Record:
        """Store the result of `how`, called with the stored record (else with `record`) and the time. It is
        called again when another process changes the record meanwhile. Raises like `run`."""
        records = self.ports.records
        while True:
            stored = records.provision(record.name)
            before = stored or record
            after = how(before, records.now())
            if after is before:
                return after
            if records.save_provision(after, _version(stored)):
                self.ports.saved(before, after)
                return after

    def _stored(self, given: Record, *, renewed: bool) -> Record:
        """Return the stored record, or `given` without one. Where the user asks for a key now (`renewed`) and
        none was obtained, it has the settings of `given`."""
        stored = self.ports.records.provision(given.name)
        if stored is None:
            return given
        if not renewed:
            return stored
        return with_settings(stored, given)

    # The steps

    def _step(self, record: Record, consent: Consent | None, again: bool) -> Record | None:
        """Take one step and return the record after it; None when there is nothing to be done now."""
        now = self.ports.records.now()
        if record.state is State.INTENT or (record.state is State.AMBIGUOUS and not again):
            saved = self.ports.answers.text(record.intent)
            if saved:
                return self._receive(record, saved)
        step = next_step(record, now, consent=consent is not None)
        if step in _BEFORE_A_KEY and not again:
            known = self._continued(record)
            if known is not None:
                return known
        if step is Step.ASK_OPERATOR and consent is not None and again:
            step = Step.MINT
        if record.state is State.INTENT and step in (Step.ASK_OPERATOR, Step.ASK_CONSENT):
            what = "the process that requested the key ended before a response was saved"
            return self._save(record, unknown(record, now, what))
        match step:
            case Step.MINT:
                return self._mint(replace(record, consent=consent or record.consent))
            case Step.REPLAY:
                return self._send(record, first=False)
            case Step.RECONCILE:
                return self._reconcile(record)
            case Step.LIST_MODELS if self.ports.readable(record):
                return self._list(record)
        return None

    def _continued(self, record: Record) -> Record | None:
        """Store what a newer state of this record had, before the store was restored, and return that."""
        known = self.newer(record)
        if known is None:
            return None
        new = self._store(known)
        self.ports.saved(record, new)
        return new

    def _mint(self, record: Record) -> Record:
        """Store a new intent, and request its key."""
        if record.intent:  # an operator who goes on has seen what was saved
            self.ports.answers.remove(record.intent)
        if record.state is State.RETIRED:
            record = replace(record, key="")  # it was removed here
        intent = new_intent(secrets.token_hex(8), record, self._tools(record))
        self.ports.answers.reserve(intent)
        new = intend(record, intent, self.ports.records.now())
        new = self._store(new)
        self.ports.done("intent", new)
        return self._send(new, first=True)

    def _store(self, new: Record) -> Record:
        """Store a record, the first of its name perhaps, and return it with its version. Raises NotReady when
        another process was faster."""
        stored = self.ports.records.provision(new.name)
        after = replace(new, version=0)
        if stored is not None:
            after = replace(new, version=stored.version + 1)
        if not self.ports.records.save_provision(after, _version(stored)):
            raise busy(new)
        return after

    def _send(self, record: Record, *, first: bool) -> Record:
        """Request the key of the record's intent. A refusal is certain only after the first request for this
        intent."""
        tools, records = self._tools(record), self.ports.records
        provisioner = self.kinds[record.kind]
        try:
            question = provisioner.mint(record, tools)
        except (MalformedAnswer, HoldfastError) as error:
            failed = unknown
            if first:
                failed = refused
            return self._save(record, failed(record, records.now(), str(error)))
        if isinstance(question, ProvisionedKey):
            return self._grant(record, question)
        reply = tools.ask(question)
        self.ports.done("answered", record)
        made, summary, now = minted(reply), tools.summary(reply), records.now()
        if made is Minted.YES:
            return self._receive(record, self._seal(record, reply)) or record
        if made is Minted.NO and first:
            self.ports.answers.remove(record.intent)
            after = refused(record, now, summary, fault=tools.fault(reply), window=provisioner.window)
            return self._save(record, after)
        return self._save(record, unknown(record, now, summary))

    def _reconcile(self, record: Record) -> Record:
        """Use the key that an earlier request made, or repeat the request."""
        try:
            key = self.kinds[record.kind].reconcile(record, self._tools(record))
        except (MalformedAnswer, HoldfastError) as error:
            return self._save(record, unknown(record, self.ports.records.now(), str(error)))
        if key is None:
            return self._send(record, first=False)
        return self._grant(record, key)

    def _seal(self, record: Record, reply: Reply) -> str:
        """Save a response before it is parsed, and return its text."""
        text = reply.body.decode("utf-8", "replace")
        self.ports.answers.seal(record.intent, text)
        self.ports.done("sealed", record)
        return text

    def _receive(self, record: Record, text: str) -> Record | None:
        """Read the key in a response, and keep it. Return None when the operator has to decide."""
        try:
            key = self.kinds[record.kind].read(record, text, self._tools(record))
        except (MalformedAnswer, HoldfastError) as error:
            if record.state is State.AMBIGUOUS:
                return None
            if record.capability is not Capability.ONE_SHOT:  # the request is repeated
                self.ports.answers.remove(record.intent)
            return self._save(record, unknown(record, self.ports.records.now(), str(error)))
        return self._grant(record, key)

    def _grant(self, record: Record, key: ProvisionedKey) -> Record:
        """Keep a key, then store that on the record, whatever it is by now. Raises NotReady when the record
        no longer waits for this intent."""
        records, ref = self.ports.records, key.ref
        if key.secret is not None:
            ref = self.ports.keep(record, label_of(record), key.secret)
        self.ports.done("kept", record)
        while True:
            before = records.provision(record.name)
            if before is not None and before.state is State.RETIRED and before.intent == record.intent:
                raise self._retirement.of_late_key(before, replace(before, key=ref, url=key.url))
            if before is None or not expects(before, record.intent):
                raise busy(record)
            after = granted(before, records.now(), url=key.url, key=ref, expires_at=key.expires_at)
            # The code of a sign-in has been spent.
            settings = {name: value for name, value in after.settings.items() if name != "code"}
            after = replace(after, settings=settings)
            if records.save_provision(after, before.version):
                break
        self.ports.done("provisioned", after)
        self.ports.answers.remove(record.intent)
        self._enter(after)
        return after

    def _list(self, record: Record) -> Record:
        listing = self.kinds[record.kind].models(record, self._tools(record))
        self.ports.done("asked-for-models", record)
        after = self._save(record, listed(record, listing, self.ports.records.now()))
        self._enter(after)
        return after

    def _enter(self, record: Record) -> None:
        if record.key and record.state is not State.RETIRED:
            self.ports.enter(record, self.kinds[record.kind].address(record))
            self.ports.done("entered", record)

    def _save(self, before: Record, after: Record) -> Record:
        """Store a step and return its record. If another process changed the record meanwhile (a late
        response, the operator), return that record instead."""
        if self.ports.records.save_provision(after, before.version):
            self.ports.saved(before, after)
            return after
        return self.ports.records.provision(before.name) or before


def _version(stored: Record | None) -> int | None:
    if stored is None:
        return None
    return stored.version
