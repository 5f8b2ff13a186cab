"""What requests and users change: successes, faults, cooldowns, fallbacks, kept keys; and what is recorded of
them."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from .faults import Fault, FaultClass, Scope
from .identity import Connection

AUTH_FAULTS = frozenset({FaultClass.AUTH_REJECTED, FaultClass.AUTH_EXPIRED})


NO_KEY = "-"
"""The fingerprint of an endpoint that takes no key."""


_DURABLE_EVERY = 60.0


CLOCK_SLACK = 60.0
"""Seconds by which clocks may differ without one of them having been set back."""


class Evidence(NamedTuple):
    """What one key last did at one endpoint (its URL). Times are epoch seconds of the store's clock;
    `stored_ok` is the last success that the store knows, which may lag a minute behind."""

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
        return (
            self.last_fault in AUTH_FAULTS
            and self.last_ok is not None
            and (self.last_fault_at or 0.0) > self.last_ok
        )


@dataclass(frozen=True, slots=True)
class Cooldown:
    """A verdict with an end. `until` is infinite when only a change of key, URL or the user's word ends it;
    `level` counts verdicts in a row; `since` tells requests sent before the verdict from those sent after
    it."""

    subject: str
    until: float
    since: float
    level: int
    fault: Fault

    def over(self, now: float) -> bool:
        """Whether its time has passed. A clock that was set back to before it began ends it as well: nobody
        knows how long it would last by that clock, and the next verdict has the new time."""
        return now >= self.until or (now < self.since - CLOCK_SLACK and self.until != inf)

    @property
    def hard(self) -> bool:
        """Whether requests are answered from memory meanwhile. A verdict on an endpoint or a model only
        prefers another rung."""
        return self.fault.scope in (Scope.KEY, Scope.KEY_MODEL, Scope.ACCOUNT)


class KeySucceeded(NamedTuple):
    """A key answered well. `durable` is False when the store knows as much already (written at most once a
    minute); `routine` when nobody would act otherwise for knowing it, so that it may be written a little
    later."""

    fingerprint: str
    url: str
    model: str
    account: str
    at: float
    durable: bool
    routine: bool = False


class KeyFailed(NamedTuple):
    """A key was refused; only faults that speak about a key are recorded."""

    fingerprint: str
    url: str
    kind: FaultClass
    at: float


class CooldownStarted(NamedTuple):
    """A cool-down was imposed or prolonged."""

    cooldown: Cooldown


class FallbackStarted(NamedTuple):
    """A rung of the user's ladder stands in for the session's pin until `until`. The choice itself is
    unchanged."""

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


def _subjects(fingerprint: str, url: str, model: str, account: str) -> dict[Scope, str]:
    """What a verdict of each scope is about. Without an account, one on the account is one on the key."""
    key = f"key:{fingerprint}@{url}"
    about = {
        Scope.KEY: key,
        Scope.KEY_MODEL: f"{key}#{model}",
        Scope.MODEL: f"model:{model}@{url}",
        Scope.ENDPOINT: f"endpoint:{url}",
    }
    return about | {Scope.ACCOUNT: f"account:{account}@{url}" if account else key}


def subject(scope: Scope, fingerprint: str, connection: Connection) -> str:
    """The name of what a verdict of `scope` is about, for this connection; empty when nothing can be
    cooled."""
    return _subjects(fingerprint, connection.endpoint.url, connection.model, connection.account).get(
        scope, ""
    )


def cleared_by(key_succeeded: KeySucceeded) -> tuple[str, ...]:
    """The verdicts that one good answer refutes."""
    return tuple(
        dict.fromkeys(
            _subjects(
                key_succeeded.fingerprint, key_succeeded.url, key_succeeded.model, key_succeeded.account
            ).values()
        )
    )


def key_succeeded(evidence: Evidence, connection: Connection, at: float, *, was_cooled: bool) -> KeySucceeded:
    """The change that a good answer makes. Durable when it tells the store something: a first success, one
    after a fault or a cool-down, or one a minute."""
    stored = evidence.stored_ok
    news = was_cooled or stored is None or (evidence.last_fault_at or 0.0) >= stored
    durable = news or at - (stored or 0.0) >= _DURABLE_EVERY
    return KeySucceeded(
        evidence.fingerprint, evidence.url, connection.model, connection.account, at, durable, not news
    )
