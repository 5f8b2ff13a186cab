"""The part of the engine that a request uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ..core.changes import Change
from ..core.config import Config
from ..core.explain import Explanation
from ..core.faults import Fault, Reply
from ..core.health import HealthRegistry
from ..core.identity import Connection, Key, Pin
from ..core.key_selection import DecisionContext
from ..core.steps import Attempt, Outcome
from ..credentials import Vault
from ..store.base import Store
from ..store.journal_events import Detail, Event
from ..values.secret import Secret
from .account_objects import AccountObjects
from .journal_writer import JournalWriter
from .known_sessions import KnownSessions
from .translations import Translations


class RequestContext(Protocol):
    """The engine as a request sees it. Times are epoch seconds of the store's clock."""

    vault: Vault
    store: Store
    journal_writer: JournalWriter
    owner: str
    objects: AccountObjects
    watch: Callable[[Outcome], None]

    def context(self) -> DecisionContext:
        """Return the information by which the core decides."""
        ...

    def catch_up(self) -> None:
        """Take over what other processes wrote since the last look."""
        ...

    def take_changes(self, changes: Sequence[Change], at: float) -> None:
        """Take changes of a request begun at `at`, and have them stored. Returns at once."""
        ...

    def soon(self, call: Callable[[], object]) -> None:
        """Have this called on another thread."""
        ...

    def journal(self, *events: Event[Detail]) -> None:
        """Queue events for the journal."""
        ...

    def read_again(self, key: Key, used: Secret | None, since: float) -> bool:
        """Read a key's reference again. Return True if its value differs from `used`. Raises
        SecretMissing."""
        ...

    def relist(self, connection: Connection, used: Secret | None) -> tuple[str, ...]:
        """Return the models that the connection's endpoint lists."""
        ...

    def explain(
        self,
        connection: Connection,
        fault: Fault | None,
        attempts: Sequence[Attempt],
        session: str,
        *,
        chosen: Pin | None = None,
        memory_ends: float | None = None,
    ) -> Explanation:
        """Return what happened, on which connection of the session that chose `chosen`, what was tried, and
        what to do next; `memory_ends` is when a fault from memory is forgotten."""
        ...

    def remember(self, session: str, explanation: str) -> None:
        """Keep the explanation of a session's last fault."""
        ...

    def keep_unclassified(self, reply: Reply, connection: Connection) -> tuple[Event[Detail], ...]:
        """Keep the shape of a reply that has no class. Return no events."""
        ...


class FastPathContext(RequestContext, Protocol):
    """The engine as the fast path sees it."""

    health: HealthRegistry
    sessions: KnownSessions
    translations: Translations

    def config(self) -> Config:
        """Return the configuration in force. Raises ConfigError."""
        ...

    def fingerprint(self, key: Key) -> str | None:
        """Return the fingerprint of a key; None where it has to be read first."""
        ...
