"""Providers that programs set up, in a running Holdfast: what applications ask (`ensure_ready`), what heals
by itself, and what never does.

An unresolved provider is completed with the key it has, beside the request that found it so. A key is
obtained only by `provision`, and by `ensure_ready` when its caller passes on somebody's consent; where the
user wrote the provider, nothing is asked of anybody."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..config.provisioned_entry import enter
from ..core.classify import classify
from ..core.errors import ConfigError, HoldfastError, IdentityError, NotReady, SecretMissing, StoreError
from ..core.faults import Fault, Phase, Reply
from ..core.identity import Connection, Dialect, Pin, Provider, ProviderName, Route
from ..core.model_roles import Role, bind
from ..core.provisioning_state import USABLE, Capability, Consent, Record, State, answered, failed, granted
from ..core.secret import Secret
from ..core.steps import Outcome
from ..providers.profiles import load as load_profile
from ..provisioning import KINDS, Provisioner, ProvisioningPorts, Question, Runner, Tools, obstacle
from ..provisioning.sealed_replies import Sealed
from ..store.journal_events import Event, ProvisioningChanged
from .background import NamedJobs

if TYPE_CHECKING:
    from .state import Engine

Roles = Mapping[str, Sequence[str]]
Listener = Callable[[Mapping[str, Pin]], None]
PATIENCE = 20.0
"""Seconds that a caller waits for another process which sets up the same provider."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A provider that can be used now. `pins` are the models of its roles; `own` when the user wrote it, and
    nothing was asked."""

    name: ProviderName
    pins: Mapping[str, Pin]
    own: bool = False

    def pin(self, role: str) -> Pin:
        """The model of a role. Raises NotReady when none does it."""
        if role not in self.pins:
            what = f"'{self.name}' has no model for the role '{role}'"
            raise NotReady(
                what,
                reason="model_unresolved",
                next_step=f"holdfast provision resolve {self.name} --role {role}=PATTERN",
            )
        return self.pins[role]


class Provisioning:
    """One per engine. Thread-safe: what matters stands in the store."""

    def __init__(self, engine: Engine, kinds: Mapping[str, Provisioner] = KINDS) -> None:
        self.engine, self.kinds = engine, kinds
        self.jobs = NamedJobs("holdfast-provisioning", engine.journal_writer.tell)
        self._also_told: list[Callable[[str, Record], None]] = []
        self._offers_nothing = engine.dispatcher.unready
        engine.watch = self.seen
        engine.dispatcher.unready = self.unready
        self._known: dict[str, Record] = {}
        self._known_at: int | None = None
        self._listeners: dict[str, list[Listener]] = {}
        answers = Sealed(engine.home.secrets.with_name("sealed"))
        self.runner = Runner(
            ProvisioningPorts(engine.store, answers, self._keep, self._enter, self._done), self.tools, kinds
        )

    # What applications ask
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
        """The provider, ready to be used, with a pin for each role. What is known already costs one look into
        the store; what is half done is completed with the stored key. `consent` says who agreed, just now, to
        what the provisioner's `offer` says; without it nothing is obtained. `on_models` is called whenever
        roles get other models, by whichever process.

        Raises NotReady with a reason, and when it may be tried again.
        """
        if on_models is not None and on_models not in self._listeners.setdefault(name, []):
            self._listeners[name].append(on_models)
        wanted = tuple(Role(role, tuple(patterns)) for role, patterns in (roles or {}).items())
        record = self.engine.store.provision(name)
        if (own := self.users_own(name, record)) is not None:
            return Ready(
                own.name,
                {role: Pin(own.name, model) for role, model in bind(wanted, own.models or (), {}).items()},
                own=True,
            )
        if record is not None and wanted and (wanted := _joined(record.roles, wanted)) != record.roles:
            record = self.runner.change(
                record,
                lambda now_is, _: replace(now_is, roles=wanted, next_at=0.0, version=now_is.version + 1),
            )
        if record is None or record.missing or obstacle(record) is not None or not self._in_force(record):
            if record is None and consent is None:
                raise obstacle(self.begin(name, kind, settings, wanted)) or RuntimeError(
                    "a record that begins is not ready"
                )
            known_kind = record.kind if record is not None else None
            given = (
                record
                if record is not None and record.key
                else self.begin(name, kind or known_kind, settings, wanted, record)
            )
            record = self.runner.run(
                given, self._consent(given, consent) if consent else None, patience=patience
            )
        self.look()
        if (in_the_way := obstacle(record)) is not None:
            raise in_the_way
        return self._ready(record)

    def users_own(self, name: str, record: Record | None) -> Provider | None:
        """The provider of this name if its user wrote it, before us or in the place of what we wrote: it is
        never completed, and no key is obtained for it."""
        provider = self.engine.config().providers.get(ProviderName(name))
        if provider is None or record is None:
            return provider
        refs = [key.ref for key in provider.keys]
        ours = any(ref == record.key or ref.startswith(f"store:{record.kind}-") for ref in refs) or (
            not refs and provider.models == ()
        )
        return None if ours else provider

    def _in_force(self, record: Record) -> bool:
        """Whether holdfast.toml says what the record says."""
        provider = self.engine.config().providers.get(record.name)
        said = (set(provider.models) if provider.models is not None else None) if provider is not None else ()
        return said == (set(record.bound.values()) if record.roles else None)

    # What the operator does
    # --------------------------------------------------------------------------------------------------------

    def begin(
        self,
        name: str,
        kind: str | None = None,
        settings: Mapping[str, Any] | None = None,
        roles: Sequence[Role] = (),
        stored: Record | None = None,
    ) -> Record:
        """A record of which nothing is stored yet (or, with `stored`, as it is stored). Raises ConfigError
        for an unknown kind."""
        kind = kind or name
        if kind not in self.kinds:
            what = f"nothing here obtains keys of '{kind}'; known are {', '.join(self.kinds)}"
            raise ConfigError(what, next_step="holdfast provision --help")
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
        """What the user is asked to agree to."""
        return self.kinds[record.kind].offer(record)

    def provision(
        self, record: Record, by: str, *, again: bool = False, patience: float = PATIENCE
    ) -> Record:
        """Obtain a key, with the consent of `by` to the offer, and complete the provider. Raises NotReady,
        IdentityError where the user wrote a provider of this name."""
        self._refuse_own(record)
        return self.runner.run(record, self._consent(record, by), again=again, patience=patience)

    def _refuse_own(self, record: Record) -> None:
        """A provider that its user wrote keeps its address: its keys would follow ours elsewhere."""
        if self.users_own(record.name, self.engine.store.provision(record.name)) is not None:
            what = (
                f"'{record.name}' is in your configuration with a key of your own; no key is obtained for it"
            )
            raise IdentityError(
                what,
                next_step=f"holdfast provision ANOTHER-NAME --kind {record.kind} …   (under another name)",
            )

    def heal(self, record: Record, patience: float = 0.0) -> Record:
        """Take every step that can be taken with what is there; obtains no new key."""
        return self.runner.run(record, patience=patience)

    def resolve(self, record: Record, roles: Sequence[Role] = ()) -> Record:
        """Ask for the models now, whatever was waited for; `roles` replace those of the same name."""
        wanted = _joined(record.roles, roles)
        unbound = {
            role: model for role, model in record.bound.items() if role not in {one.name for one in roles}
        }
        record = self.runner.change(
            record,
            lambda now_is, _: replace(
                now_is, roles=wanted, bound=unbound, gone=(), version=now_is.version + 1
            ),
        )
        return self.runner.relist(record, patience=PATIENCE)

    def verify(self, record: Record) -> Record:
        """One cheap real call per role: the only proof there is."""
        from ..calls.api_calls import check_call

        for model in dict.fromkeys(record.bound.values()) or record.models[:1]:
            connection = Route.build(
                self.engine.config().providers[record.name], Dialect.OPENAI_CHAT, model
            ).connection
            secret = self.engine.vault.secret(connection.key) if connection.key is not None else None
            got = check_call(connection, secret, self.engine.profile(connection))
            record = self._learn(record, model, self._fault(record, got) if isinstance(got, Reply) else None)
        return record

    def adopt(self, record: Record, secret: Secret, url: str) -> Record:
        """Take a key that the operator has, for a record that waits for one. It is never asked for again.
        Raises IdentityError where the user wrote a provider of this name."""
        self._refuse_own(record)
        ref = self._keep(record, f"{record.kind}-{record.epoch + 1}-adopted", secret)
        record = self.runner.change(record, lambda now_is, now: granted(now_is, now, url=url, key=ref))
        return self.heal(record, PATIENCE)

    def retire(self, record: Record) -> tuple[Record, bool]:
        """Give the key back, forget it here, and offer no model any more. Whether the other side took it
        back."""
        given_back = bool(record.key) and self.kinds[record.kind].revoke(record, self.tools(record))
        record = self.runner.change(record, lambda now_is, now: now_is.to(State.RETIRED, now))
        if record.key and self.users_own(record.name, record) is None:
            enter(
                self.engine.home,
                record.name,
                self.kinds[record.kind].address(record),
                [],
                f"store:{record.kind}-",
                [],
            )
        if record.key.startswith("store:"):
            self.engine.vault.file.remove(record.name, record.key.removeprefix("store:"))
        self.engine.look_again()
        return record, given_back

    # What happens by itself
    # --------------------------------------------------------------------------------------------------------

    def seen(self, outcome: Outcome) -> None:
        """Learn from a request that ended. Costs a dictionary look-up where its provider was not provisioned;
        nothing is written here."""
        if self.engine.revision != self._known_at:
            if self._listeners:  # what they do is not for a request to wait for
                self.jobs.submit("look", lambda: self._look_and_learn(outcome))
                return
            try:
                self.look()
            except StoreError as error:  # the request is answered all the same
                self.engine.journal_writer.tell(error)
        if (lesson := self._lesson(outcome)) is not None:
            self.jobs.submit(outcome.connection.provider.name, lesson)

    def unready(self, provider: Provider) -> HoldfastError:
        """Why a provider that offers no model cannot be used; what can be done about it begins now, beside
        the request."""
        record = self.engine.store.provision(provider.name)
        if record is None:
            return self._offers_nothing(provider)
        self.soon(record)
        busy = NotReady(
            f"'{provider.name}' is just being completed",
            reason="busy",
            retry_at=self.engine.store.now() + 1,
            next_step="holdfast provision status",
        )
        return obstacle(record) or busy

    def soon(self, record: Record) -> None:
        """Heal a record on a thread of its own; at most one at a time for each."""
        self.jobs.submit(record.name, lambda: self.heal(record))

    def look(self) -> None:
        """Take over what other processes did, and tell who listens."""
        before, self._known_at = self._known, self.engine.revision
        self._known = {record.name: record for record in self.engine.store.provisions()}
        for name, listeners in self._listeners.items():
            record, old = self._known.get(name), before.get(name)
            if record is not None and record.bound and (old is None or old.bound != record.bound):
                for listener in listeners:
                    listener(self._ready(record).pins)

    def tell_steps(self, told: Callable[[str, Record], None]) -> None:
        """Let `told` hear of every step that this process takes, as soon as it is on the disk."""
        self._also_told.append(told)

    def _look_and_learn(self, outcome: Outcome) -> None:
        self.look()
        if (lesson := self._lesson(outcome)) is not None:
            lesson()

    def _lesson(self, outcome: Outcome) -> Callable[[], None] | None:
        """What there is to write down of a request; None where it tells nothing new."""
        record, model, fault = (
            self._known.get(outcome.connection.provider.name),
            outcome.connection.model,
            outcome.fault,
        )
        key = outcome.connection.key
        if (
            record is None or key is None or key.ref != record.key or outcome.from_memory
        ):  # another key's fate is not this record's
            return None
        now = self.engine.store.now()
        after = answered(record, now) if fault is None else failed(record, model, fault, now)
        return None if after is record else lambda: self._learn_and_heal(record, model, fault)

    def close(self) -> None:
        self.jobs.close()

    # What the runner is given
    # ------------------------------------------------------------------------------------------------------

    def tools(self, record: Record) -> Tools:
        """How a provisioner reaches its control plane."""
        return Tools(
            lambda question: self._ask(record.name, question),
            self._derived,
            lambda reply: self._fault(record, reply),
        )

    def _ask(self, name: ProviderName, question: Question) -> Reply:
        from ..calls.api_calls import ask

        owner = Provider(name, (question.endpoint,), (question.key,) if question.key is not None else ())
        connection = Connection(owner, question.endpoint.dialect, question.key, "-")
        try:
            secret = self.engine.vault.secret(question.key) if question.key is not None else None
        except SecretMissing as missing:
            return Reply(None, body=f"SecretMissing: {missing.what}".encode(), phase=Phase.CONNECT)
        return ask(connection, secret, question.method, question.path, question.body, question.seconds)

    def _derived(self, name: str) -> str:
        return hmac.new(self.engine.vault.pepper(), f"provision {name}".encode(), "sha256").hexdigest()

    def _fault(self, record: Record, reply: Reply) -> Fault:
        return classify(reply, load_profile(self.kinds[record.kind].profile), now=self.engine.store.now())

    def _keep(self, record: Record, label: str, secret: Secret) -> str:
        self.engine.vault.file.put(record.name, label, secret)
        return f"store:{label}"

    def _enter(self, record: Record, address: Mapping[str, object]) -> None:
        if self.users_own(record.name, record) is not None:
            return
        models: list[str] | None = []
        if record.state in USABLE:
            models = list(dict.fromkeys(record.bound.values())) if record.roles else None
            self.engine.store.save_models(
                record.name, self._listed_at(record, address), record.models, self.engine.store.now()
            )
        if enter(self.engine.home, record.name, address, [record.key], f"store:{record.kind}-", models):
            self.engine.look_again()

    def _listed_at(self, record: Record, address: Mapping[str, object]) -> str:
        spoken = address.get("endpoints")
        return str(next(iter(spoken.values()))) if isinstance(spoken, dict) else record.url

    def _done(self, step: str, record: Record) -> None:
        if step == record.state:
            detail = ProvisioningChanged(str(record.state), record.reason, record.told)
            self.engine.journal(Event(self.engine.store.now(), detail, pin=record.name))
        for told in self._also_told:
            told(step, record)

    def _consent(self, record: Record, by: str) -> Consent:
        return Consent(self.offer(record), by, self.engine.store.now())

    def _ready(self, record: Record) -> Ready:
        return Ready(record.name, {role: Pin(record.name, model) for role, model in record.bound.items()})

    def _learn(self, record: Record, model: str, fault: Fault | None) -> Record:
        def learnt(now_is: Record, now: float) -> Record:
            if now_is.key != record.key:
                return now_is
            return answered(now_is, now) if fault is None else failed(now_is, model, fault, now)

        return self.runner.change(record, learnt)

    def _learn_and_heal(self, record: Record, model: str, fault: Fault | None) -> None:
        after = self._learn(record, model, fault)
        renews = after.reason == "key_dead" and after.capability is Capability.DERIVED
        if after.reason == "model_gone" or renews:
            self.heal(after)
        self.look()


def _joined(roles: Sequence[Role], wanted: Sequence[Role]) -> tuple[Role, ...]:
    return tuple({role.name: role for role in (*roles, *wanted)}.values())
