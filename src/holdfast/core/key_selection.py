"""The choice of a route's next key. The strategy gives the order, `health` says which keys may be asked; the
endpoint is never part of the choice."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from math import inf
from typing import NamedTuple

from .changes import NO_KEY, Cooldown, Owner
from .faults import Fault, FaultClass
from .health import HealthRegistry
from .identity import Connection, Key, Strategy
from .routes import Route
from .vocabulary import Profile


class DecisionContext(NamedTuple):
    """The sources that the core may ask while it decides: what is known of keys and endpoints, the
    fingerprint of a key (None: read the key first), and the error vocabulary of a provider. `jitter` is a
    random number in [0, 1); `plan_host` gives the host to which keys that begin like the connection's belong,
    where it is another than the one called; `first_owner` the owner of a session's first known object."""

    health: HealthRegistry
    fingerprint: Callable[[Key], str | None]
    profile: Callable[[Connection], Profile]
    jitter: float = 0.5
    plan_host: Callable[[Connection], str | None] = lambda _: None
    first_owner: Callable[[str], Owner | None] = lambda _: None


class KeySelection(NamedTuple):
    """The connection to use; None where every key was tried.

    `fingerprint` is None while the key has not been read; `after` are seconds to wait first (a short
    throttle); `probing`: the key was refused since it last worked, so only one request may try it;
    `untested`: it was never used here, so one request goes before the others. With a `verdict` no key may be
    asked: `connection` is the one whose verdict ends first."""

    connection: Connection | None
    fingerprint: str | None = None
    after: float = 0.0
    probing: bool = False
    untested: bool = False
    verdict: Cooldown | None = None


def order(route: Route, context: DecisionContext, kept_key: str | None) -> Sequence[Connection]:
    """Return the route's connections in the order of its strategy; the key that the session used last comes
    first. Of keys that this process used equally, the one whose last success is longest ago comes first: so
    the order survives a restart."""
    connections: Sequence[Connection] = route.connections
    if len(connections) > 1:
        strategy = route.connection.provider.strategy
        if strategy is not Strategy.FILL_FIRST:
            turn = strategy is Strategy.ROUND_ROBIN
            connections = sorted(
                connections, key=lambda c: (context.health.used(c)[turn], _last_ok(c, context))
            )
        if kept_key is not None and connections[0].label != kept_key:
            connections = sorted(connections, key=lambda c: c.label != kept_key)
    return connections


def _last_ok(connection: Connection, context: DecisionContext) -> float:
    key = connection.key
    fingerprint = context.fingerprint(key) if key is not None else None
    if fingerprint is None:
        return 0.0
    return context.health.evidence(fingerprint, connection.endpoint).last_ok or 0.0


def select_key(
    route: Route,
    context: DecisionContext,
    now: float,
    excluded: Collection[str],
    *,
    kept_key: str | None,
    patience: float,
) -> KeySelection:
    """Return the first healthy key of the route, else one whose endpoint or model is cooling down, else a
    throttled one that frees up within `patience` seconds, else the verdict that ends first."""
    health = context.health
    resting: KeySelection | None = None
    waiting: KeySelection | None = None
    blocked = KeySelection(None)
    for connection in order(route, context, kept_key):
        key = connection.key
        fingerprint: str | None = NO_KEY
        if key is not None:
            if key.label in excluded:
                continue
            fingerprint = context.fingerprint(key)
        if fingerprint is None:
            return KeySelection(connection)
        cooldown = health.cooldown(fingerprint, connection)
        if cooldown is None or not cooldown.hard:
            evidence = health.evidence(fingerprint, connection.endpoint, connection.model)
            untested = key is not None and evidence.untested
            values = (connection, fingerprint, 0.0, evidence.suspect, untested, None)
            healthy = KeySelection._make(values)
            if cooldown is None or cooldown.over(now):
                return healthy
            resting = resting or healthy
            continue
        throttled = cooldown.fault.kind is FaultClass.RATE_LIMITED
        if cooldown.over(now):
            return KeySelection(connection, fingerprint, probing=not throttled)
        if throttled and waiting is None and cooldown.until - now <= patience:
            waiting = KeySelection(connection, fingerprint, after=cooldown.until - now)
        if blocked.verdict is None or cooldown.until < blocked.verdict.until:
            blocked = KeySelection(connection, fingerprint, verdict=cooldown)
    return resting or waiting or blocked


def remembered(cooldown: Cooldown, now: float) -> Fault:
    """Return the true last fault of a key that is cooling down, with the time when it may be asked again."""
    fault = cooldown.fault
    if cooldown.until == inf:
        return replace(fault, retry_after=None)
    left = max(0.0, cooldown.until - now)
    return replace(fault, reset_at=fault.reset_at or cooldown.until, retry_after=left)
