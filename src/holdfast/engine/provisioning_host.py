"""The engine as the host of provisioners: it asks their control planes, keeps their keys and writes
holdfast.toml."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from ..config.provisioned_entry import enter
from ..core.classify import classify
from ..core.errors import SecretMissing
from ..core.faults import Fault, Phase, Reply
from ..core.identity import Connection, Key, Provider, ProviderName
from ..core.provisioning_state import USABLE, Record
from ..core.secret import Secret
from ..providers.profiles import load as load_profile
from ..provisioning import Provisioner, Question, Tools
from ..store.journal_events import Event, ProvisioningChanged

if TYPE_CHECKING:
    from .state import Engine

StepListener = Callable[[str, Record], None]


class ProvisioningHost:
    """Gives provisioners and their runner access to one home. Thread-safe: all state is in the store."""

    def __init__(self, engine: Engine, kinds: Mapping[str, Provisioner]) -> None:
        self._engine, self._kinds = engine, kinds
        self._step_listeners: list[StepListener] = []

    def users_own(self, name: str, record: Record | None) -> Provider | None:
        """Return the provider of this name if its user wrote it, before us or in place of our entry; None
        otherwise. Such a provider is never completed, and no key is obtained for it."""
        provider = self._engine.config().providers.get(ProviderName(name))
        if provider is None or record is None:
            return provider
        our_keys = _reference_prefix(record)
        ours = any(key.ref == record.key or key.ref.startswith(our_keys) for key in provider.keys)
        placeholder = not provider.keys and provider.models == ()
        if ours or placeholder:
            return None
        return provider

    def is_in_force(self, record: Record) -> bool:
        """Return True if holdfast.toml declares the models that the record has bound."""
        provider = self._engine.config().providers.get(record.name)
        if provider is None:
            return False
        if not record.roles:
            return provider.models is None
        return provider.models is not None and set(provider.models) == set(record.bound.values())

    def tools(self, record: Record) -> Tools:
        """Return the means by which a provisioner reaches its control plane."""
        return Tools(partial(self.ask, record.name), self._derive, partial(self.fault, record))

    def ask(self, name: ProviderName, question: Question) -> Reply:
        """Ask a control plane once. A key that cannot be read gives a reply without a status."""
        from ..calls import api_calls

        keys: tuple[Key, ...] = ()
        secret = None
        if question.key is not None:
            keys = (question.key,)
            try:
                secret = self._engine.vault.secret(question.key)
            except SecretMissing as missing:
                return Reply(None, body=f"SecretMissing: {missing.what}".encode(), phase=Phase.CONNECT)
        owner = Provider(name, (question.endpoint,), keys)
        connection = Connection(owner, question.endpoint.dialect, question.key, "-")
        return api_calls.call_control_plane(
            connection,
            secret,
            method=question.method,
            path=question.path,
            body=question.body,
            seconds=question.seconds,
            network=self._engine.network,
        )

    def fault(self, record: Record, reply: Reply) -> Fault:
        """Classify a reply by the error vocabulary of the record's kind."""
        profile = load_profile(self._kinds[record.kind].profile, self._engine.home.profiles)
        return classify(reply, profile, now=self._engine.store.now())

    def keep(self, record: Record, label: str, secret: Secret) -> str:
        """Store a key durably. Return its reference."""
        self._engine.vault.file.put(record.name, label, secret)
        return f"store:{label}"

    def enter(self, record: Record, address: Mapping[str, object]) -> None:
        """Write the record and its address to holdfast.toml, unless the user owns the entry."""
        if self.users_own(record.name, record) is not None:
            return
        models: list[str] | None = []
        if record.state in USABLE:
            store = self._engine.store
            store.save_models(record.name, _listed_at(record, address), record.models, store.now())
            models = None
            if record.roles:
                models = list(dict.fromkeys(record.bound.values()))
        if self._write_entry(record, address, [record.key], models):
            self._engine.look_again()

    def withdraw(self, record: Record) -> None:
        """Remove the record's key and models from holdfast.toml and its key from the vault."""
        if record.key and self.users_own(record.name, record) is None:
            self._write_entry(record, self._kinds[record.kind].address(record), [], [])
        if record.key.startswith("store:"):
            self._engine.vault.file.remove(record.name, record.key.removeprefix("store:"))
        self._engine.look_again()

    def done(self, step: str, record: Record) -> None:
        """Write a step that is on the disk to the journal, and tell the listeners."""
        if step == record.state:
            detail = ProvisioningChanged(str(record.state), record.reason, record.detail)
            self._engine.journal(Event(self._engine.store.now(), detail, pin=record.name))
        for listener in self._step_listeners:
            listener(step, record)

    def on_step(self, listener: StepListener) -> None:
        """Call `listener` with every step that this process takes, as soon as it is on the disk."""
        self._step_listeners.append(listener)

    def _derive(self, name: str) -> str:
        """Return the secret text that only this home derives from `name`, the same every time."""
        return hmac.new(self._engine.vault.pepper(), f"provision {name}".encode(), "sha256").hexdigest()

    def _write_entry(
        self, record: Record, address: Mapping[str, object], keys: list[str], models: list[str] | None
    ) -> bool:
        """Write the provider's entry. Return True if the file changed."""
        return enter(
            self._engine.home,
            record.name,
            address=address,
            keys=keys,
            ours=_reference_prefix(record),
            models=models,
        )


def _reference_prefix(record: Record) -> str:
    """Return the beginning of the references of keys that provisioning stored for this record."""
    return f"store:{record.kind}-"


def _listed_at(record: Record, address: Mapping[str, object]) -> str:
    """Return the URL under which the record's models are stored: that of its first endpoint."""
    endpoints = address.get("endpoints")
    if isinstance(endpoints, dict):
        return str(next(iter(endpoints.values())))
    return record.url
