"""The engine as the host of provisioners: it asks their control planes, keeps their keys and writes
holdfast.toml."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from ..config.provisioned_entry import enter
from ..core.classify import classify
from ..core.config import ModelFacts
from ..core.errors import NotReady, SecretMissing, SourceSilent
from ..core.faults import Fault, Phase, Reply
from ..core.identity import Connection, Key, Provider, ProviderName
from ..core.provisioning_state import USABLE, WITH_KEY, Record, State
from ..providers.profiles import load as load_profile
from ..provisioning import Provisioner, Question, Tools
from ..provisioning.base import key_of, label_of
from ..provisioning.litellm import root_of
from ..provisioning.ports import LeftOver
from ..store.journal_events import Event, ProvisioningChanged
from ..values.secret import Secret
from ..wire.key_at_send import revealed

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
        ask, fault = partial(self.ask, record.name), partial(self.fault, record)
        return Tools(ask, self._derive, fault, self._digest)

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

    def readable(self, record: Record) -> bool:
        """Return whether the record's key can be read on this machine."""
        return self.unreadable(record) is None

    def unreadable(self, record: Record) -> NotReady | None:
        """Return why the record's key cannot be read on this machine; None if it can, or was computed
        again."""
        if record.state not in WITH_KEY:
            return None
        try:
            self._engine.vault.secret(key_of(record))
        except SourceSilent:
            return None  # it gives no key now: requests wait for it
        except SecretMissing as missing:
            return self._fetched(record, missing)
        return None

    def _fetched(self, record: Record, missing: SecretMissing) -> NotReady | None:
        """Compute and keep a key that another machine obtained; return why that is not possible."""
        derived = self._kinds[record.kind].derived(record, self.tools(record))
        if derived is not None:
            self.keep(record, label_of(record), derived)
            return None
        if not record.key.startswith("store:"):
            next_step = missing.next_step
            return NotReady(
                missing.what, reason="key_unreadable", details=missing.details, next_step=next_step
            )
        path = self._engine.vault.file.path
        what = f"the key of '{record.name}' is on another machine, or was removed here: it is not in {path}"
        command = f"holdfast key add {record.name} --from {record.key}   (asks for the key of that machine)"
        return NotReady(what, reason="key_elsewhere", next_step=command)

    def left_over(self, record: Record) -> LeftOver | None:
        """Return a key of the record's provider in secrets.toml that the record does not know, because the
        store was restored to an older state."""
        waits = record.state in (State.INTENT, State.AMBIGUOUS)
        known = [
            (epoch, f"store:{label}")
            for epoch, label in self._our_labels(record)
            if epoch > record.epoch or (waits and label == label_of(record))
        ]
        newer = [(epoch, ref) for epoch, ref in known if ref != record.key]
        if not newer:
            return None
        epoch, ref = max(newer)
        return LeftOver(ref, epoch, self._url_in_file(record, ref))

    def _our_labels(self, record: Record) -> Iterator[tuple[int, str]]:
        """Return the labels in secrets.toml under which provisioning stored keys of this provider, with their
        epochs."""
        pattern = re.compile(rf"{re.escape(record.kind)}-(\d+)-\w+")
        for label in self._engine.vault.file.labels(record.name):
            match = pattern.fullmatch(label)
            if match:
                yield int(match[1]), label

    def _url_in_file(self, record: Record, ref: str) -> str:
        """Return the URL for which holdfast.toml has the key `ref`; "" if it does not say."""
        provider = self._engine.config().providers.get(record.name)
        if provider is None or all(key.ref != ref for key in provider.keys):
            return ""
        urls = {endpoint.url for endpoint in provider.endpoints}
        kind = self._kinds[record.kind]
        for url in sorted(urls | set(map(root_of, urls))):
            address = kind.address(replace(record, url=url))
            if _urls_of(address) == urls or ("preset" in address and url in urls):
                return url
        return ""

    def enter(self, record: Record, address: Mapping[str, object]) -> None:
        """Write the record and its address to holdfast.toml, unless the user owns the entry."""
        if self.users_own(record.name, record) is not None:
            return
        models: list[str] | None = []
        if record.state in USABLE:
            store = self._engine.store
            listed: dict[str, ModelFacts] = {model: {} for model in record.models}
            store.save_models(record.name, _listed_at(record, address), listed, store.now())
            models = None
            if record.roles:
                models = list(dict.fromkeys(record.bound.values()))
        if self._write_entry(record, address, [record.key], models):
            self._engine.look_again()

    def withdraw(self, record: Record) -> None:
        """Remove the record's key and models from holdfast.toml and its keys from the vault."""
        if record.key and self.users_own(record.name, record) is None:
            self._write_entry(record, self._kinds[record.kind].address(record), [], [])
        scheme, _, own = record.key.partition(":")
        labels = {label for _, label in self._our_labels(record)}
        if scheme == "store":
            labels.add(own)
        for label in labels:
            self._engine.vault.file.remove(record.name, label)
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

    def _digest(self, key: Key) -> str:
        """Return the SHA-256 of a key, by which its service knows it; "" where the key cannot be read."""
        try:
            return sha256(revealed(self._engine.vault.secret(key)).encode("latin-1")).hexdigest()
        except SecretMissing:
            return ""

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


def _urls_of(address: Mapping[str, object]) -> set[object]:
    """Return the URLs of an entry's address."""
    endpoints = address.get("endpoints")
    if isinstance(endpoints, Mapping):
        return set(endpoints.values())
    return {address.get("url")}


def _reference_prefix(record: Record) -> str:
    """Return the beginning of the references of keys that provisioning stored for this record."""
    return f"store:{record.kind}-"


def _listed_at(record: Record, address: Mapping[str, object]) -> str:
    """Return the URL under which the record's models are stored: that of its first endpoint."""
    endpoints = address.get("endpoints")
    if isinstance(endpoints, dict):
        return str(next(iter(endpoints.values())))
    return record.url
