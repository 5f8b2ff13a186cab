"""The proof that a provisioned key works: a real call, past what is remembered of earlier ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..core.changes import NO_KEY, key_succeeded
from ..core.faults import Reply
from ..core.identity import Connection, Dialect
from ..core.provisioning_state import Record
from ..core.routes import Route
from .provisioning_host import ProvisioningHost
from .provisioning_watch import ProvisioningWatch

if TYPE_CHECKING:
    from .state import Engine


def prove(engine: Engine, host: ProvisioningHost, watch: ProvisioningWatch, record: Record) -> Record:
    """Make one small call per bound model, and one at each endpoint where the key rests. Store what they
    showed; a good one ends the cooldowns that it disproves. Return the new record."""
    from ..calls.api_calls import check_call

    engine.look_again()
    for model in dict.fromkeys(record.bound.values()) or record.models[:1]:
        for connection in _connections(engine, record, model):
            secret = fault = None
            if connection.key is not None:  # some endpoints take no key
                secret = engine.vault.secret(connection.key)
            got = check_call(connection, secret, network=engine.network)
            if isinstance(got, Reply):
                fault = host.fault(record, got)
            else:
                _succeeded(engine, connection)
            record = watch.learn(record, model, fault)
    return record


def may_work_again(engine: Engine, record: Record) -> bool:
    """Return whether calls refused the record's key so long ago that a request may try it again."""
    provider = engine.config().providers.get(record.name)
    if record.reason != "key_dead" or provider is None or not record.models:
        return False
    engine.catch_up()
    connection = Route.build(provider, Dialect.OPENAI_CHAT, record.models[0]).connection
    cooldown = engine.health.cooldown(_fingerprint(engine, connection), connection)
    return cooldown is None or cooldown.over(engine.store.now())


def _connections(engine: Engine, record: Record, model: str) -> Iterator[Connection]:
    """Return the model's connection, and those of other dialects at whose endpoint the key rests."""
    provider = engine.config().providers[record.name]
    first = Route.build(provider, Dialect.OPENAI_CHAT, model).connection
    yield first
    for dialect in provider.dialects:
        other = Route.build(provider, dialect, model).connection
        if other.endpoint != first.endpoint and engine.health.cooldown(_fingerprint(engine, other), other):
            yield other


def _succeeded(engine: Engine, connection: Connection) -> None:
    """Remember a good answer, here and for the other processes."""
    now, fingerprint = engine.store.now(), _fingerprint(engine, connection)
    evidence = engine.health.evidence(fingerprint, connection.endpoint)
    change = key_succeeded(evidence, connection, now, was_cooled=True)
    engine.health.apply(change)
    engine.persist([change], now)


def _fingerprint(engine: Engine, connection: Connection) -> str:
    if connection.key is None:
        return NO_KEY
    return engine.fingerprint(connection.key) or NO_KEY
