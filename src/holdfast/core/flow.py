"""The heart: one generator that says what to do next, and is sent what came of it. Every driver (sync, async, gateway)
obeys the same steps; none of them contains a rule of recovery."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from .evidence import Board, Change
from .faults import Fault, Profile, Reply
from .identity import Connection, Key, Lane, Provider


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one request may cost. Times in seconds; `probe` are the waits before each probe of a known-good key."""

    sends: int = 3
    rotations: int = 2
    wait: float = 60.0
    probe: tuple[float, ...] = (0.5, 1.0, 2.0)
    known_good_days: float = 7.0


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the core sees it: the chosen pin's lane, the lanes that may stand in for it, and what bounds it."""

    request_id: str
    session: str
    lane: Lane
    rungs: tuple[Lane, ...] = ()
    standing_in: str | None = None
    return_after: float = 600.0
    kept_key: str | None = None
    replayable: bool = True
    client_retries: int = 0
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class World:
    """What the core may ask while it decides: the board, what is known of a key at no cost (None: read it first), and the
    error vocabulary of a provider. `roll` is a number in [0, 1) for jitter."""

    board: Board
    fingerprint: Callable[[Key], str | None]
    profile: Callable[[Connection], Profile]
    roll: float = 0.5


@dataclass(frozen=True, slots=True)
class Attempt:
    """One send, or one key that could not be read: what came of it and why the next step was taken."""

    number: int
    connection: Connection
    sent_at: float
    ended_at: float
    fault: Fault | None = None
    probe: bool = False
    then: str = ""


class Send(NamedTuple):
    """Send the request on this connection, `after` seconds from now. `why` is told to the user."""

    connection: Connection
    after: float
    why: str
    changes: tuple[Change, ...] = ()


class Probe(NamedTuple):
    """Take the lease on testing this connection's key, or wait until whoever holds it has come to a verdict.
    Answer `yes` when the lease is ours."""

    connection: Connection
    fingerprint: str
    changes: tuple[Change, ...] = ()


class Refresh(NamedTuple):
    """Read the key's reference again. Answer `yes` when its value is there and is not the one that was used;
    `reply` (phase UNSENT) when there is none."""

    key: Key
    changes: tuple[Change, ...] = ()


class Relist(NamedTuple):
    """Ask the provider for its models (at most once in ten minutes); answer `models`."""

    provider: Provider
    connection: Connection
    changes: tuple[Change, ...] = ()


Step = Send | Probe | Refresh | Relist


class Answer(NamedTuple):
    """What came of a step, at `now` (the store's clock). For a Send, `reply` is None when the answer is good."""

    now: float
    reply: Reply | None = None
    yes: bool = False
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended: on which connection, with which fault (None: a good answer), after which attempts. `from_memory` when the
    last fault was known before and nothing was sent for it."""

    connection: Connection
    attempts: tuple[Attempt, ...]
    fault: Fault | None = None
    changes: tuple[Change, ...] = ()
    from_memory: bool = False
    stand_in: bool = False
