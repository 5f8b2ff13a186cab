"""The engine: between the pure core and the drivers.

It gathers what the core may know, starts requests, and makes what they learn known to the other processes.
Every face drives the same engine. It contains no rule of recovery."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from ..config import Home
from ..core.changes import NO_KEY, Change, FallbackEnded, FallbackStarted, KeyKept, KeySucceeded
from ..core.config import Config
from ..core.errors import ConfigError, StoreError
from ..core.explain import Explanation, explain
from ..core.faults import Fault, FaultClass, Reply
from ..core.health import HealthRegistry
from ..core.identity import Connection, Dialect, Key, Pin, Route
from ..core.key_selection import DecisionContext
from ..core.secret import Secret
from ..core.session import Session
from ..core.steps import Attempt, Outcome
from ..core.vocabulary import Profile
from ..credentials import Vault
from ..providers.profiles import for_host
from ..providers.profiles import load as load_profile
from ..store.base import Store
from ..store.journal_events import Detail, Event
from .background import renew_after_fork
from .config_watch import ConfigWatch
from .dispatch import Dispatcher, routes_of
from .journal import local
from .journal_writer import JournalWriter
from .key_reads import KeyReads
from .model_lists import ListModels, ModelLists
from .request import RequestRun
from .unclassified import UnclassifiedReplies

_LOOK_AT_OTHERS_EVERY = 0.005
"""Seconds. Asking costs a fifth of all that we add to a request; a request under way is much longer
behind."""
_MOST_EXPLAINED = 1_000


class Engine:
    """One per process and home. Thread-safe.

    `serving` is the configuration to go by while the file is broken, for a process that must not end because
    somebody edits the file. `watch` is called with every request's outcome and must cost next to nothing."""

    def __init__(
        self,
        home: Home,
        vault: Vault,
        store: Store,
        list_models: ListModels,
        *,
        jitter: Callable[[], float] = random.random,
        serving: Config | None = None,
    ) -> None:
        self.home, self.vault, self.store = home, vault, store
        self.owner = secrets.token_hex(8)
        self.journal_writer = JournalWriter(store)
        self.health = HealthRegistry()
        self.unknowns = UnclassifiedReplies(home.state)
        self.explained: dict[str, str] = {}
        self.watch: Callable[[Outcome], None] = _ignore
        self.config_watch = ConfigWatch(home, serving)
        self.dispatcher = Dispatcher(self)
        self._key_reads = KeyReads(vault, store.now)
        self._model_lists = ModelLists(store, list_models, self.journal_writer.tell)
        self._jitter = jitter
        self._pepper = vault.pepper()
        self._ready = partial(vault.ready, pepper=self._pepper)
        self._profiles: dict[tuple[str | None, str], Profile] = {}
        self._sessions: dict[str, Session | None] = {}
        self._revision: int | None = None
        self._others_due = 0.0
        self._lock = threading.RLock()
        self.config()
        renew_after_fork(self)

    def config(self) -> Config:
        """Return the configuration in force. Raises ConfigError for a broken file, unless serving."""
        return self.config_watch.current()

    @property
    def config_error(self) -> ConfigError | None:
        """The error of a broken file while the last good configuration stays in force."""
        return self.config_watch.error

    @property
    def serving(self) -> bool:
        """True for a process that keeps its last good configuration."""
        return self.config_watch.serving

    def catch_up(self) -> None:
        """Take over what other processes wrote since the last look."""
        try:
            revision = self.store.revision()
            if revision != self._revision:
                with self._lock:
                    # What users chose comes first: it is looked at anew also where the rest cannot be read.
                    self._sessions.clear()
                    self.dispatcher.forget()
                    self.health.load(self.store.evidence(), self.store.cooldowns())
                    self._revision = revision
        except StoreError as error:  # what is known already serves on
            self.journal_writer.tell(error)
        self._others_due = time.monotonic() + _LOOK_AT_OTHERS_EVERY

    @property
    def revision(self) -> int | None:
        """The revision of the store that was taken over last."""
        return self._revision

    def look_again(self) -> None:
        """Take over at once what others changed in the configuration and in the store."""
        self.config_watch.expire()
        self.catch_up()

    def session(self, session_id: str) -> Session | None:
        """The session's row, from memory while nobody changed it."""
        try:
            return self._sessions[session_id]
        except KeyError:
            with self._lock:
                row = self._sessions[session_id] = self.store.session(session_id)
            return row

    def fingerprint(self, key: Key) -> str | None:
        return self.vault.fingerprint(key, self._pepper)

    def profile(self, connection: Connection) -> Profile:
        """The error vocabulary of the provider's preset, else of its host."""
        named, host = connection.provider.profile, connection.endpoint.host
        found = self._profiles.get((named, host))
        if found is None:
            own = self.home.config.parent / "profiles"
            found = self._profiles[named, host] = load_profile(named or for_host(host, own), own)
        return found

    def _plan_host(self, connection: Connection) -> str | None:
        """Return the hosts that the profile knows for keys that begin like this one, if the one called is not
        one."""
        secret = self.vault.peek(connection.key) if connection.key is not None else None
        if secret is None:
            return None
        return self.profile(connection).plan_host(secret.starts_with, connection.endpoint.host)

    def routes(self, pin: Pin, dialect: Dialect, key: str | None) -> tuple[Route, tuple[Route, ...]]:
        """Return the route of a pin and those of its fallbacks. Raises ConnectionLost, IdentityError."""
        return routes_of(self.config_watch.last, pin, dialect, key)

    def start_request(
        self,
        session_id: str,
        dialect: Dialect,
        model: str | None,
        *,
        replayable: bool = True,
        client_retries: int = 0,
        passthrough: bool = False,
        body: bytes | None = None,
    ) -> RequestRun:
        """Start one request of a session; its `body` is looked into only where a fallback ends.

        Raises ConnectionLost when the session's pin no longer resolves, ConfigError when the configuration is
        broken."""
        if time.monotonic() >= self._others_due:
            self.catch_up()
        now = self.store.now()
        session, call = self.dispatcher.call(
            session_id,
            dialect,
            model,
            now,
            replayable=replayable,
            client_retries=client_retries,
            passthrough=passthrough,
            body=body,
        )
        return RequestRun(self, call, session.pin, now)

    def context(self) -> DecisionContext:
        return DecisionContext(self.health, self._ready, self.profile, self._jitter(), self._plan_host)

    def persist(self, changes: Sequence[Change], at: float) -> None:
        """Make changes of a request begun at `at` known to the other processes: verdicts before the next step
        is taken, a kept key and one more success of a good key a little later; a success that the store knows
        already is not written at all."""
        now: list[Change] = []
        for change in changes:
            if isinstance(change, KeySucceeded):
                if change.durable and change.routine:
                    self.journal_writer.note(change, at)
                elif change.durable:
                    now.append(change)
                continue
            if isinstance(change, KeyKept | FallbackStarted | FallbackEnded):
                self._sessions.pop(change.session, None)
            if isinstance(change, KeyKept):
                self.journal_writer.note(change, at)
            else:
                now.append(change)
        if now:
            try:
                self.store.apply(now, at)
            except StoreError as error:  # it holds in this process all the same
                self.journal_writer.tell(error)

    def journal(self, *events: Event[Detail]) -> None:
        self.journal_writer.journal(tuple, events)

    def note(self, session: Session, detail: Detail) -> None:
        """Write down what its user did with a session."""
        self.journal(Event(self.store.now(), detail, session=session.id, pin=str(session.pin)))

    def read_again(self, key: Key, used: Secret | None, since: float) -> bool:
        """Read a key's reference once for all who ask. Return whether its value differs from `used`.

        `since` is in epoch seconds. Raises SecretMissing.
        """
        return self._key_reads.read_again(key, used, since)

    def relist(self, connection: Connection, used: Secret | None) -> tuple[str, ...]:
        """Return the models of a connection's endpoint, at most ten minutes old; a failure blames no key."""
        return self._model_lists.of(connection, used)

    def explain(
        self, connection: Connection, fault: Fault | None, attempts: Sequence[Attempt], session: str
    ) -> Explanation:
        """What happened, on which connection, what was tried, what to do next."""
        key = connection.key
        fingerprint = NO_KEY if key is None else self.fingerprint(key)
        secret = self.vault.peek(key) if key is not None else None
        return explain(
            fault or Fault(FaultClass.UNKNOWN),
            connection,
            attempts,
            self.health.evidence(fingerprint, connection.endpoint) if fingerprint is not None else None,
            self.store.now(),
            key_shown=str(secret) if secret is not None else "",
            source=self.config_watch.last.endpoint_source(connection.provider, connection.dialect, key),
            session=session,
            clock=local,
        )

    def remember(self, session: str, explanation: str) -> None:
        """Keep the explanation of a session's last fault, for a while and for so many sessions."""
        with self._lock:
            self.explained.pop(session, None)
            self.explained[session] = explanation
            if len(self.explained) > _MOST_EXPLAINED:
                del self.explained[next(iter(self.explained))]

    def unknown(self, reply: Reply, connection: Connection) -> tuple[Event[Detail], ...]:
        """Keep the shape of an answer that has no class; the writer's thread does it, which asks for journal
        lines and gets none."""
        self.unknowns.keep(reply, self.profile(connection), self.store.now())
        return ()

    def close(self) -> None:
        try:
            self.journal_writer.close()
        finally:
            self.store.close()

    def renew(self) -> None:
        """Begin anew in a forked child: a lock that a thread of the parent held would stay held for ever."""
        self._lock = threading.RLock()
        self.config_watch.renew()
        self._key_reads.renew()
        self.vault.renew()


def _ignore(_outcome: Outcome) -> None:
    """Watch nothing."""
