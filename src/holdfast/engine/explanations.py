"""What only the engine knows of a fault and a key: evidence, the shown part, the time, its plan's host."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from ..core.changes import NO_KEY
from ..core.explain import Explanation, explain
from ..core.faults import AUTH_FAULTS, Fault, FaultClass
from ..core.health import HealthRegistry
from ..core.identity import Connection, Key, Pin
from ..core.steps import Attempt
from ..core.vocabulary import Profile
from ..credentials import Vault
from ..provisioning import KINDS
from ..store.base import Store
from .config_watch import ConfigWatch
from .journal import local

_OBTAINED = re.compile(rf"store:(?:{'|'.join(KINDS)})-\d+-\w+")
"""References to keys that were obtained for their provider."""
_MOST = 1_000
"""Sessions whose last explanation is kept."""


class LastExplanations(dict[str, str]):
    """The explanations of the last fault of the sessions that failed last, by session. Thread-safe."""

    def __init__(self) -> None:
        super().__init__()
        self.renew()

    def remember(self, session: str, explanation: str) -> None:
        """Keep the explanation of a session's last fault."""
        with self._lock:
            self.pop(session, None)
            self[session] = explanation
            if len(self) > _MOST:
                del self[next(iter(self))]

    def renew(self) -> None:
        """Replace the lock, in a forked child."""
        self._lock = threading.Lock()


class Knowing(Protocol):
    """The engine, as far as it knows what explains a fault."""

    vault: Vault
    store: Store
    health: HealthRegistry
    config_watch: ConfigWatch

    def fingerprint(self, key: Key) -> str | None: ...


def explanation_of(
    engine: Knowing,
    connection: Connection,
    fault: Fault | None,
    attempts: Sequence[Attempt],
    session: str,
    *,
    chosen: Pin | None = None,
    memory_ends: float | None = None,
) -> Explanation:
    """Return what happened, on which connection of the session that chose `chosen`, what was tried, and what
    to do next; `memory_ends` is when a fault from memory is forgotten."""
    key = connection.key
    fingerprint: str | None = NO_KEY
    key_shown = ""
    evidence = None
    if key is not None:
        fingerprint = engine.fingerprint(key)
        secret = engine.vault.peek(key)
        if secret is not None:
            key_shown = str(secret)
    if fingerprint is not None:
        evidence = engine.health.evidence(fingerprint, connection.endpoint)
    explanation = explain(
        fault or Fault(FaultClass.UNKNOWN),
        connection,
        attempts,
        evidence=evidence,
        now=engine.store.now(),
        key_shown=key_shown,
        source=engine.config_watch.last.endpoint_source(connection.provider, connection.dialect, key),
        session=session,
        chosen=chosen,
        memory_ends=memory_ends,
        reader=f"gateway process {os.getpid()}" if engine.config_watch.serving else "",
        clock=local,
    )
    if fault is None or fault.kind not in AUTH_FAULTS or key is None or not _OBTAINED.fullmatch(key.ref):
        return explanation
    command = f"holdfast provision repair {connection.provider.name}"
    return replace(explanation, advice="See how a provider that was set up for you goes on", command=command)


def plan_host_of(
    vault: Vault, profile: Callable[[Connection], Profile], connection: Connection
) -> str | None:
    """Return the hosts that the profile names for keys with this prefix; None if this is one of them."""
    if connection.key is None:
        return None
    secret = vault.peek(connection.key)
    if secret is None:
        return None
    return profile(connection).plan_host(secret.starts_with, connection.endpoint.host)
