"""Between the pure core and the drivers: it gathers what the core may know, begins requests, and makes what
they learn known to the other processes. Every face drives the same engine; it contains no rule of
recovery."""

from __future__ import annotations

import random
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from ..config import Home
from ..config import load as load_config
from ..config import revision as config_revision
from ..core.changes import CLOCK_SLACK, NO_KEY, Change, FallbackEnded, FallbackStarted, KeyKept, KeySucceeded
from ..core.config import Config
from ..core.errors import (
    ConfigError,
    ConnectionLost,
    HoldfastError,
    NoSession,
    NotReady,
    SecretMissing,
    StoreError,
)
from ..core.explain import Explanation, explain
from ..core.faults import Fault, FaultClass, Profile, Reply
from ..core.health import HealthRegistry
from ..core.identity import Connection, Dialect, Key, Pin, Provider, Route
from ..core.key_selection import DecisionContext
from ..core.routing import fallback_routes_for, pin_for_request, route_for
from ..core.secret import Secret
from ..core.session import ActiveFallback, Session
from ..core.steps import Attempt, Call, Outcome
from ..credentials import Vault
from ..providers.profiles import for_host
from ..providers.profiles import load as load_profile
from ..store.base import Store
from ..store.journal_events import Detail, Event
from ..wire.turns import continues_turn
from .background import renew_after_fork
from .journal import local
from .journal_writer import JournalWriter
from .request import RequestRun
from .unclassified import UnclassifiedReplies

_CONFIG_LOOKED_AT_EVERY = 0.5
_OTHERS_LOOKED_AT_EVERY = (
    0.005  # asking costs a fifth of all that we add to a request; one in flight is much longer behind
)
_RELIST_EVERY = 600.0
_MOST_PLANS = 10_000
_MOST_EXPLAINED = 1_000
ListModels = Callable[[Connection, Secret | None], "tuple[str, ...] | Reply"]


@dataclass(slots=True)
class _KeyRead:
    """When a key's reference was last read again, and the lock that lets one thread do it for all."""

    at: float = 0.0
    failed: SecretMissing | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class _RequestPlan(NamedTuple):
    """What all requests of a session for one model have in common, as long as its row and the configuration
    are these very objects."""

    session: Session
    config: Config
    active_fallback: ActiveFallback | None
    call: Call


class Engine:
    """One per process and home. Thread-safe. `serving` is the configuration to go by while the file is
    broken: for a process that must not end because somebody edits it."""

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
        self.journal_writer = JournalWriter(store)
        self.owner = secrets.token_hex(8)
        self.health = HealthRegistry()
        self._list_models, self._jitter = list_models, jitter
        self._pepper = vault.pepper()
        self._ready = partial(vault.ready, pepper=self._pepper)
        self._config, self._config_due = serving or Config(), 0.0
        self._config_seen: object = self
        self.serving = serving is not None
        self.config_error: ConfigError | None = None
        self._revision: int | None = None
        self._lock = threading.RLock()
        self._others_due = 0.0
        self._sessions: dict[str, Session | None] = {}
        self._plans: dict[tuple[str, Dialect, str | None], _RequestPlan] = {}
        self._profiles: dict[tuple[str | None, str], Profile] = {}
        self._reads: dict[Key, _KeyRead] = {}
        self.explained: dict[str, str] = {}
        self.unknowns = UnclassifiedReplies(home.state)
        self.watch: Callable[[Outcome], None] = lambda _: None
        """Is told of every request that ended; must cost next to nothing."""
        self.unready: Callable[[Provider], HoldfastError] = _offers_nothing
        self.failback: Callable[[Session, Call], bool] = lambda session, call: False  # noqa: ARG005 - nobody asks in the background
        self.config()
        renew_after_fork(self)

    def config(self) -> Config:
        """The configuration as it stands; a changed file is read again. A broken file raises ConfigError and
        changes nothing; where `serving`, the last good one stays in force and `config_error` says what is
        wrong with the file."""
        now = time.monotonic()
        if now >= self._config_due:
            with self._lock:
                seen = config_revision(self.home)
                if seen != self._config_seen:
                    try:
                        self._config, self.config_error = (
                            load_config(self.home, in_use=self.serving and bool(self._config.providers)),
                            None,
                        )
                    except ConfigError as error:
                        if not self.serving:
                            raise
                        self.config_error = error
                    self._config_seen = seen
                self._config_due = now + _CONFIG_LOOKED_AT_EVERY
        return self._config

    def catch_up(self) -> None:
        """Take over what other processes wrote since the last look."""
        try:
            revision = self.store.revision()
            if revision != self._revision:
                with self._lock:
                    # What users chose comes first: it is looked at anew also where the rest cannot be read.
                    self._sessions.clear()
                    self._plans.clear()
                    self.health.load(self.store.evidence(), self.store.cooldowns())
                    self._revision = revision
        except StoreError as error:  # what is known already serves on
            self.journal_writer.tell(error)
        self._others_due = time.monotonic() + _OTHERS_LOOKED_AT_EVERY

    @property
    def revision(self) -> int | None:
        """The revision of the store that was taken over last."""
        return self._revision

    def look_again(self) -> None:
        """Take over at once what others changed in the configuration and in the store."""
        self._config_due = 0.0
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
        """The hosts that the provider's profile knows for keys that begin like this one, where the one called
        is not among them."""
        secret = self.vault.peek(connection.key) if connection.key is not None else None
        return (
            self.profile(connection).plan_host(secret.starts_with, connection.endpoint.host)
            if secret is not None
            else None
        )

    def routes(self, pin: Pin, dialect: Dialect, key: str | None) -> tuple[Route, tuple[Route, ...]]:
        """The lane of a pin and those of its ladder."""
        return _routes_of(self._config, pin, dialect, key)

    def _plan(self, session: Session, config: Config, dialect: Dialect, model: str | None) -> _RequestPlan:
        """Where a request goes; worked out once for a session, a dialect and a model. Raises ConnectionLost,
        IdentityError and NotReady."""
        place = session.id, dialect, model
        found = self._plans.get(place)
        if found is not None and found.session is session and found.config is config:
            return found
        pin = pin_for_request(config, session.pin, model)
        own, fallback_chain = pin.provider == session.pin.provider, config.fallbacks.get(pin)
        named = config.providers.get(pin.provider)
        if named is not None and named.models == ():
            raise self.unready(named)
        call = Call(
            "",
            session.id,
            *_routes_of(config, pin, dialect, session.key if own else None),
            return_after=fallback_chain.return_after if fallback_chain is not None else 0.0,
            kept_key=session.kept_key if own else None,
            limits=config.settings,
            chosen=pin == session.pin,
        )
        if len(self._plans) >= _MOST_PLANS:  # models are named by callers: their number is not ours
            self._plans.clear()
        self._plans[place] = plan = _RequestPlan(
            session, config, session.active_fallback if pin == session.pin else None, call
        )
        return plan

    def _chosen(self, session_id: str, dialect: Dialect, model: str | None) -> tuple[Session, _RequestPlan]:
        """The session and the way of its request, by what is known now. Raises ConnectionLost and
        IdentityError."""
        config, session = self.config(), self.session(session_id)
        if session is None:
            raise NoSession(f"there is no session '{session_id}' any more", next_step="holdfast session list")
        return session, self._plan(session, config, dialect, model)

    def begin(
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
        """Start one request of a session; its `body` is looked into only where a stand-in ends. Raises
        ConnectionLost when its pin no longer resolves, ConfigError when the configuration is broken."""
        if time.monotonic() >= self._others_due:
            self.catch_up()
        try:
            session, plan = self._chosen(session_id, dialect, model)
        except ConnectionLost:  # what another process just renamed is on disk already
            self.look_again()
            try:
                session, plan = self._chosen(session_id, dialect, model)
            except ConnectionLost as lost:
                raise lost.about(session_id) from None
        now, active_fallback, going = self.store.now(), plan.active_fallback, plan.call
        # One that seems to last longer than the ladder allows was begun before the clock was set back, or the
        # ladder was edited.
        active = (
            active_fallback is not None
            and now < active_fallback.until <= now + going.return_after + CLOCK_SLACK
        )
        if active_fallback is not None and not active and active_fallback.until <= now:
            active = self._stays(session, plan, active_fallback, now, body)
        call = Call(
            # The time first: the journal finds requests by their id, and an index that grows at its end costs
            # half.
            f"{int(now):08x}{random.getrandbits(32):08x}",
            session_id,
            going.route,
            going.fallbacks,
            str(active_fallback.fallback) if active_fallback is not None and active else None,
            active_fallback is not None and not active,
            going.return_after,
            going.kept_key,
            replayable,
            passthrough,
            client_retries,
            going.limits,
            going.chosen,
        )
        return RequestRun(self, call, session.pin, now)

    def _stays(
        self,
        session: Session,
        plan: _RequestPlan,
        active_fallback: ActiveFallback,
        now: float,
        body: bytes | None,
    ) -> bool:
        """Whether a request stays on its rung after the lease's end: until the choice was asked beside it,
        and to the end of a turn."""
        going, fallback_chain = plan.call, plan.config.fallbacks.get(session.pin)
        if fallback_chain is None:
            return False
        if not active_fallback.is_released(now, going.return_after) and self.failback(session, going):
            return True
        waits = active_fallback.waits_for_turn(now, going.return_after, checked=fallback_chain.check)
        return waits and continues_turn(going.route.connection.dialect, body)

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
        """Read a key's reference once for all who ask. Whether its value is another than `used`. Raises
        SecretMissing."""
        if used is None:
            return self.vault.secret(key) is not None
        read = self._reads.setdefault(key, _KeyRead())
        with read.lock:
            at_hand = self.vault.peek(key)
            if (
                at_hand is not None and at_hand != used
            ):  # renewed since that request left: what it was refused with is no longer in use
                return True
            if read.at < since:
                read.at, read.failed = self.store.now(), None
                try:
                    self.vault.reread(key)
                except SecretMissing as missing:
                    read.failed = missing
            if read.failed is not None:
                raise read.failed
        return self.vault.secret(key) != used

    def relist(self, connection: Connection, used: Secret | None) -> tuple[str, ...]:
        """The endpoint's models: those listed in the last ten minutes, else asked for now. A side door's
        failure blames no key."""
        name, url = connection.provider.name, connection.endpoint.url
        try:
            seen = self.store.models(name, url)
        except StoreError as error:
            self.journal_writer.tell(error)
            seen = None
        if seen is not None and self.store.now() - seen[1] < _RELIST_EVERY:
            return seen[0]
        listed = self._list_models(connection, used)
        if isinstance(listed, Reply):
            return seen[0] if seen is not None else ()
        try:
            self.store.save_models(name, url, listed, self.store.now())
        except StoreError as error:
            self.journal_writer.tell(error)
        return listed

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
            source=self._config.endpoint_source(connection.provider, connection.dialect, key),
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
        self._reads.clear()
        self.vault.renew()


def _offers_nothing(provider: Provider) -> NotReady:
    what = f"provider '{provider.name}' offers no model (models = [])"
    return NotReady(
        what, reason="model_unresolved", next_step=f"holdfast models --provider {provider.name} --refresh"
    )


def _routes_of(
    config: Config, pin: Pin, dialect: Dialect, key: str | None
) -> tuple[Route, tuple[Route, ...]]:
    return route_for(config, pin, dialect, key), fallback_routes_for(config, pin, dialect)
