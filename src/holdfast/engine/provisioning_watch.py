"""Provisioning that happens by itself: what requests show about provisioned providers is stored, and what can
be repaired with the stored key is repaired in the background. No key is obtained here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from ..core.errors import HoldfastError, NotReady
from ..core.faults import Fault
from ..core.identity import Pin, Provider
from ..core.provisioning_state import Capability, Record, answered, failed
from ..core.steps import Outcome
from ..provisioning import Runner, obstacle
from .background import NamedJobs
from .provisioned_roles import Roles, pins_for

if TYPE_CHECKING:
    from .state import Engine

Listener = Callable[[Mapping[str, Pin]], None]
"""Called with the pins of a provider's roles."""


class ProvisioningWatch:
    """Watches the requests of an engine. One per engine; thread-safe."""

    def __init__(self, engine: Engine, runner: Runner) -> None:
        self._engine, self._runner = engine, runner
        self.jobs = NamedJobs("holdfast-provisioning", engine.journal_writer.warn_once)
        self._known: dict[str, Record] = {}
        self._known_at: int | None = None
        """The number of the change after which `_known` was read."""
        self._listeners: dict[str, list[tuple[Listener, Roles]]] = {}
        self._offers_nothing = engine.dispatcher.unready
        engine.watch = self.seen
        engine.dispatcher.unready = self.unready

    def listen(self, name: str, listener: Listener, wanted: Roles) -> None:
        """Call `listener` whenever roles of the provider `name` get other models, in whichever process, with
        the pins of the roles that its application wants."""
        listeners = self._listeners.setdefault(name, [])
        if (listener, wanted) not in listeners:
            listeners.append((listener, wanted))

    def seen(self, outcome: Outcome) -> None:
        """Learn from a request that ended. For a provider that was not provisioned this costs a dictionary
        look-up; nothing is written on this thread."""
        if self._engine.following.provisions_changed != self._known_at:
            # A request waits neither for the store nor for listeners.
            self.jobs.submit("look", partial(self._look_and_learn, outcome))
            return
        lesson = self._lesson(outcome)
        if lesson is not None:
            self.jobs.submit(outcome.connection.provider.name, lesson)

    def unready(self, provider: Provider) -> HoldfastError:
        """Return the error for a provider that offers no model, and start in the background what can be
        done about it."""
        record = self._engine.store.provision(provider.name)
        if record is None:
            return self._offers_nothing(provider)
        self.heal_soon(record)
        busy = NotReady(
            f"'{provider.name}' is being set up right now",
            reason="busy",
            retry_at=self._engine.store.now() + 1,
            next_step="holdfast provision status",
        )
        return obstacle(record) or busy

    def heal_soon(self, record: Record) -> None:
        """Take the steps that need no new key, in the background; one job at a time for each record."""
        self.jobs.submit(record.name, partial(self._runner.run, record))

    def look(self) -> None:
        """Take over what other processes stored, and call the listeners of roles that changed."""
        before, self._known_at = self._known, self._engine.following.provisions_changed
        self._known = {record.name: record for record in self._engine.store.provisions()}
        for name, listeners in self._listeners.items():
            record, old = self._known.get(name), before.get(name)
            if record is None or not record.bound or (old is not None and old.bound == record.bound):
                continue
            for listener, wanted in listeners:
                listener(pins_for(record, wanted))

    def learn(self, record: Record, model: str, fault: Fault | None) -> Record:
        """Store what a call of `model` showed; `fault` is None for a good answer. Return the new record."""

        def learnt(current: Record, now: float) -> Record:
            if current.key != record.key:
                return current
            return _after_call(current, model, fault, now)

        return self._runner.change(record, learnt)

    def close(self) -> None:
        self.jobs.close()

    def _look_and_learn(self, outcome: Outcome) -> None:
        self.look()
        lesson = self._lesson(outcome)
        if lesson is not None:
            lesson()

    def _lesson(self, outcome: Outcome) -> Callable[[], None] | None:
        """Return the job that stores what a request showed; None if it showed nothing new."""
        connection = outcome.connection
        record, key = self._known.get(connection.provider.name), connection.key
        if record is None or key is None or outcome.from_memory:
            return None
        if key.ref != record.key:
            return None  # another key's result says nothing about this record
        fault = outcome.fault
        if _after_call(record, connection.model, fault, self._engine.store.now()) is record:
            return None
        return partial(self._learn_and_heal, record, connection.model, fault)

    def _learn_and_heal(self, record: Record, model: str, fault: Fault | None) -> None:
        after = self.learn(record, model, fault)
        derived_key_died = after.reason == "key_dead" and after.capability is Capability.DERIVED
        if after.reason == "model_gone" or after.missing or derived_key_died:
            self._runner.run(after)
        self.look()


def _after_call(record: Record, model: str, fault: Fault | None, now: float) -> Record:
    """Return the record after a call; the same object if the call shows nothing new."""
    if fault is None:
        return answered(record, now, model)
    return failed(record, model, fault, now)
