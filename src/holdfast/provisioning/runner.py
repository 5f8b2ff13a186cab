"""Does what the core says is next for a record, one step at a time, under one lease; each step is on the disk
before the next begins.

A key is asked for only after the intent is stored, its answer is kept before it is read, the key is in the
vault before the record says so. Whoever finds a record that somebody left half-way goes on from there."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from ..core.errors import HoldfastError, NotReady
from ..core.faults import Reply
from ..core.provisioning_state import (
    WITH_KEY,
    Capability,
    Consent,
    Minted,
    Record,
    State,
    Step,
    awaits,
    granted,
    intend,
    listed,
    minted,
    next_step,
    refused,
    unknown,
)
from .base import MalformedAnswer, ProvisionedKey, Provisioner, Tools

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..core.secret import Secret

_LEASE = 120.0  # seconds: longer than all questions of one step together, or two might be at it
_LOOK_EVERY = 0.05
_MOST_STEPS = 8


class Records(Protocol):
    """What a runner needs of the store."""

    def now(self) -> float: ...
    def provision(self, name: str) -> Record | None: ...
    def save_provision(self, record: Record, expect_version: int | None) -> bool: ...
    def lease(self, name: str, owner: str, ttl: float) -> Any: ...
    def release(self, lease: Any) -> None: ...


class Answers(Protocol):
    """What a runner needs to keep answers as they came."""

    def reserve(self, intent: str) -> None: ...
    def fill(self, intent: str, text: str) -> None: ...
    def text(self, intent: str) -> str | None: ...
    def remove(self, intent: str) -> None: ...


@dataclass(frozen=True, slots=True)
class ProvisioningPorts:
    """Where a runner puts things. `keep` makes a key durable and gives its reference; `enter` makes
    holdfast.toml say what the record and the address say, and writes nothing when it does so already; `done`
    is told of every step as soon as it is on the disk."""

    records: Records
    answers: Answers
    keep: Callable[[Record, str, Secret], str]
    enter: Callable[[Record, Mapping[str, object]], None]
    done: Callable[[str, Record], None]


class Runner:
    """One per process. `kinds` are the provisioners by their kind."""

    def __init__(
        self, house: ProvisioningPorts, tools: Callable[[Record], Tools], kinds: Mapping[str, Provisioner]
    ) -> None:
        self.house, self.kinds = house, kinds
        self._tools = tools
        self._owner = secrets.token_hex(8)
        self._unsaved: dict[str, str] = {}

    def run(
        self, record: Record, consent: Consent | None = None, *, patience: float = 0.0, again: bool = False
    ) -> Record:
        """Take every step that can be taken now, and give the record as it then stands. `record` is what to
        start with where none is stored. With `again` the operator says that an intent of unknown outcome, or
        a spent trial, may be paid for once more.

        Raises NotReady (`busy` when another process is at it for longer than `patience` seconds,
        `quarantined`), StoreError and ConfigError when something cannot be written; nothing was asked for
        then."""
        with self._alone(record.name, patience):
            record, willing = self._stored(record, renewed=consent is not None), consent
            for _ in range(_MOST_STEPS):
                after = self._step(record, willing, again)
                if after is None:
                    break
                if after.epoch != record.epoch:
                    willing = None  # one consent, one key
                record = after
            self._enter(record)
            return record

    def relist(self, record: Record, *, patience: float = 0.0) -> Record:
        """Ask for the models of a record that has a key, whatever was waited for. Raises like `run`."""
        with self._alone(record.name, patience):
            record = self._stored(record, renewed=False)
            return self._list(record) if record.state in WITH_KEY else record

    def change(self, record: Record, how: Callable[[Record, float], Record]) -> Record:
        """Store what somebody learnt of a record, on whatever it has become meanwhile. Raises like `run`."""
        records, given = self.house.records, record
        while True:
            before = records.provision(record.name)
            after = how(before or given, records.now())
            if after is (before or given):
                return after
            if records.save_provision(after, before.version if before is not None else None):
                self.house.done(f"{after.state}", after)
                return after

    def _stored(self, given: Record, *, renewed: bool) -> Record:
        """The record as it is stored; where nothing was obtained yet, with what its user asks for now."""
        stored = self.house.records.provision(given.name)
        repeats = (
            stored is not None
            and stored.state is State.INTENT
            and stored.kind == given.kind
            and stored.capability is not Capability.ONE_SHOT
        )
        if stored is not None and renewed and (stored.state in (State.ABSENT, State.RETIRED) or repeats):
            return replace(
                stored,
                kind=given.kind,
                capability=given.capability,
                settings=given.settings,
                roles=given.roles,
            )
        return stored or given

    # The steps

    def _step(self, record: Record, consent: Consent | None, again: bool) -> Record | None:
        """One step, and the record after it; None when there is nothing to be done now."""
        now, at_intent = self.house.records.now(), record.state in (State.INTENT, State.AMBIGUOUS)
        if at_intent and not (again and record.state is State.AMBIGUOUS) and (kept := self._kept(record)):
            return self._receive(record, kept)
        step = next_step(record, now, consent=consent is not None)
        if step is Step.ASK_OPERATOR and consent is not None and again:
            step = Step.MINT
        if record.state is State.INTENT and step in (Step.ASK_OPERATOR, Step.ASK_CONSENT):
            return self._save(
                record, unknown(record, now, "whoever asked for the key ended before an answer was kept")
            )
        if step is Step.MINT:
            return self._mint(replace(record, consent=consent or record.consent))
        return self._goes_on(record, step)

    def _goes_on(self, record: Record, step: Step) -> Record | None:
        if step is Step.REPLAY:
            return self._send(record, first=False)
        if step is Step.RECONCILE:
            return self._reconcile(record)
        return self._list(record) if step is Step.LIST_MODELS else None

    def _mint(self, record: Record) -> Record:
        intent = secrets.token_hex(8)
        self.house.answers.reserve(intent)
        new = intend(record, intent, self.house.records.now())
        stored = self.house.records.provision(record.name)
        new = replace(new, version=(stored.version if stored is not None else -1) + 1)
        if not self.house.records.save_provision(new, stored.version if stored is not None else None):
            raise _busy(record)
        self.house.done("intent", new)
        return self._send(new, first=True)

    def _send(self, record: Record, *, first: bool) -> Record:
        """Ask for the key of the record's intent. A refusal is definite only when it is the first word about
        this intent."""
        tools, records = self._tools(record), self.house.records
        provisioner = self.kinds[record.kind]
        try:
            asked = provisioner.mint(record, tools)
        except (MalformedAnswer, HoldfastError) as error:
            return self._save(record, (refused if first else unknown)(record, records.now(), str(error)))
        if isinstance(asked, ProvisionedKey):
            return self._grant(record, asked)
        reply = tools.ask(asked)
        self.house.done("answered", record)
        made, told, now = minted(reply), tools.told(reply), records.now()
        if made is Minted.YES:
            return self._receive(record, self._seal(record, reply)) or record
        if made is Minted.NO and first:
            self.house.answers.remove(record.intent)
            return self._save(record, refused(record, now, told, tools.fault(reply), provisioner.window))
        return self._save(record, unknown(record, now, told))

    def _reconcile(self, record: Record) -> Record:
        try:
            found = self.kinds[record.kind].reconcile(record, self._tools(record))
        except (NotReady, MalformedAnswer) as error:
            return self._save(record, unknown(record, self.house.records.now(), str(error)))
        return self._send(record, first=False) if found is None else self._grant(record, found)

    def _seal(self, record: Record, reply: Reply) -> str:
        text = reply.body.decode("utf-8", "replace")
        self._unsaved[record.intent] = text
        self.house.answers.fill(record.intent, text)
        del self._unsaved[record.intent]
        self.house.done("sealed", record)
        return text

    def _kept(self, record: Record) -> str | None:
        """The answer to a record's intent: on the disk, or in this process when the disk refused it."""
        return self._unsaved.get(record.intent) or self.house.answers.text(record.intent)

    def _receive(self, record: Record, text: str) -> Record | None:
        try:
            grant = self.kinds[record.kind].read(record, text, self._tools(record))
        except (MalformedAnswer, HoldfastError) as error:
            if record.state is State.AMBIGUOUS:
                return None
            if record.capability is not Capability.ONE_SHOT:  # it is asked for again
                self.house.answers.remove(record.intent)
            return self._save(record, unknown(record, self.house.records.now(), str(error)))
        return self._grant(record, grant)

    def _grant(self, record: Record, grant: ProvisionedKey) -> Record:
        """Keep a key, then say so: on whatever the record has become, as long as it still waits for this very
        intent."""
        records, ref = self.house.records, grant.ref
        if grant.secret is not None:
            ref = self.house.keep(record, f"{record.kind}-{record.epoch}-{record.intent[:6]}", grant.secret)
        self.house.done("kept", record)
        while True:
            before = records.provision(record.name)
            if before is None or not awaits(before, record.intent):
                raise _busy(record)
            after = granted(before, records.now(), url=grant.url, key=ref, expires_at=grant.expires_at)
            after = replace(
                after, settings={name: value for name, value in after.settings.items() if name != "code"}
            )  # it has been spent
            if records.save_provision(after, before.version):
                break
        self.house.done("provisioned", after)
        self.house.answers.remove(record.intent)
        self._unsaved.pop(record.intent, None)
        self._enter(after)
        return after

    def _list(self, record: Record) -> Record:
        listing = self.kinds[record.kind].models(record, self._tools(record))
        self.house.done("asked-for-models", record)
        after = self._save(record, listed(record, listing, self.house.records.now()))
        self._enter(after)
        return after

    def _enter(self, record: Record) -> None:
        if record.key and record.state is not State.RETIRED:
            self.house.enter(record, self.kinds[record.kind].address(record))
            self.house.done("entered", record)

    def _save(self, before: Record, after: Record) -> Record:
        """Store a step. A record that somebody else changed meanwhile (a late reply, its operator) is taken
        as it is."""
        if self.house.records.save_provision(after, before.version):
            self.house.done(f"{after.state}", after)
            return after
        return self.house.records.provision(before.name) or before

    @contextmanager
    def _alone(self, name: str, patience: float) -> Iterator[None]:
        """Nobody else takes a step of this record meanwhile. Waits so long for who is at it."""
        deadline = time.monotonic() + patience
        while (lease := self.house.records.lease(f"provision:{name}", self._owner, _LEASE)) is None:
            if time.monotonic() >= deadline:
                stands = self.house.records.provision(name)
                raise (
                    _busy(stands)
                    if stands is not None
                    else NotReady(f"another process sets up '{name}'", reason="busy")
                )
            time.sleep(_LOOK_EVERY)
        try:
            yield
        finally:
            self.house.records.release(lease)


def _busy(record: Record) -> NotReady:
    return NotReady(
        f"another process is setting up '{record.name}' ({record.state})",
        reason="busy",
        next_step=f"holdfast provision status {record.name}",
    )
