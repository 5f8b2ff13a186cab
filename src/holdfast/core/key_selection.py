"""Which key of a lane is next. Order comes from the strategy, health from the board; the endpoint is never
part of the choice."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from .changes import NO_KEY, Cooldown
from .faults import Fault, FaultClass
from .health import HealthRegistry
from .identity import Connection, Key, Route, Strategy
from .vocabulary import Profile


class DecisionContext(NamedTuple):
    """What the core may ask while it decides: the board, what is known of a key at no cost (None: read it
    first), and the error vocabulary of a provider. `roll` is a number in [0, 1) for jitter; `plan_host` is
    the host to which keys that begin like the connection's belong, where it is another than the one
    called."""

    health: HealthRegistry
    fingerprint: Callable[[Key], str | None]
    profile: Callable[[Connection], Profile]
    jitter: float = 0.5
    plan_host: Callable[[Connection], str | None] = lambda _: None


class KeySelection(NamedTuple):
    """The connection to use. `fingerprint` is None while its key has not been read; `after` seconds are to be
    waited first (a short throttle); `probing`: the key was refused since it last worked, so only one request
    may try it; `untested`: it was never used here, so one request goes first. With a `verdict` no key may be
    asked: it is the one that ends first, and `connection` is its. No connection: every key was tried."""

    connection: Connection | None
    fingerprint: str | None = None
    after: float = 0.0
    probing: bool = False
    untested: bool = False
    verdict: Cooldown | None = None


def order(route: Route, context: DecisionContext, kept_key: str | None) -> Sequence[Connection]:
    """The lane's connections in the order of its strategy; the key that the session used last comes first.
    Between keys that this process used alike, the one that last worked longest ago: so the order survives a
    restart."""
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
    fingerprint = context.fingerprint(connection.key) if connection.key is not None else None
    return (
        context.health.evidence(fingerprint, connection.endpoint).last_ok or 0.0
        if fingerprint is not None
        else 0.0
    )


def select_key(
    route: Route,
    context: DecisionContext,
    now: float,
    excluded: Collection[str],
    *,
    kept_key: str | None,
    patience: float,
) -> KeySelection:
    """The first healthy key of the lane, else a throttled one that frees up within `patience` seconds, else
    the verdict that ends first."""
    health = context.health
    waiting: KeySelection | None = None
    blocked = KeySelection(None)
    for connection in order(route, context, kept_key):
        key = connection.key
        if key is not None and key.label in excluded:
            continue
        fingerprint = NO_KEY if key is None else context.fingerprint(key)
        if fingerprint is None:
            return KeySelection(connection)
        cooldown = health.cooldown(fingerprint, connection)
        if cooldown is None or not cooldown.hard:
            evidence = health.evidence(fingerprint, connection.endpoint)
            return KeySelection(
                connection,
                fingerprint,
                probing=evidence.suspect,
                untested=key is not None and evidence.untested,
            )
        throttled = cooldown.fault.kind is FaultClass.RATE_LIMITED
        if cooldown.over(now):
            return KeySelection(connection, fingerprint, probing=not throttled)
        if throttled and waiting is None and cooldown.until - now <= patience:
            waiting = KeySelection(connection, fingerprint, after=cooldown.until - now)
        if blocked.verdict is None or cooldown.until < blocked.verdict.until:
            blocked = KeySelection(connection, fingerprint, verdict=cooldown)
    return waiting or blocked


def remembered(cooldown: Cooldown, now: float) -> Fault:
    """The true last fault of a cooling key, with the time at which it may be asked again."""
    fault = cooldown.fault
    if cooldown.until == float("inf"):
        return replace(fault, retry_after=None)
    return replace(
        fault, reset_at=fault.reset_at or cooldown.until, retry_after=max(0.0, cooldown.until - now)
    )
