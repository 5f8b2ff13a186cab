"""A provider that a program sets up for its user (story 3): its record, how the record may change, and what
to do next.

An intent is on disk before a key is asked for, so whatever happens the record says what may have been spent.
A record is repaired with the key that it has; only an intent with the user's consent obtains one. Without a
model nothing is usable, and there is no default model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from .changes import CLOCK_SLACK
from .errors import IdentityError
from .faults import AUTH_FAULTS, Fault, FaultClass, Scope
from .identity import ProviderName
from .model_roles import Listed, Listing, Role, bind, chats


class Capability(StrEnum):
    """The part of a mint that may be repeated when it is unknown whether a key was made.

    replayable     the same intent: we choose the key's value or an idempotency key
    reconcilable   the same, after the existing keys are listed: a key can be found by name
    one-shot       nothing
    interactive    the user's part
    derived        everything: nothing is spent
    """

    REPLAYABLE = "replayable"
    RECONCILABLE = "reconcilable"
    ONE_SHOT = "one-shot"
    INTERACTIVE = "interactive"
    DERIVED = "derived"


class State(StrEnum):
    """The state of a record."""

    ABSENT = "absent"
    INTENT = "intent"
    AMBIGUOUS = "ambiguous"
    PROVISIONED = "provisioned"
    UNRESOLVABLE = "unresolvable"
    RESOLVED = "resolved"
    VERIFIED = "verified"
    DEGRADED = "degraded"
    RETIRED = "retired"


class Step(StrEnum):
    """The next thing to do for a record."""

    ASK_CONSENT = "ask-consent"
    MINT = "mint"
    REPLAY = "replay"
    RECONCILE = "reconcile"
    LIST_MODELS = "list-models"
    WAIT = "wait"
    ASK_OPERATOR = "ask-operator"
    NOTHING = "nothing"


S, C = State, Capability
USABLE = frozenset({S.RESOLVED, S.VERIFIED, S.DEGRADED})
WITH_KEY = USABLE | {S.PROVISIONED, S.UNRESOLVABLE}
MOVES: Mapping[State, frozenset[State]] = {
    S.ABSENT: frozenset({S.INTENT, S.PROVISIONED, S.ABSENT, S.RETIRED}),
    S.INTENT: frozenset({S.INTENT, S.ABSENT, S.AMBIGUOUS, S.PROVISIONED, S.RETIRED}),
    S.AMBIGUOUS: frozenset({S.INTENT, S.PROVISIONED, S.RETIRED}),
    S.RETIRED: frozenset({S.INTENT, S.PROVISIONED, S.RETIRED}),
    **dict.fromkeys(WITH_KEY, WITH_KEY | {S.RETIRED, S.INTENT}),
}
"""The states into which a record may move, by its state. What has a key never becomes absent, so no move
leads to a second trial."""
AFTER_UNKNOWN = {
    C.REPLAYABLE: Step.REPLAY,
    C.RECONCILABLE: Step.RECONCILE,
    C.ONE_SHOT: Step.ASK_OPERATOR,
    C.INTERACTIVE: Step.ASK_CONSENT,
    C.DERIVED: Step.REPLAY,
}
MINT_WAITS, LIST_WAITS = (60.0, 3600.0), (30.0, 900.0)
"""Seconds: the first wait after a failure, doubled each time up to the second."""
_DAY = 86_400.0
_LONGEST = dict.fromkeys((Step.MINT, Step.REPLAY, Step.RECONCILE), _DAY) | {Step.LIST_MODELS: LIST_WAITS[1]}
"""Seconds for which a step waits at most for `next_at`; other steps do not wait."""
_GONE_FOR = 3600.0
"""Seconds after which a model that was withdrawn, and is listed all the same, is tried again."""
_NO_WAIT: dict[str, Any] = {"tries": 0, "next_at": 0.0}
_LIST_REASONS = {Listed.OK: "no_model_fits", Listed.EMPTY: "no_model_allowed", Listed.REFUSED: "key_refused"}
_SUSPECT_FOR = 600.0
_TEXT = 300


@dataclass(frozen=True, slots=True)
class Consent:
    """The user's consent: to what, in the words that were shown, by whom, and when (epoch seconds)."""

    what: str
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class Record:
    """The row of a provider, without any secret. `key` is a reference, `url` what the key was granted for;
    both and the models belong to one `epoch`. `minted` counts the keys that may have been made; `next_at` is
    when the next attempt may be made; `gone` has the models that calls found withdrawn, and when; `reason` is
    for programs, `detail` for people."""

    name: ProviderName
    kind: str
    capability: Capability
    state: State = State.ABSENT
    reason: str = ""
    detail: str = ""
    epoch: int = 0
    intent: str = ""
    intent_at: float = 0.0
    minted: int = 0
    consent: Consent | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""
    key: str = ""
    expires_at: float | None = None
    roles: tuple[Role, ...] = ()
    bound: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    gone: Mapping[str, float] = field(default_factory=dict)
    tries: int = 0
    next_at: float = 0.0
    since: float = 0.0
    verified_at: float | None = None
    version: int = 0

    def __post_init__(self) -> None:
        if self.state in USABLE and not self.models:
            raise IdentityError(
                f"provider '{self.name}' is not ready: no model is known",
                next_step=f"holdfast provision resolve {self.name}",
            )
        if self.state in WITH_KEY and not (self.url and self.key):
            raise IdentityError(
                f"provider '{self.name}' has no key", next_step=f"holdfast provision status {self.name}"
            )
        if not all(self.bound.values()):
            raise IdentityError(
                f"a role of '{self.name}' is bound to no model",
                next_step=f"holdfast provision resolve {self.name}",
            )

    @property
    def missing(self) -> tuple[str, ...]:
        """Return the roles that have no model yet."""
        return tuple(role.name for role in self.roles if role.name not in self.bound)

    def to(self, state: State, now: float, reason: str = "", detail: str = "", **changes: Any) -> Record:
        """Return the record in its next state. Raises ValueError for a move that `MOVES` does not have."""
        if state not in MOVES[self.state]:
            raise ValueError(f"'{self.name}' cannot go from {self.state} to {state}")
        if (state, reason) != (self.state, self.reason) or self.since > now:
            changes["since"] = now
        version, detail = self.version + 1, detail[:_TEXT]
        return replace(self, state=state, reason=reason, detail=detail, version=version, **changes)


def next_step(record: Record, now: float, *, consent: bool = False) -> Step:
    """Return what comes next. The caller holds the record's lease, so no other process still works at an
    intent that it finds. `consent`: the user agrees now. No key is obtained without that, and a one-shot key
    is never asked for twice."""
    step = _step(record, consent=consent)
    latest = now + _LONGEST.get(step, 0.0)
    # A clock that was set back since, or a time beyond any wait, binds nothing.
    if record.since - CLOCK_SLACK <= now < record.next_at <= latest:
        return Step.WAIT
    return step


def _step(record: Record, *, consent: bool) -> Step:
    """Return what comes next, however soon."""
    state = record.state
    if state in (S.ABSENT, S.RETIRED) or record.reason == "key_dead":
        return _before_minting(record, consent=consent)
    if state is S.INTENT:
        return AFTER_UNKNOWN[record.capability]
    if state is S.AMBIGUOUS:
        return Step.ASK_OPERATOR
    if state in (S.PROVISIONED, S.UNRESOLVABLE) or record.missing or record.reason == "model_gone":
        return Step.LIST_MODELS
    return Step.NOTHING


def _before_minting(record: Record, *, consent: bool) -> Step:
    """Return what comes before a key is obtained: consent, or the operator where a one-shot key was made
    already."""
    free = record.state in WITH_KEY and record.capability is C.DERIVED
    if not consent and not free:
        return Step.ASK_CONSENT
    if record.capability is C.ONE_SHOT and record.minted:
        return Step.ASK_OPERATOR
    return Step.MINT


def intend(record: Record, intent: str, now: float) -> Record:
    """Return the record that must be on disk before a key is asked for. It counts the key as made; only a
    definite refusal takes that back."""
    return record.to(
        S.INTENT, now, intent=intent, intent_at=now, epoch=record.epoch + 1, minted=record.minted + 1
    )


def expects(record: Record, intent: str) -> bool:
    """Return whether a reply belongs to this record: also a late one, of a process that has lost its lease
    (it has been paid for)."""
    return record.intent == intent and record.state in (S.INTENT, S.AMBIGUOUS)


def granted(record: Record, now: float, *, url: str, key: str, expires_at: float | None = None) -> Record:
    """Return the record with a new key. What was bound belonged to the key before it, and is void in the same
    step."""
    void: dict[str, Any] = {"bound": {}, "models": (), "gone": {}, "verified_at": None} | _NO_WAIT
    return record.to(S.PROVISIONED, now, url=url, key=key, expires_at=expires_at, **void)


def refused(
    record: Record, now: float, detail: str, fault: Fault | None = None, window: float = 0.0
) -> Record:
    """Return the record after a mint that was refused or never sent: no key was made. A limit is waited out
    at least for the `window` (seconds) in which attempts count."""
    wait = 0.0
    if fault is not None:
        wait = fault.retry_after or 0.0
        if fault.kind in (FaultClass.RATE_LIMITED, FaultClass.QUOTA_WINDOW):
            wait = max(wait, window)
    waits = _wait(record, now, MINT_WAITS, at_least=wait)
    return record.to(S.ABSENT, now, "mint_refused", detail, minted=record.minted - 1, intent="", **waits)


def unknown(record: Record, now: float, detail: str) -> Record:
    """Return the record where it is unknown whether a key was made. What may be repeated stays an intent; a
    one-shot mint stops here, for its operator."""
    if AFTER_UNKNOWN[record.capability] is Step.ASK_OPERATOR:
        return record.to(S.AMBIGUOUS, now, "mint_unknown", detail)
    if record.capability is C.INTERACTIVE:
        return record.to(S.ABSENT, now, "interrupted", detail, intent="", minted=record.minted - 1)
    return record.to(S.INTENT, now, "mint_unknown", detail, **_wait(record, now, MINT_WAITS))


def listed(record: Record, listing: Listing, now: float) -> Record:
    """Return the record after its models were listed. A failed list changes no binding, and an empty one
    overwrites none."""
    offered = chats(listing.offers)
    if listing.kind in (Listed.OK, Listed.EMPTY):
        gone = {name: at for name, at in record.gone.items() if name in offered and _is_gone(at, now)}
        record = replace(record, gone=gone)
    names = tuple(name for name in offered if name not in record.gone)
    bound = bind(record.roles, names, record.bound)
    if names and (bound or not record.roles):
        return _resolved(record, names, bound, now)
    waits = _wait(record, now, LIST_WAITS)
    detail = listing.detail or f"none of these does it: {', '.join(names)}"
    if record.models:
        return record.to(record.state, now, record.reason, detail, **waits)
    reason = _LIST_REASONS.get(listing.kind, f"list_{listing.kind}")
    if listing.kind in (Listed.OK, Listed.EMPTY):
        return record.to(S.UNRESOLVABLE, now, reason, detail, **waits)
    return record.to(S.PROVISIONED, now, reason, detail, **waits)


def answered(record: Record, now: float, model: str = "") -> Record:
    """Return the record after a model answered well: the only proof there is. One that was withdrawn is
    back, and the models are to be listed."""
    if model in record.gone:
        gone = {name: at for name, at in record.gone.items() if name != model}
        return record.to(record.state, now, record.reason, record.detail, gone=gone, **_NO_WAIT)
    if record.state not in (S.RESOLVED, S.DEGRADED) or record.reason == "model_gone":
        return record
    return record.to(S.VERIFIED, now, verified_at=now)


def failed(record: Record, model: str, fault: Fault, now: float) -> Record:
    """Return the record after a refused call; the same record when the fault says nothing about it (a limit,
    an outage, a gateway's own supplier)."""
    if record.state not in USABLE:
        return record
    if model in record.models and _withdraws_model(fault):
        bound = {role: name for role, name in record.bound.items() if name != model}
        changes = {"gone": {**record.gone, model: now}, "bound": bound} | _NO_WAIT
        return record.to(S.DEGRADED, now, "model_gone", fault.excerpt, **changes)
    reason = _degraded_by(record, fault, now)
    if reason in ("", record.reason):
        return record
    return record.to(S.DEGRADED, now, reason, fault.excerpt)


def _wait(
    record: Record, now: float, bounds: tuple[float, float], *, at_least: float = 0.0
) -> dict[str, Any]:
    """Return the changes of one more try: a wait that doubles within `bounds`, or `at_least` (seconds)."""
    wait = min(bounds[0] * 2.0 ** min(record.tries, 60), bounds[1])
    return {"tries": record.tries + 1, "next_at": now + max(min(at_least, _DAY), wait)}


def _resolved(record: Record, names: tuple[str, ...], bound: dict[str, str], now: float) -> Record:
    """Return the record with the models of a good list; in its old state where that changes no binding."""
    changes: dict[str, Any] = {"bound": bound, "models": names} | _NO_WAIT
    if len(bound) < len(record.roles):
        changes |= _wait(record, now, LIST_WAITS)
    if record.models and bound == record.bound and record.reason != "model_gone":
        return record.to(record.state, now, record.reason, record.detail, **changes)
    return record.to(S.RESOLVED, now, **changes)


def _is_gone(at: float, now: float) -> bool:
    """Return whether a model that was withdrawn `at` is not tried yet, also if it is listed."""
    return -CLOCK_SLACK <= now - at < _GONE_FOR


def _withdraws_model(fault: Fault) -> bool:
    """Return whether a fault says that the model is gone for this key."""
    if fault.kind is FaultClass.NOT_ENTITLED:
        return fault.scope is Scope.KEY_MODEL
    return fault.kind is FaultClass.MODEL_UNAVAILABLE


def _degraded_by(record: Record, fault: Fault, now: float) -> str:
    """Return why a fault degrades a record; empty when it does not."""
    of_the_account = fault.scope is not Scope.KEY_MODEL
    if of_the_account and fault.kind in (FaultClass.QUOTA_EXHAUSTED, FaultClass.QUOTA_WINDOW):
        return "budget"
    if fault.kind not in AUTH_FAULTS or not fault.sent:
        return ""
    lasting = record.reason == "key_suspect" and now - record.since >= _SUSPECT_FOR
    # A call tests a key that worked before it ends with this fault, so words too were said twice.
    final = fault.terminal or fault.kind is FaultClass.AUTH_EXPIRED
    if final or lasting or record.verified_at is None or record.reason == "key_dead":
        return "key_dead"
    return "key_suspect"
