"""The values that `request_flow` and its drivers exchange: the call, the steps, the answers, the outcome."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from .changes import Change, Owner
from .config import Limits
from .errors import HoldfastError
from .faults import Fault, Phase, Reply
from .identity import Connection, Key
from .routes import Route


class Call(NamedTuple):
    """A request as the core sees it: the route of its pin, its fallbacks, what is said of those `left_out`,
    and what limits it.

    `on_fallback` is the pin of the fallback that the session is on; `returning` says that its time there has
    ended. A `passthrough` request (a model list, a file) changes no evidence and no cooldown. A pin that only
    this request names (not `chosen`) changes nothing of its session. A `bound` request refers to an object
    that only the account of its `owner` knows (None: it is not known who made it). At `ends`, its caller's
    deadline in epoch seconds, nothing is sent or waited for any more."""

    request_id: str
    session: str
    route: Route
    fallbacks: tuple[Route, ...] = ()
    on_fallback: str | None = None
    returning: bool = False
    return_after: float = 600.0
    kept_key: str | None = None
    replayable: bool = True
    passthrough: bool = False
    client_retries: int = 0
    limits: Limits = Limits()
    chosen: bool = True
    bound: bool = False
    owner: Owner | None = None
    left_out: tuple[str, ...] = ()
    ends: float = inf


class Attempt(NamedTuple):
    """A send, or a key that could not be read: what came of it, and in `then` why the next step was taken.
    `number` counts the sends; it is 0 where nothing was sent. Times are epoch seconds."""

    number: int
    connection: Connection
    sent_at: float
    ended_at: float
    fault: Fault | None = None
    probe: bool = False
    then: str = ""

    @property
    def was_sent(self) -> bool:
        """Return whether a request was sent: not where the key could not be read."""
        return self.fault is None or self.fault.phase is not Phase.UNSENT


def sends_of(attempts: Sequence[Attempt]) -> int:
    """Return how many of the attempts were sends: the number of the last one."""
    for attempt in reversed(attempts):
        if attempt.number:
            return attempt.number
    return 0


class Send(NamedTuple):
    """Send the request on this connection, `after` seconds from now; `why` is for the user. With `probe`, the
    lease on testing the key stays ours; with `fresh`, no network connection that was kept is used."""

    connection: Connection
    after: float
    why: str
    changes: tuple[Change, ...] = ()
    probe: bool = False
    fresh: bool = False


class Probe(NamedTuple):
    """Take the lease on testing this connection's key and answer `yes`, or wait until its holder has come to
    a verdict, or has reported nothing for `patience` seconds."""

    connection: Connection
    fingerprint: str
    changes: tuple[Change, ...] = ()
    patience: float = 10.0


class Refresh(NamedTuple):
    """Read the key's reference. Answer `yes` when its value is another than the one with this `fingerprint`;
    `reply` (phase UNSENT) when there is no value. A source that is silent is waited for, at most `patience`
    seconds, if it may be asked again in that time."""

    key: Key
    fingerprint: str | None
    changes: tuple[Change, ...] = ()
    patience: float = 0.0


class Relist(NamedTuple):
    """Ask the endpoint for its models (at most once in ten minutes); answer `models`."""

    connection: Connection
    changes: tuple[Change, ...] = ()


Step = Send | Probe | Refresh | Relist


class Answer(NamedTuple):
    """The result of a step, at `now` on the store's clock. For a Send, `reply` is None when the answer is
    good, and `sent_at` is when the request left."""

    now: float
    reply: Reply | None = None
    yes: bool = False
    models: tuple[str, ...] = ()
    sent_at: float = 0.0


class Outcome(NamedTuple):
    """The end of a request: on which connection, with which fault (None: a good answer), after which
    attempts. `from_memory`: the fault was known before and nothing was sent for it; it is remembered until
    `memory_ends` (epoch seconds; infinite where only the user ends it). `active_fallback`: a fallback
    answered. `changes` are to be persisted, as those of every step."""

    connection: Connection
    attempts: tuple[Attempt, ...]
    fault: Fault | None = None
    changes: tuple[Change, ...] = ()
    from_memory: bool = False
    active_fallback: bool = False
    memory_ends: float | None = None

    @property
    def sends(self) -> int:
        """Return how many requests were sent; a key that could not be read is an attempt, but no send."""
        return sends_of(self.attempts)


class Refused(HoldfastError):
    """Recovery ended and the provider still refuses. `fault` says why, `attempts` what was tried."""

    exit_code = 4

    def __init__(
        self, what: str, *, fault: Fault, attempts: Sequence[Attempt] = (), next_step: str = ""
    ) -> None:
        self.fault = fault
        self.attempts = tuple(attempts)
        super().__init__(what, next_step=next_step)
