"""Providers that programs set up, in a running Holdfast: what applications call (`ensure_ready`), and what
operators do.

An unresolved provider is completed with the key that it has, in the background. A key is obtained only by
`provision`, and by `ensure_ready` if its caller passes on somebody's consent. For a provider that the user
wrote, no control plane is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..core.errors import ConfigError, IdentityError, NotReady
from ..core.identity import Pin, ProviderName
from ..core.model_roles import Role, bind
from ..core.provisioning_state import USABLE, WITH_KEY, Consent, Record, State, Step, granted, next_step
from ..provisioning import KINDS, Fate, Provisioner, ProvisioningPorts, Runner, Tools, obstacle
from ..provisioning.before_minting import with_settings
from ..provisioning.sealed_replies import SealedReplies
from ..values.secret import Secret
from . import provisioned_roles
from .provisioned_roles import pins_for, unbound
from .provisioning_host import ProvisioningHost
from .provisioning_proof import may_work_again, prove
from .provisioning_watch import Listener, ProvisioningWatch

if TYPE_CHECKING:
    from .state import Engine

Roles = Mapping[str, Sequence[str]]
PATIENCE = 20.0
"""Seconds that a caller waits for another process which sets up the same provider."""
_RETIRE_PATIENCE = 75.0
"""Seconds: longer than any request for a key, so that one in flight is given back too."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A provider that can be used now, with the `pins` of its roles. `own` is True if the user wrote it and
    nothing was obtained."""

    name: ProviderName
    pins: Mapping[str, Pin]
    own: bool = False

    def pin(self, role: str) -> Pin:
        """Return the pin of a role. Raises NotReady when the role has no model."""
        if role not in self.pins:
            what = f"'{self.name}' has no model for the role '{role}'"
            raise NotReady(
                what,
                reason="model_unresolved",
                next_step=f"holdfast provision resolve {self.name} --role {role}=PATTERN",
            )
        return self.pins[role]


class Provisioning:
    """The provisioned providers of an engine. One per engine; thread-safe, as all state is in the store."""

    def __init__(self, engine: Engine, kinds: Mapping[str, Provisioner] = KINDS) -> None:
        self.engine, self.kinds = engine, kinds
        self.host = ProvisioningHost(engine, kinds)
        answers = SealedReplies(engine.home.secrets.with_name("sealed"))
        ports = ProvisioningPorts(
            records=engine.store,
            answers=answers,
            keep=self.host.keep,
            enter=self.host.enter,
            withdraw=self.host.withdraw,
            readable=self.host.readable,
            left_over=self.host.left_over,
            done=self.host.done,
        )
        self.runner = Runner(ports, self.tools, kinds)
        self.watch = ProvisioningWatch(engine, self.runner)
        self.jobs = self.watch.jobs

    # For applications
    # -----------------------------------------------------------------------------------------------------

    def ensure_ready(
        self,
        name: str,
        roles: Roles | None = None,
        *,
        kind: str | None = None,
        settings: Mapping[str, Any] | None = None,
        consent: str | None = None,
        on_models: Listener | None = None,
        patience: float = PATIENCE,
    ) -> Ready:
        """Return the provider, ready to be used, with a pin for each role.

        A ready provider costs one read of the store; an incomplete one is completed with the stored key.
        `consent` names who agreed, just now, to the provisioner's `offer`; without it no key is obtained.
        `on_models` is called whenever roles get other models, in whichever process. `patience` is in seconds.

        Raises NotReady with a reason, and the time when it may be tried again.
        """
        wanted = tuple(Role(role, tuple(patterns)) for role, patterns in (roles or {}).items())
        if on_models is not None:
            self.watch.listen(name, on_models, wanted)
        record = self.engine.store.provision(name)
        own = self.host.users_own(name, record)
        if own is not None:
            models = bind(wanted, own.models or (), {})
            return Ready(own.name, {role: Pin(own.name, model) for role, model in models.items()}, own=True)
        if record is not None:
            record = self._with_roles(record, wanted)
        if record is None or not self._is_complete(record, wanted):
            if record is None and consent is None:
                new = self.begin(name, kind, settings, wanted)
                if self.runner.newer(new) is None:
                    raise obstacle(new) or RuntimeError("a record that begins is not ready")
            if record is None or record.state not in WITH_KEY:
                roles_now = wanted if record is None else record.roles
                record = self._renewed(name, kind, settings, roles=roles_now, stored=record)
            given_consent = None
            if consent:
                given_consent = self._consent(record, consent)
            record = self.runner.run(record, given_consent, patience=patience)
        self.watch.look()
        in_the_way = self.obstacle(record)
        if in_the_way is not None and not may_work_again(self.engine, record):
            raise in_the_way
        return Ready(record.name, pins_for(record, wanted))

    def obstacle(self, record: Record) -> NotReady | None:
        """Return why a record's key cannot be used here and now; None when it can."""
        return obstacle(record) or self.host.unreadable(record)

    def _with_roles(self, record: Record, wanted: tuple[Role, ...]) -> Record:
        """Store the roles that an application wants, unless the record has them. Return the stored record."""

        def change(current: Record, _: float) -> Record:
            after = provisioned_roles.with_roles(current, wanted)
            if after is current:
                return current
            return replace(after, next_at=0.0, version=current.version + 1)

        if provisioned_roles.with_roles(record, wanted) is record:
            return record
        return self.runner.change(record, change)

    def _is_complete(self, record: Record, wanted: tuple[Role, ...]) -> bool:
        ready = not unbound(record, wanted) and self.obstacle(record) is None
        return ready and self.host.is_in_force(record)

    def _renewed(
        self,
        name: str,
        kind: str | None,
        settings: Mapping[str, Any] | None,
        *,
        roles: Sequence[Role],
        stored: Record | None,
    ) -> Record:
        """Return a record to obtain a key for, of the stored kind if `kind` is None."""
        if stored is not None:
            kind = kind or stored.kind
        return self.begin(name, kind, settings, roles, stored=stored)

    # For operators
    # --------------------------------------------------------------------------------------------------------

    def begin(
        self,
        name: str,
        kind: str | None = None,
        settings: Mapping[str, Any] | None = None,
        roles: Sequence[Role] = (),
        *,
        stored: Record | None = None,
    ) -> Record:
        """Return a new record that is not stored yet, or `stored` with these settings and roles; of another
        kind where it never had a key, or was retired. Raises ConfigError for an unknown kind."""
        kind = kind or name
        if kind not in self.kinds:
            what = f"unknown kind of provider to provision: '{kind}'; known kinds: {', '.join(self.kinds)}"
            raise ConfigError(what, next_step="holdfast provision --help")
        anew = stored is not None and stored.kind != kind and stored.state in (State.ABSENT, State.RETIRED)
        if stored is not None and anew:  # the settings of another kind are for other services
            stored = replace(stored, kind=kind, capability=self.kinds[kind].capability, settings={})
        if stored is not None:
            return replace(stored, settings=settings or stored.settings, roles=tuple(roles) or stored.roles)
        return Record(
            ProviderName(name),
            kind,
            self.kinds[kind].capability,
            settings=dict(settings or {}),
            roles=tuple(roles),
        )

    def offer(self, record: Record) -> str:
        """Return the sentence to which the user is asked to agree."""
        return self.kinds[record.kind].offer(record)

    def provision(
        self, record: Record, by: str, *, again: bool = False, patience: float = PATIENCE
    ) -> Record:
        """Obtain a key, with the consent of `by` to the offer, and complete the provider. Raises NotReady,
        and IdentityError if the user wrote a provider of this name."""
        self._refuse_own(record)
        if self._waits_for_models(record):
            return self.runner.relist(record, patience=patience)
        return self.runner.run(record, self._consent(record, by), again=again, patience=patience)

    def heal(self, record: Record, patience: float = 0.0) -> Record:
        """Take every step that needs no new key, and list the models now, even if a later time was set.
        Return the record as it is stored then."""
        if self._waits_for_models(record):
            return self.runner.relist(record, patience=patience)
        return self.runner.run(record, patience=patience)

    def _waits_for_models(self, record: Record) -> bool:
        stored = self.engine.store.provision(record.name)
        if stored is None or stored.state not in WITH_KEY or stored.reason == "key_dead":
            return False
        return next_step(stored, self.engine.store.now()) is Step.WAIT

    def resolve(self, record: Record, roles: Sequence[Role] = ()) -> Record:
        """Ask for the models now, even if a later time was set; `roles` replace those of the same name."""
        record = self.runner.change(
            record,
            lambda current, _: replace(provisioned_roles.fixed(current, roles), version=current.version + 1),
        )
        return self.runner.relist(record, patience=PATIENCE)

    def verify(self, record: Record) -> Record:
        """Make one small call per bound model, the only proof that they work, and store the results. A good
        one ends the cooldowns that it disproves. Nothing is called without a model and a key here."""
        if record.state not in USABLE or not self.host.readable(record):
            return record
        return prove(self.engine, self.host, self.watch, record)

    def adopt(self, record: Record, secret: Secret | None, url: str, ref: str = "") -> Record:
        """Use a key that the operator has, for a record that waits for one; no other is obtained. Without a
        `secret` it is the one that is stored here as `ref`. Raises IdentityError if the user wrote a provider
        of this name."""
        self._refuse_own(record)
        if secret is not None:
            ref = self.host.keep(record, f"{record.kind}-{record.epoch + 1}-adopted", secret)

        def adopted(current: Record, now: float) -> Record:
            return granted(with_settings(current, record), now, url=url, key=ref)

        record = self.runner.change(record, adopted)
        return self.heal(record, PATIENCE)

    def retire(self, record: Record, *, only_here: bool = False) -> tuple[Record, bool]:
        """Give the key back, also one that is just being made, remove it here, and offer no model any more.
        Return the record, whose detail says what the service answered, and True if the key was given back.
        `only_here` does not ask the service. Raises NotReady when the service did not say what became of the
        key; nothing was changed then."""
        record = self.runner.retire(record, only_here=only_here, patience=_RETIRE_PATIENCE)
        return record, record.reason == Fate.GIVEN_BACK

    def tools(self, record: Record) -> Tools:
        """Return the means by which a provisioner reaches its control plane."""
        return self.host.tools(record)

    def close(self) -> None:
        self.watch.close()

    def _refuse_own(self, record: Record) -> None:
        """Raise IdentityError for a provider that its user wrote: it keeps its address, and keys obtained for
        another one must not be sent there."""
        stored = self.engine.store.provision(record.name)
        if self.host.users_own(record.name, stored) is None:
            return
        there = self.host.left_over(record)
        if stored is None and there is not None and there.url:
            return  # the entry is ours, and the store was restored to a state before it
        raise IdentityError(
            f"'{record.name}' is in your configuration with a key of your own; no key is obtained for it",
            next_step=f"holdfast provision ANOTHER-NAME --kind {record.kind} …   (under another name)",
        )

    def _consent(self, record: Record, by: str) -> Consent:
        return Consent(self.offer(record), by, self.engine.store.now())
