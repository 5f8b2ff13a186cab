"""The changes that requests make: successes, faults, cooldowns, fallbacks, kept keys; and the records that
they leave."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from .faults import REFUSALS, Fault, FaultClass, Scope
from .identity import Connection, Key

NO_KEY = "-"
"""The fingerprint where an endpoint takes no key."""
CLOCK_SLACK = 60.0
"""Seconds by which clocks may differ without one of them having been set back."""
_DURABLE_EVERY = 60.0
_DAY = 86_400.0


class Evidence(NamedTuple):
    """The record of what one key last did at one endpoint (its URL). Times are epoch seconds of the store's
    clock; `stored_ok` is the last success that the store knows, which may lag a minute behind."""

    fingerprint: str
    url: str
    first_ok: float | None = None
    last_ok: float | None = None
    last_fault: FaultClass | None = None
    last_fault_at: float | None = None
    stored_ok: float | None = None

    def known_good(self, now: float, days: float) -> bool:
        """Return whether the key worked here within the last `days`."""
        return self.last_ok is not None and now - self.last_ok <= days * _DAY

    @property
    def untested(self) -> bool:
        """Return whether it is unknown if the key is accepted here."""
        return self.last_ok is None and self.last_fault is None

    @property
    def suspect(self) -> bool:
        """Return whether the key was refused here after it last worked: the next request is a probe."""
        if self.last_ok is None or self.last_fault not in REFUSALS:
            return False
        return (self.last_fault_at or 0.0) > self.last_ok


@dataclass(frozen=True, slots=True)
class Cooldown:
    """A verdict with an end. `until` is infinite where only another key or URL, or the user, ends it; `level`
    counts verdicts in a row; `since` tells requests sent before the verdict from those sent after it."""

    subject: str
    until: float
    since: float
    level: int
    fault: Fault

    def over(self, now: float) -> bool:
        """Return whether its time has passed. A clock that was set back to before it began ends it as well:
        by that clock it could last for any time, and the next verdict has the new time."""
        return now >= self.until or (now < self.since - CLOCK_SLACK and self.until != inf)

    @property
    def hard(self) -> bool:
        """Return whether requests are answered from memory meanwhile. A verdict on an endpoint or a model
        only makes the fallbacks come first."""
        return self.fault.scope in (Scope.KEY, Scope.KEY_MODEL, Scope.ACCOUNT)


class Owner(NamedTuple):
    """The key that made an object, which only its account knows."""

    provider: str
    label: str
    fingerprint: str = ""


class KeySucceeded(NamedTuple):
    """A key answered well. `durable` is False when the store knows as much already (written at most once a
    minute); `routine` when no other process would decide differently for knowing it, so that it may be
    written a little later."""

    fingerprint: str
    url: str
    model: str
    account: str
    at: float
    durable: bool
    routine: bool = False


class KeyFailed(NamedTuple):
    """A key was refused; only faults that speak about a key are recorded. With a `model`, for this one alone:
    that is known to this process only."""

    fingerprint: str
    url: str
    kind: FaultClass
    at: float
    model: str = ""


class CooldownStarted(NamedTuple):
    """A cooldown began or was prolonged."""

    cooldown: Cooldown


class FallbackStarted(NamedTuple):
    """A fallback answers for the session until `until` (epoch seconds). The chosen pin is unchanged."""

    session: str
    fallback: str
    reason: str
    until: float


class FallbackEnded(NamedTuple):
    """The session is back on its own pin."""

    session: str


class KeyKept(NamedTuple):
    """The session keeps using this key while it is healthy."""

    session: str
    label: str


Change = KeySucceeded | KeyFailed | CooldownStarted | FallbackStarted | FallbackEnded | KeyKept


def subjects(fingerprint: str, url: str = "", model: str = "", account: str = "") -> dict[Scope, str]:
    """Return the names of what verdicts can be about, by scope. Without an account, a verdict on the account
    is one on the key. Without a URL, they are how the names at any URL begin."""
    key = f"key:{fingerprint}@{url}"
    of_account = key
    if account:
        of_account = f"account:{account}@{url}"
    return {
        Scope.KEY: key,
        Scope.KEY_MODEL: f"{key}#{model}",
        Scope.MODEL: f"model:{model}@{url}",
        Scope.ENDPOINT: f"endpoint:{url}",
        Scope.ACCOUNT: of_account,
    }


def subject_prefixes(fingerprint: str | None, key: Key) -> tuple[str, str]:
    """Return how the subjects of verdicts on a key, if it can be read, and on its account begin."""
    account = key.account and f"{key.provider}:{key.account}"
    names = subjects(fingerprint or "", account=account or "")
    return names[Scope.KEY], names[Scope.ACCOUNT]


def subject(scope: Scope, fingerprint: str, connection: Connection) -> str:
    """Return what a verdict of `scope` on this connection is about; empty when nothing can cool down."""
    names = subjects(fingerprint, connection.endpoint.url, connection.model, connection.account)
    return names.get(scope, "")


def refuted(success: KeySucceeded) -> tuple[str, ...]:
    """Return the subjects whose verdicts a good answer refutes."""
    names = subjects(success.fingerprint, success.url, success.model, success.account)
    return tuple(dict.fromkeys(names.values()))


def key_succeeded(evidence: Evidence, connection: Connection, at: float, *, was_cooled: bool) -> KeySucceeded:
    """Return the change that a good answer makes. It is durable when it tells the store something: a first
    success, one after a fault or a cooldown, or one a minute."""
    fingerprint, url, stored = evidence.fingerprint, evidence.url, evidence.stored_ok
    news = was_cooled or stored is None or (evidence.last_fault_at or 0.0) >= stored
    durable = news or at - (stored or 0.0) >= _DURABLE_EVERY
    # In the order of the fields: every good answer passes here, and keywords would cost three times as much.
    return KeySucceeded._make((fingerprint, url, connection.model, connection.account, at, durable, not news))
