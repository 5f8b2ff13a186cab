"""The recovery from a fault: a table with a row for each class (docs/reference/recovery.md shows it).

Rules that hold for every row: a step happens only before the first byte reached the caller and while the
request's budget lasts; a rotation changes the key and nothing else; only a fallback that the user wrote may
answer; a cooldown covers nothing that the fault does not speak about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple

from .changes import Change, Cooldown, CooldownStarted, KeyFailed, subject
from .faults import AUTH_FAULTS, Confidence, Fault, FaultClass, Phase, Scope
from .health import HealthRegistry
from .identity import Connection

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_LONGEST_ON_WORDS = 5 * _MINUTE
_WINDOW_FUZZ = 35.0
_LOOK_AGAIN_AFTER = 30 * _MINUTE
_RENEWED = ("oauth:", "wif:", "cmd:", "call:")
RATE_PATIENCE = 5.0
"""Seconds that a request waits for a throttled key while a spare key of the same provider is healthy."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table.

    retries      tries on the same key, after `base`·2ⁿ seconds (jittered)
    probe        a key that worked gets the one shared probe
    refresh      the key's reference is read again first
    rotate       other keys of the provider are tried; with `one_account`, none of the same account
    cool         seconds of cooldown on `scope` at the first, second, … verdict in a row
    barred       the cooldown lasts until the key or URL changes
    fall_back    a fallback that the user wrote may answer
    relist       the model list is asked for, for near names
    """

    retries: int = 0
    base: float = 0.0
    probe: bool = False
    refresh: bool = False
    rotate: bool = False
    one_account: bool = False
    cool: tuple[float, ...] = ()
    scope: Scope | None = None
    barred: bool = False
    fall_back: bool = False
    relist: bool = False


C = FaultClass
_AUTH = (_MINUTE, 5 * _MINUTE, 30 * _MINUTE)
_BLOCK = (_MINUTE, 5 * _MINUTE, 10 * _MINUTE)
_RATE = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
_OUTAGE = (5.0, 15.0, 60.0)
_USER_MUST_ACT = (C.ENDPOINT_MISMATCH, C.CONTEXT_OVERFLOW, C.CONTENT_BLOCKED, C.BAD_REQUEST, C.UNKNOWN)
RULES: dict[FaultClass, Rule] = {
    C.AUTH_REJECTED: Rule(probe=True, refresh=True, rotate=True, cool=_AUTH, scope=Scope.KEY, fall_back=True),
    C.AUTH_EXPIRED: Rule(refresh=True, rotate=True, cool=_AUTH, scope=Scope.KEY, fall_back=True),
    C.NOT_ENTITLED: Rule(rotate=True, one_account=True, cool=(_HOUR,), scope=Scope.KEY_MODEL, fall_back=True),
    C.BLOCKED: Rule(cool=_BLOCK, scope=Scope.ENDPOINT, fall_back=True),
    C.QUOTA_EXHAUSTED: Rule(rotate=True, cool=(_HOUR,), scope=Scope.ACCOUNT, fall_back=True),
    C.QUOTA_WINDOW: Rule(rotate=True, cool=(_LOOK_AGAIN_AFTER,), scope=Scope.ACCOUNT, fall_back=True),
    C.RATE_LIMITED: Rule(retries=2, base=1.0, rotate=True, cool=_RATE, scope=Scope.KEY_MODEL, fall_back=True),
    C.PROVIDER_UNAVAILABLE: Rule(retries=2, base=1.0, cool=_OUTAGE, scope=Scope.MODEL, fall_back=True),
    C.TRANSIENT: Rule(retries=2, base=0.1, fall_back=True),
    C.MODEL_UNAVAILABLE: Rule(cool=(10 * _MINUTE,), scope=Scope.MODEL, fall_back=True, relist=True),
    **dict.fromkeys(_USER_MUST_ACT, Rule()),
}
NO_KEY_SENT = Rule(rotate=True)
OF_THE_ENDPOINT = frozenset({C.TRANSIENT, C.PROVIDER_UNAVAILABLE, C.ENDPOINT_MISMATCH, C.BLOCKED})
"""The classes that are about an endpoint: a key with an endpoint of its own is called elsewhere."""
UNREADABLE = Rule(rotate=True, fall_back=True)
NEVER_WORKED = Rule(refresh=True, rotate=True, barred=True, scope=Scope.KEY)
FINAL = Rule(refresh=True, rotate=True, barred=True, scope=Scope.ACCOUNT, fall_back=True)
BARE_403 = replace(RULES[C.NOT_ENTITLED], probe=True, cool=(_LONGEST_ON_WORDS,))
UNKNOWN_ANSWER = Rule(retries=1, base=1.0, fall_back=True)
ONCE_MORE = Rule(retries=1, base=0.1, fall_back=True)


def rule_for(fault: Fault, *, worked_here: bool) -> Rule:
    """Return the row for this fault. A 401 is three things: no key sent, a key that never worked here, and a
    key that did (story 4); a 403 without a reason is treated like the last. A final verdict ("deleted",
    "leaked") needs a sign stronger than words."""
    if fault.phase is Phase.UNSENT:
        return UNREADABLE
    if fault.kind is C.AUTH_REJECTED and not fault.sent:
        return NO_KEY_SENT
    if fault.is_final and fault.kind in AUTH_FAULTS:
        return FINAL
    if fault.kind is C.AUTH_REJECTED and not worked_here:
        return NEVER_WORKED
    if fault.kind is C.NOT_ENTITLED and _gives_no_reason(fault):
        return BARE_403
    if fault.kind is C.UNKNOWN and fault.status is not None and not 300 <= fault.status < 500:
        return UNKNOWN_ANSWER
    if fault.kind is C.TRANSIENT and fault.maybe_processed:
        return ONCE_MORE
    return RULES[fault.kind]


def _gives_no_reason(fault: Fault) -> bool:
    """Return whether a 403 says no more than that: its body is empty, or "Forbidden", or "Access denied"."""
    return fault.status == 403 and (
        fault.cause == "denied" or fault.signs[:1] in (("status:403",), ("type:403",))
    )


def for_another_endpoint(rule: Rule) -> Rule:
    """Return the rule for trouble of an endpoint, where another key of the provider has another endpoint."""
    return replace(rule, rotate=True, fall_back=True)


def backoff(rule: Rule, fault: Fault, tries: int, jitter: float) -> float:
    """Return the seconds before the next try on the same key: the provider's hint if it gave one, else a
    random part between half and all of `base`·2ⁿ, at most 8 s."""
    if fault.retry_after is not None:
        return max(fault.retry_after, 0.0)
    return float(min(rule.base * 2.0**tries, 8.0) * (0.5 + jitter / 2))


class Failure(NamedTuple):
    """A send that failed: its fault and the rule for it, and the connection, key and time with which the
    request left."""

    fault: Fault
    rule: Rule
    connection: Connection
    fingerprint: str
    sent_at: float


def key_failed(failure: Failure, at: float) -> KeyFailed:
    """Return the evidence that a failure is: about the key, or about it and the model where a right is
    missing."""
    fault, _, connection, fingerprint, _ = failure
    refused = KeyFailed(fingerprint, connection.endpoint.url, fault.kind, at)
    return refused._replace(model=connection.model) if fault.kind is C.NOT_ENTITLED else refused


def verdict(failure: Failure, health: HealthRegistry, now: float, jitter: float) -> Iterator[Change]:
    """Give the changes that a failure makes: evidence about the key that was sent, and a cooldown of the
    rule's scope. Of a hundred simultaneous ones, those sent before the last verdict add nothing to it."""
    fault, rule, connection, fingerprint, sent_at = failure
    if rule.probe or rule.barred or rule.refresh:
        yield key_failed(failure, now)
    if rule.scope is None or fault.scope is Scope.REQUEST or not (rule.cool or rule.barred):
        return  # a fault of this request alone cools nothing down
    scope = rule.scope
    if scope is Scope.ACCOUNT and fault.scope is Scope.KEY_MODEL:
        scope = fault.scope  # the provider speaks of one model's quota
    name = subject(scope, fingerprint, connection)
    before = health.cooled(name)
    if before is not None and sent_at < before.since and not before.over(now):
        return
    level = 0
    if before is not None and before.fault.kind is fault.kind:
        level = before.level + 1
    seconds = min(_seconds(fault, rule, level, now, jitter=jitter), _longest(fault, level))
    if seconds == inf and connection.key is not None and connection.key.ref.startswith(_RENEWED):
        seconds = _LOOK_AGAIN_AFTER  # its value is another one by then, under the same fingerprint
    fault = replace(fault, scope=scope)
    yield CooldownStarted(Cooldown(subject=name, until=now + seconds, since=now, level=level, fault=fault))


def _seconds(fault: Fault, rule: Rule, level: int, now: float, *, jitter: float) -> float:
    """Return how long a cooldown lasts at this level: by the provider's hint where it may be believed, else
    by the table."""
    if fault.kind is C.QUOTA_WINDOW:
        return _window(fault, now, jitter)
    if fault.kind is C.RATE_LIMITED and fault.retry_after is not None:
        return fault.retry_after
    if rule.barred:
        return inf
    seconds = rule.cool[min(level, len(rule.cool) - 1)]
    if fault.kind is C.PROVIDER_UNAVAILABLE:
        return max(seconds, fault.retry_after or 0.0)
    return seconds


def _longest(fault: Fault, level: int) -> float:
    """Return the most seconds that a cooldown may last by the strength of its sign. Words, or a status alone,
    are believed for five minutes, but a header's time is the provider's own, and a second 401 is no
    accident: the first was followed by a test of the key."""
    if fault.confidence >= Confidence.TYPE or (level > 0 and fault.status == 401):
        return inf
    if any(sign.startswith("hint:") and sign != "hint:words" for sign in fault.signs):
        return max(_LONGEST_ON_WORDS, (fault.retry_after or 0.0) + _WINDOW_FUZZ)
    return _LONGEST_ON_WORDS


def _window(fault: Fault, now: float, jitter: float) -> float:
    """Return the seconds until the provider's reset and a little more, at most a day; half an hour where no
    reset is known."""
    left = fault.retry_after
    if fault.reset_at is not None:
        left = fault.reset_at - now
    if left is None or left <= 0:
        return _LOOK_AGAIN_AFTER
    return min(left + jitter * _WINDOW_FUZZ, _DAY)
