"""What is known of keys and endpoints: evidence, cool-downs, and the changes that make them.

`Board` is the read model the core decides on. It is plain data in memory: the store persists the same changes and the
runtime replays what other processes wrote. A key is known by its fingerprint, so a replaced key starts with a clean slate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from .faults import Fault, FaultClass, Scope
from .identity import Connection, Endpoint

AUTH_FAULTS = frozenset({FaultClass.AUTH_REJECTED, FaultClass.AUTH_EXPIRED})
NO_KEY = "-"
"""The fingerprint of an endpoint that takes no key."""
_DURABLE_EVERY = 60.0
CLOCK_SLACK = 60.0
"""Seconds by which clocks may differ without one of them having been set back."""


class Evidence(NamedTuple):
    """What one key last did at one endpoint (its URL). Times are epoch seconds of the store's clock; `stored_ok` is the last
    success that the store knows, which may lag a minute behind."""

    fingerprint: str
    url: str
    first_ok: float | None = None
    last_ok: float | None = None
    last_fault: FaultClass | None = None
    last_fault_at: float | None = None
    stored_ok: float | None = None

    def known_good(self, now: float, days: float) -> bool:
        """Whether the key worked here within the last `days` (design/003)."""
        return self.last_ok is not None and now - self.last_ok <= days * 86400

    @property
    def untested(self) -> bool:
        """Whether nobody knows yet if the key is accepted here."""
        return self.last_ok is None and self.last_fault is None

    @property
    def suspect(self) -> bool:
        """Whether the key was refused here after it last worked: the next request is a probe."""
        return self.last_fault in AUTH_FAULTS and self.last_ok is not None and (self.last_fault_at or 0.0) > self.last_ok


@dataclass(frozen=True, slots=True)
class Cooldown:
    """A verdict with an end. `until` is infinite when only a change of key, URL or the user's word ends it; `level` counts
    verdicts in a row; `since` tells requests sent before the verdict from those sent after it."""

    subject: str
    until: float
    since: float
    level: int
    fault: Fault

    def over(self, now: float) -> bool:
        """Whether its time has passed. A clock that was set back to before it began ends it as well: nobody knows how long it would last
        by that clock, and the next verdict has the new time."""
        return now >= self.until or (now < self.since - CLOCK_SLACK and self.until != inf)

    @property
    def hard(self) -> bool:
        """Whether requests are answered from memory meanwhile. A verdict on an endpoint or a model only prefers another rung."""
        return self.fault.scope in (Scope.KEY, Scope.KEY_MODEL, Scope.ACCOUNT)


class Worked(NamedTuple):
    """A key answered well. `durable` is False when the store knows as much already (written at most once a minute); `routine`
    when nobody would act otherwise for knowing it, so that it may be written a little later."""

    fingerprint: str
    url: str
    model: str
    account: str
    at: float
    durable: bool
    routine: bool = False


class Failed(NamedTuple):
    """A key was refused; only faults that speak about a key are recorded."""

    fingerprint: str
    url: str
    kind: FaultClass
    at: float


class Cooled(NamedTuple):
    """A cool-down was imposed or prolonged."""

    cooldown: Cooldown


class StandInBegan(NamedTuple):
    """A rung of the user's ladder stands in for the session's pin until `until`. The choice itself is unchanged."""

    session: str
    rung: str
    reason: str
    until: float


class StandInEnded(NamedTuple):
    """The session is back on its own pin."""

    session: str


class KeyKept(NamedTuple):
    """The session keeps using this key while it is healthy."""

    session: str
    label: str


Change = Worked | Failed | Cooled | StandInBegan | StandInEnded | KeyKept


def _subjects(fingerprint: str, url: str, model: str, account: str) -> dict[Scope, str]:
    """What a verdict of each scope is about. Without an account, one on the account is one on the key."""
    key = f"key:{fingerprint}@{url}"
    about = {Scope.KEY: key, Scope.KEY_MODEL: f"{key}#{model}", Scope.MODEL: f"model:{model}@{url}", Scope.ENDPOINT: f"endpoint:{url}"}
    return about | {Scope.ACCOUNT: f"account:{account}@{url}" if account else key}


def subject(scope: Scope, fingerprint: str, connection: Connection) -> str:
    """The name of what a verdict of `scope` is about, for this connection; empty when nothing can be cooled."""
    return _subjects(fingerprint, connection.endpoint.url, connection.model, connection.account).get(scope, "")


class Bucket:
    """The retry budget of one endpoint: 10 tokens, +0.2 a success, +0.1 a second, one a retry.

    An outage is amplified by about nothing, while a lone agent can still retry every blip.
    """

    __slots__ = ("_at", "_tokens")
    SIZE, PER_SUCCESS, PER_SECOND = 10.0, 0.2, 0.1

    def __init__(self) -> None:
        self._tokens, self._at = self.SIZE, 0.0

    def succeed(self) -> None:
        if self._tokens < self.SIZE:
            self._tokens = min(self.SIZE, self._tokens + self.PER_SUCCESS)

    def take(self, now: float) -> bool:
        """One token if there is one; the caller may retry."""
        elapsed = max(0.0, now - self._at) if self._at else 0.0
        self._tokens, self._at = min(self.SIZE, self._tokens + elapsed * self.PER_SECOND), now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class Board:
    """Evidence, cool-downs, use counts and retry budgets in memory. It changes only by `apply` and `load`."""

    def __init__(self, evidence: Iterable[Evidence] = (), cooldowns: Iterable[Cooldown] = ()) -> None:
        self._uses: dict[tuple[str, str], tuple[int, int]] = {}
        self._turn = 0
        self._evidence: dict[tuple[str, str], Evidence] = {}
        self._buckets: dict[str, Bucket] = {}
        self.load(evidence, cooldowns)

    def load(self, evidence: Iterable[Evidence], cooldowns: Iterable[Cooldown]) -> None:
        """Take over what the store holds, the truth of all processes; a success seen here may be younger than the one stored."""
        here, loaded = self._evidence, {}
        for one in evidence:
            mine = here.get((one.fingerprint, one.url), one)
            last_ok = max(mine.last_ok or 0.0, one.last_ok or 0.0) or None
            loaded[one.fingerprint, one.url] = one._replace(last_ok=last_ok, stored_ok=one.last_ok)
        # In one step: another thread that looks meanwhile must not take a good key for one that never worked.
        self._evidence = loaded
        self._cooldowns = {one.subject: one for one in cooldowns}

    def evidence(self, fingerprint: str, endpoint: Endpoint) -> Evidence:
        """What the key did at this endpoint; an empty record if it was never used there."""
        found = self._evidence.get((fingerprint, endpoint.url))
        return found if found is not None else Evidence(fingerprint, endpoint.url)

    def works_elsewhere(self, fingerprint: str, endpoint: Endpoint) -> str | None:
        """The URL of another host where this very key worked last, if any (story 1's wrong door)."""
        mine = [one for one in list(self._evidence.values()) if one.fingerprint == fingerprint and one.last_ok is not None]
        others = [one for one in mine if not f"{one.url}/".startswith(f"{endpoint.origin}/")]
        return max(others, key=lambda e: e.last_ok or 0.0).url if others else None

    def cooldown(self, fingerprint: str, connection: Connection) -> Cooldown | None:
        """The verdict that matters most for this connection: hard before soft, then the longest; also if its time has passed."""
        if not self._cooldowns:
            return None
        names = _subjects(fingerprint, connection.endpoint.url, connection.model, connection.account)
        found = [one for one in map(self._cooldowns.get, names.values()) if one is not None]
        return max(found, key=lambda c: (c.hard, c.until)) if found else None

    def cooled(self, subject_name: str) -> Cooldown | None:
        return self._cooldowns.get(subject_name)

    def use(self, connection: Connection) -> None:
        """Count one use of the connection's key."""
        self._turn += 1
        self._uses[connection.provider.name, connection.label] = (self.used(connection)[0] + 1, self._turn)

    def used(self, connection: Connection) -> tuple[int, int]:
        """How often this process used the connection's key, and when last (a turn number)."""
        return self._uses.get((connection.provider.name, connection.label), (0, 0))

    def bucket(self, endpoint: Endpoint) -> Bucket:
        found = self._buckets.get(endpoint.url)
        return found if found is not None else self._buckets.setdefault(endpoint.url, Bucket())

    def apply(self, change: Change) -> None:
        match change:
            case Worked():
                self._worked(change)
            case Failed(fingerprint, url, kind, at):
                known = self._evidence.get((fingerprint, url), Evidence(fingerprint, url))
                self._evidence[fingerprint, url] = known._replace(last_fault=kind, last_fault_at=at)
            case Cooled(cooldown):
                self._cooldowns[cooldown.subject] = cooldown

    def _worked(self, change: Worked) -> None:
        # Spelled out because every good answer passes here: class patterns and `_replace` would cost twice as much.
        at, place = change.at, (change.fingerprint, change.url)
        known = self._evidence.get(place)
        if known is None:
            self._evidence[place] = Evidence(*place, at, at, stored_ok=at if change.durable else None)
        else:
            stored = at if change.durable else known.stored_ok
            self._evidence[place] = Evidence(*place, known.first_ok or at, max(at, known.last_ok or at), known.last_fault, known.last_fault_at, stored)
        for name in cleared_by(change) if self._cooldowns else ():
            self._cooldowns.pop(name, None)


def cleared_by(worked: Worked) -> tuple[str, ...]:
    """The verdicts that one good answer refutes."""
    return tuple(dict.fromkeys(_subjects(worked.fingerprint, worked.url, worked.model, worked.account).values()))


def worked(evidence: Evidence, connection: Connection, at: float, *, was_cooled: bool) -> Worked:
    """The change that a good answer makes. Durable when it tells the store something: a first success, one after a fault
    or a cool-down, or one a minute."""
    stored = evidence.stored_ok
    news = was_cooled or stored is None or (evidence.last_fault_at or 0.0) >= stored
    durable = news or at - (stored or 0.0) >= _DURABLE_EVERY
    return Worked(evidence.fingerprint, evidence.url, connection.model, connection.account, at, durable, not news)
