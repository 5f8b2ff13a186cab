"""Which key of a lane is next. Order comes from the strategy, health from the board; the endpoint is never part of the choice."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from .evidence import NO_KEY, Board, Cooldown
from .faults import Fault, FaultClass, Profile
from .identity import Connection, Key, Lane, Strategy


class World(NamedTuple):
    """What the core may ask while it decides: the board, what is known of a key at no cost (None: read it first), and the
    error vocabulary of a provider. `roll` is a number in [0, 1) for jitter; `plan_host` is the host to which keys that begin
    like the connection's belong, where it is another than the one called."""

    board: Board
    fingerprint: Callable[[Key], str | None]
    profile: Callable[[Connection], Profile]
    roll: float = 0.5
    plan_host: Callable[[Connection], str | None] = lambda _: None


class Pick(NamedTuple):
    """The connection to use. `fingerprint` is None while its key has not been read; `after` seconds are to be waited first (a
    short throttle); `probing`: the key was refused since it last worked, so only one request may try it; `untested`: it was
    never used here, so one request goes first. With a `verdict` no key may be asked: it is the one that ends first, and
    `connection` is its. No connection: every key was tried."""

    connection: Connection | None
    fingerprint: str | None = None
    after: float = 0.0
    probing: bool = False
    untested: bool = False
    verdict: Cooldown | None = None


def order(lane: Lane, world: World, kept_key: str | None) -> Sequence[Connection]:
    """The lane's connections in the order of its strategy; the key that the session used last comes first. Between keys that this
    process used alike, the one that last worked longest ago: so the order survives a restart."""
    connections: Sequence[Connection] = lane.connections
    if len(connections) > 1:
        strategy = lane.connection.provider.strategy
        if strategy is not Strategy.FILL_FIRST:
            turn = strategy is Strategy.ROUND_ROBIN
            connections = sorted(connections, key=lambda c: (world.board.used(c)[turn], _last_ok(c, world)))
        if kept_key is not None and connections[0].label != kept_key:
            connections = sorted(connections, key=lambda c: c.label != kept_key)
    return connections


def _last_ok(connection: Connection, world: World) -> float:
    fingerprint = world.fingerprint(connection.key) if connection.key is not None else None
    return world.board.evidence(fingerprint, connection.endpoint).last_ok or 0.0 if fingerprint is not None else 0.0


def pick(lane: Lane, world: World, now: float, excluded: Collection[str], *, kept_key: str | None, patience: float) -> Pick:
    """The first healthy key of the lane, else a throttled one that frees up within `patience` seconds, else the verdict that
    ends first."""
    board = world.board
    waiting: Pick | None = None
    blocked = Pick(None)
    for connection in order(lane, world, kept_key):
        key = connection.key
        if key is not None and key.label in excluded:
            continue
        fingerprint = NO_KEY if key is None else world.fingerprint(key)
        if fingerprint is None:
            return Pick(connection)
        cooldown = board.cooldown(fingerprint, connection)
        if cooldown is None or not cooldown.hard:
            evidence = board.evidence(fingerprint, connection.endpoint)
            return Pick(connection, fingerprint, probing=evidence.suspect, untested=key is not None and evidence.untested)
        throttled = cooldown.fault.kind is FaultClass.RATE_LIMITED
        if cooldown.over(now):
            return Pick(connection, fingerprint, probing=not throttled)
        if throttled and waiting is None and cooldown.until - now <= patience:
            waiting = Pick(connection, fingerprint, after=cooldown.until - now)
        if blocked.verdict is None or cooldown.until < blocked.verdict.until:
            blocked = Pick(connection, fingerprint, verdict=cooldown)
    return waiting or blocked


def remembered(cooldown: Cooldown, now: float) -> Fault:
    """The true last fault of a cooling key, with the time at which it may be asked again."""
    fault = cooldown.fault
    if cooldown.until == float("inf"):
        return replace(fault, retry_after=None)
    return replace(fault, reset_at=fault.reset_at or cooldown.until, retry_after=max(0.0, cooldown.until - now))
