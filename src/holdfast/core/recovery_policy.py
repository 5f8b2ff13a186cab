"""What to do about a fault: one table, one row a class (docs/reference/recovery.md shows it).

Rules that hold for every row: a step happens only before the first byte reached the caller and while the
request's budget lasts; a rotation changes the key and nothing else; only a rung that the user wrote may stand
in; a cool-down never touches what the fault does not speak about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple

from .changes import Change, Cooldown, CooldownStarted, KeyFailed, subject
from .faults import Confidence, Fault, FaultClass, Scope
from .health import HealthRegistry
from .identity import Connection

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_LONGEST_ON_WEAK_SIGN = 5 * _MINUTE
_WINDOW_FUZZ = 35.0
_GLANCE = 30 * _MINUTE
RATE_PATIENCE = 5.0
"""Seconds that a request waits for a throttled key while a spare key of the same provider is healthy."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. `retries` on the same key after `base`·2ⁿ s (jittered); `probe`: the one shared probe of a key
    that worked; `refresh`: read the reference again first; `cool`: how long (s) at the first, second, …
    verdict in a row, on the fault's scope; `one_account`: other keys of the same account would be told the
    same; `barred`: until the key or URL changes; `stand_in`: a rung of the user's ladder may answer;
    `relist`: ask for the model list, for near names."""

    retries: int = 0
    base: float = 0.0
    probe: bool = False
    refresh: bool = False
    rotate: bool = False
    one_account: bool = False
    cool: tuple[float, ...] = ()
    scope: Scope | None = None
    barred: bool = False
    active_fallback: bool = False
    relist: bool = False


C = FaultClass
RULES: dict[FaultClass, Rule] = {
    C.AUTH_REJECTED: Rule(
        probe=True,
        refresh=True,
        rotate=True,
        cool=(_MINUTE, 5 * _MINUTE, 30 * _MINUTE),
        scope=Scope.KEY,
        active_fallback=True,
    ),
    C.AUTH_EXPIRED: Rule(
        refresh=True,
        rotate=True,
        cool=(_MINUTE, 5 * _MINUTE, 30 * _MINUTE),
        scope=Scope.KEY,
        active_fallback=True,
    ),
    C.NOT_ENTITLED: Rule(
        rotate=True, one_account=True, cool=(_HOUR,), scope=Scope.KEY_MODEL, active_fallback=True
    ),
    C.BLOCKED: Rule(cool=(_MINUTE, 5 * _MINUTE, 10 * _MINUTE), scope=Scope.ENDPOINT, active_fallback=True),
    C.QUOTA_EXHAUSTED: Rule(rotate=True, cool=(_HOUR,), scope=Scope.ACCOUNT, active_fallback=True),
    C.QUOTA_WINDOW: Rule(rotate=True, cool=(_GLANCE,), scope=Scope.ACCOUNT, active_fallback=True),
    C.RATE_LIMITED: Rule(
        retries=2,
        base=1.0,
        rotate=True,
        cool=(1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0),
        scope=Scope.KEY_MODEL,
        active_fallback=True,
    ),
    C.PROVIDER_UNAVAILABLE: Rule(
        retries=2, base=1.0, cool=(5.0, 15.0, 60.0), scope=Scope.MODEL, active_fallback=True
    ),
    C.TRANSIENT: Rule(retries=2, base=0.1, cool=(), active_fallback=True),
    C.MODEL_UNAVAILABLE: Rule(cool=(10 * _MINUTE,), scope=Scope.MODEL, active_fallback=True, relist=True),
    **dict.fromkeys(
        (C.ENDPOINT_MISMATCH, C.CONTEXT_OVERFLOW, C.CONTENT_BLOCKED, C.BAD_REQUEST, C.UNKNOWN), Rule()
    ),  # nothing helps but the user
}

NO_KEY_SENT = Rule(rotate=True)
NEVER_WORKED = Rule(refresh=True, rotate=True, barred=True, scope=Scope.KEY)
FINAL = Rule(refresh=True, rotate=True, barred=True, scope=Scope.ACCOUNT, active_fallback=True)
UNKNOWN_5XX = Rule(retries=1, base=1.0, active_fallback=True)
ONCE_MORE = Rule(retries=1, base=0.1, active_fallback=True)


def rule_for(fault: Fault, *, worked_here: bool) -> Rule:
    """The row of the table that governs this fault. A 401 is three things: no key sent, a key that never
    worked here, and a key that did (story 4); a final verdict ("deleted", "leaked") needs a sign stronger
    than words."""
    if fault.kind is C.AUTH_REJECTED and not fault.sent:
        return NO_KEY_SENT
    if (
        fault.kind in (C.AUTH_REJECTED, C.AUTH_EXPIRED)
        and fault.terminal
        and fault.confidence >= Confidence.TYPE
    ):
        return FINAL
    if fault.kind is C.AUTH_REJECTED and not worked_here:
        return NEVER_WORKED
    if fault.kind is C.UNKNOWN and fault.status is not None and fault.status >= 500:
        return UNKNOWN_5XX
    if fault.kind is C.TRANSIENT and fault.maybe_processed:
        return ONCE_MORE
    return RULES[fault.kind]


def backoff(rule: Rule, fault: Fault, tries: int, jitter: float) -> float:
    """Seconds before the next try on the same key: the provider's hint if it gave one, else full jitter
    between half and all of `base`·2ⁿ, at most 8 s."""
    if fault.retry_after is not None:
        return max(fault.retry_after, 0.0)
    return float(min(rule.base * 2.0**tries, 8.0) * (0.5 + jitter / 2))


class Failure(NamedTuple):
    """A send that failed: the rule of its fault, and the connection, key and time with which the request
    left."""

    fault: Fault
    rule: Rule
    connection: Connection
    fingerprint: str
    sent_at: float


def verdict(failure: Failure, health: HealthRegistry, now: float, jitter: float) -> Iterator[Change]:
    """What this failure changes in memory: evidence about the key that was sent, and a cool-down of the
    rule's scope.

    A hundred simultaneous failures count once: one sent before the last verdict adds nothing to it.
    """
    fault, rule, connection, fingerprint, sent_at = failure
    if rule.probe or rule.barred or rule.refresh:
        yield KeyFailed(fingerprint, connection.endpoint.url, fault.kind, now)
    if rule.scope is None or fault.scope is Scope.REQUEST or not (rule.cool or rule.barred):
        return  # what speaks of this request only sets nothing aside
    name = subject(rule.scope, fingerprint, connection)
    before = health.cooled(name)
    if before is not None and sent_at < before.since and not before.over(now):
        return
    level = before.level + 1 if before is not None and before.fault.kind is fault.kind else 0
    seconds = inf if rule.barred else rule.cool[min(level, len(rule.cool) - 1)]
    if fault.kind is C.RATE_LIMITED and fault.retry_after is not None:
        seconds = min(fault.retry_after, rule.cool[-1])
    if fault.kind is C.QUOTA_WINDOW:
        seconds = _window(fault, now, jitter)
    if fault.confidence < Confidence.TYPE and level == 0:
        seconds = min(seconds, _LONGEST_ON_WEAK_SIGN)
    yield CooldownStarted(Cooldown(name, now + seconds, now, level, replace(fault, scope=rule.scope)))


def _window(fault: Fault, now: float, jitter: float) -> float:
    """Until the provider's reset and a little more, at most a day; a reset that only words told is looked at
    every half hour."""
    told = fault.reset_at - now if fault.reset_at is not None else fault.retry_after
    if told is None or told <= 0:
        return _GLANCE
    exact = min(told + jitter * _WINDOW_FUZZ, _DAY)
    return exact if fault.confidence >= Confidence.HEADER else min(exact, _GLANCE)
