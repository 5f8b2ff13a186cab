"""The engine, between the pure core and the drivers.

It gathers the core's inputs, starts requests, and stores what they learn for the other processes. Library,
gateway and command line drive the same engine. It contains no rule of recovery."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from ..calls.network import Network
from ..config import Home
from ..core.changes import Change
from ..core.config import Config
from ..core.errors import ConfigError, HoldfastError
from ..core.faults import Reply
from ..core.health import HealthRegistry
from ..core.identity import Connection, Dialect, Key, Pin
from ..core.key_selection import DecisionContext
from ..core.routes import Route
from ..core.session import Session
from ..core.steps import Outcome
from ..core.vocabulary import Profile
from ..credentials import Vault
from ..providers import profiles
from ..store.base import Store
from ..store.feed import Changes
from ..store.journal_events import Detail, Event
from ..store.time_limit import time_limit
from ..wire.api_routes import TO_A_MODEL, BodyRule
from .account_objects import AccountObjects
from .background import BackgroundWorker, call_all, renew_after_fork
from .candidates import FormerNames
from .closed import Closed
from .config_watch import ConfigWatch
from .dispatch import Dispatcher
from .explanations import LastExplanations, explanation_of, plan_host_of
from .fastpath import FastPath
from .first_requests import FirstRequests
from .following import Following
from .journal_writer import JournalWriter
from .key_reads import KeyReads
from .model_lists import ListModels, ModelLists
from .new_sessions import NewSessions
from .request import RequestRun
from .store_guard import PATIENCE, guarded
from .translations import Translations, routes_of
from .unclassified import UnclassifiedReplies

_AT_LAST = 3.0
"""Seconds for which the end waits for a store that is away, if something is to be written."""
_MOMENT = 0.1
"""Seconds for which a request of a known session waits for a look at what others changed."""


class Engine:
    """The engine of one home in one process. Thread-safe.

    `serving` is the configuration to start with in a process that keeps the last good one while the file is
    broken. `watch` is called with every request's outcome and must be fast."""

    def __init__(
        self,
        home: Home,
        vault: Vault,
        store: Store,
        list_models: ListModels,
        *,
        jitter: Callable[[], float] = random.random,
        serving: Config | None = None,
        network: Network | None = None,
    ) -> None:
        self.home, self.vault, self.network = home, vault, network or Network()
        self.store, self.guard = guarded(store, self._store_is_back)
        store = self.store
        self.owner = secrets.token_hex(8)
        self.journal_writer = JournalWriter(store)
        self.unclassified = UnclassifiedReplies(home.state)
        self.explained = LastExplanations()
        self.remember = self.explained.remember
        self.explain = partial(explanation_of, self)
        self._plan_host = partial(plan_host_of, vault, self.profile)
        self.watch: Callable[[Outcome], None] = lambda _outcome: None
        self.config_watch = ConfigWatch(home, serving)
        self.dispatcher = Dispatcher(self)
        self.dispatcher.names = FormerNames(store, self.note)
        self.objects = AccountObjects(store, self.journal_writer, self.fingerprint)
        self.dispatcher.objects = self.objects
        self.following = Following(
            store, self.objects, self.journal_writer.changes, self.journal_writer.warn_once
        )
        self.sessions = self.following.sessions
        self.take_changes = self.sessions.change
        self.new_sessions = NewSessions(store, self.journal_writer.warn_once)
        self.first_requests = FirstRequests(self, self.journal_writer.warn_once)
        self.session: Callable[[str], Session | None] = self.sessions.get
        self.health: HealthRegistry = self.following.health
        self.following.follower.take.append(self._load_lists)
        self._key_reads, warn = KeyReads(vault, store.now), self.journal_writer.warn_once
        self.read_again = self._key_reads.read_again
        self._soon = BackgroundWorker("holdfast-soon", call_all, most=None, failed=warn)
        self.lists = ModelLists(store, list_models, warn, self.soon)
        self.relist = self.lists.of
        self._jitter, self.fast_path = jitter, FastPath(self)
        self._pepper = vault.pepper()
        self.translations = Translations(self, self._pepper)
        self._ready = partial(vault.ready, pepper=self._pepper)
        self._profiles: dict[tuple[str | None, str], Profile] = {}
        self._closed = False
        self._lock = threading.RLock()
        self.config()
        renew_after_fork(self)

    def config(self) -> Config:
        """Return the configuration in force. Raises ConfigError for a broken file, unless serving."""
        return self.config_watch.current()

    @property
    def config_error(self) -> ConfigError | None:
        """Return the error of a broken file while the last good configuration stays in force."""
        return self.config_watch.error

    def catch_up(self) -> None:
        """Take over what other processes wrote since the last look. Raises Closed."""
        self.check_open()
        self.following.look()

    def keep_up(self) -> None:
        """Take over what others wrote, as often as a request does. Raises Closed."""
        following = self.following
        if self._closed or (time.monotonic() >= following.due and not following.polls):
            self.catch_up()

    def _load_lists(self, changes: Changes | None) -> None:
        if changes is None:
            self.lists.load(self.config_watch.last)

    def check_open(self) -> None:
        """Raise Closed after the end."""
        if self._closed:
            raise Closed

    def look_again(self) -> None:
        """Take over at once what others changed in the configuration and in the store. Waits for both."""
        self.catch_up()  # first: it refuses to wait where only memory may be used
        self.config_watch.expire()

    def is_settled(self, session_id: str) -> bool:
        """Return whether a request can be started from memory, as far as is seen without waiting."""
        if self._closed or not self.following.is_current(session_id):
            return False
        return self.config_watch.is_current

    def settle(self, session_id: str) -> None:
        """Look at what others changed before a request, for a moment only where its session is known. What
        fails is told by its start. May wait for the store."""
        known = self.sessions.knows(session_id)
        with suppress(HoldfastError), time_limit(_MOMENT if known else PATIENCE):
            self.config()
            self.keep_up()
            self.session(session_id)
            if not (known and self.store.far):
                self.objects.load(session_id)

    def fingerprint(self, key: Key) -> str | None:
        return self.vault.fingerprint(key, self._pepper)

    def profile(self, connection: Connection) -> Profile:
        """Return the error vocabulary of the provider's preset, else of its host."""
        named, host = connection.provider.profile, connection.endpoint.host
        profile = self._profiles.get((named, host))
        if profile is None:
            profile = self._profiles[named, host] = profiles.of(named, host, self.home.profiles)
        return profile

    def routes(self, pin: Pin, dialect: Dialect, key: str | None) -> tuple[Route, tuple[Route, ...]]:
        """Return the route of a pin and those of its fallbacks. Raises ConnectionLost, IdentityError."""
        return routes_of(self.config_watch.last, pin, dialect, key)

    def start_request(  # noqa: PLR0913
        self,
        session_id: str,
        dialect: Dialect,
        model: str | None,
        *,
        replayable: bool = True,
        client_retries: int = 0,
        rule: BodyRule = TO_A_MODEL,
        body: bytes | None = None,
        deadline: float | None = None,
        settled: bool = False,
    ) -> RequestRun:
        """Start a request of a session, with `deadline` seconds left; its body is treated by `rule`. What
        others changed is looked at, unless it is `settled`. Raises HoldfastError."""
        if self._closed or not settled:
            self.keep_up()
            self.objects.load(session_id)
        now = self.store.now()
        plan, call = self.dispatcher.call(
            session_id,
            dialect,
            model,
            now,
            replayable=replayable,
            client_retries=client_retries,
            rule=rule,
            body=body,
        )
        if deadline is not None:
            call = call._replace(ends=now + deadline)
        translator = self.translations.begin(dialect, body, call, now) if plan.translated else None
        return RequestRun(self, call, plan.session.pin, now, plan=plan, translator=translator)

    def context(self) -> DecisionContext:
        """Return the information by which the core decides, by position: every request passes here."""
        owner_of = self.objects.first_owner
        parts = (self.health, self._ready, self.profile, self._jitter(), self._plan_host, owner_of)
        return DecisionContext._make(parts)

    def persist(self, changes: Sequence[Change], at: float) -> None:
        """Take changes made at `at` (epoch seconds), and store them now. May wait for the store."""
        self.take_changes(changes, at)
        self.journal_writer.changes.flush()

    def _store_is_back(self) -> None:
        """Go on where the store was away."""
        self.journal_writer.flush()
        with suppress(Closed):
            self.catch_up()

    def soon(self, call: Callable[[], object]) -> None:
        """Have this called on a thread of ours."""
        self._soon.submit(call)

    def journal(self, *events: Event[Detail]) -> None:
        self.journal_writer.journal(tuple, events)

    def note(self, session: Session, detail: Detail) -> None:
        """Queue an event about what the user did with a session."""
        self.journal(Event(self.store.now(), detail, session.id, pin=str(session.pin)))

    def keep_unclassified(self, reply: Reply, connection: Connection) -> tuple[Event[Detail], ...]:
        """Keep the shape of a reply that has no class; on the journal writer's thread. Return no events."""
        self.unclassified.keep(reply, self.profile(connection), self.store.now())
        return ()

    def _write_at_last(self) -> None:
        """Write what waits, also where the store comes back within a few seconds."""
        until, writer, guard = time.monotonic() + _AT_LAST, self.journal_writer, self.guard
        while True:
            writer.flush()
            if not writer.unsaved or guard.writes is None:
                return
            if not guard.is_back_within(until - time.monotonic()):
                return

    def close(self) -> None:
        self._closed = True
        try:
            self.config_watch.close()
            self.following.close()
            self.new_sessions.close()
            self.first_requests.close()
            self._soon.close(5.0)
            self._write_at_last()
            self.journal_writer.close()
            self.vault.settle()
        finally:
            self.store.close()

    def renew(self) -> None:
        """Replace the locks in a forked child, where a lock held by a thread of the parent stays locked."""
        self._lock = threading.RLock()
        parts = (
            self.config_watch,
            self._key_reads,
            self.vault,
            self.fast_path,
            self.following,
            self.explained,
        )
        for part in parts:
            part.renew()
