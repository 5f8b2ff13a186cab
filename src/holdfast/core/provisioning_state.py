"""A provider that a program sets up for its user (story 3): the record of it, how it may change, and what is
to be done next.

An intent is on disk before anything is asked for, so whatever happens a record tells what may have been
spent. A record heals with the key it has; only an intent with the user's consent obtains one; without a model
nothing is usable, and there is no default model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from .errors import IdentityError
from .faults import Fault, FaultClass, Phase, Reply, Scope
from .identity import ProviderName
from .model_roles import Listed, Listing, Role, bind, chats


class Capability(StrEnum):
    """What may be repeated when nobody knows whether a key was made: the same intent (we choose the key's
    value or an idempotency key), after a look at what is there (it can be found by name), nothing, the user's
    part, or everything (nothing is spent)."""

    REPLAYABLE = "replayable"
    RECONCILABLE = "reconcilable"
    ONE_SHOT = "one-shot"
    INTERACTIVE = "interactive"
    DERIVED = "derived"


class State(StrEnum):
    """Where a record stands."""

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
    """What is to be done next for a record."""

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
"""From which state a record may move into which. Nothing that has a key becomes absent, so nothing leads back
to a second trial."""
AFTER_UNKNOWN = dict(
    zip(C, (Step.REPLAY, Step.RECONCILE, Step.ASK_OPERATOR, Step.ASK_CONSENT, Step.REPLAY), strict=True)
)
MINT_WAITS, LIST_WAITS = (60.0, 3600.0), (30.0, 900.0)
"""Seconds: the first wait after a failure, doubled each time up to the second."""
_WAITS = frozenset({Step.MINT, Step.REPLAY, Step.RECONCILE, Step.LIST_MODELS})
"""Steps that wait for `next_at`."""
_SUSPECT_FOR = 600.0
_DOUBTFUL = frozenset({408, 409, 425})
_TEXT = 300


class Minted(StrEnum):
    """What an answer to a mint says: a key was made, none was, or it does not tell."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Consent:
    """Who agreed to what, in the words that were shown, and when (epoch seconds)."""

    what: str
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class Record:
    """One row, never a secret. `key` is a reference, `url` what the key was granted for; both and the models
    belong to one `epoch`. `minted` counts the keys that may have been made; `next_at` is when the next
    attempt may be made; `reason` is for programs."""

    name: ProviderName
    kind: str
    capability: Capability
    state: State = State.ABSENT
    reason: str = ""
    told: str = ""
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
    gone: tuple[str, ...] = ()
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
        """The roles that no model does yet."""
        return tuple(role.name for role in self.roles if role.name not in self.bound)

    def to(self, state: State, now: float, reason: str = "", told: str = "", **changes: Any) -> Record:
        """The record in its next state. Raises ValueError for a move that `MOVES` does not have."""
        if state not in MOVES[self.state]:
            raise ValueError(f"'{self.name}' cannot go from {self.state} to {state}")
        since = self.since if (state, reason) == (self.state, self.reason) else now
        return replace(
            self,
            state=state,
            reason=reason,
            told=told[:_TEXT],
            since=since,
            version=self.version + 1,
            **changes,
        )


def next_step(record: Record, now: float, *, consent: bool = False) -> Step:
    """What comes next; asked by whoever holds the record's lease, so an intent that is found belongs to
    nobody who still works at it. `consent`: the user agrees now. Nothing here obtains a key without that, and
    a one-shot key is never asked for twice."""
    step = _step(record, consent=consent)
    if step in _WAITS and now < record.next_at:
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
    """The record that must be on disk before a key is asked for. It counts the key as made: only a definite
    refusal takes that back."""
    return record.to(
        S.INTENT, now, intent=intent, intent_at=now, epoch=record.epoch + 1, minted=record.minted + 1
    )


def awaits(record: Record, intent: str) -> bool:
    """Whether a reply belongs to this record: also a late one, of a process that lost its lease meanwhile (it
    has been paid for)."""
    return record.intent == intent and record.state in (S.INTENT, S.AMBIGUOUS)


def granted(record: Record, now: float, *, url: str, key: str, expires_at: float | None = None) -> Record:
    """A key came. Whatever was bound belonged to the key before it, and is void in the same step."""
    void: dict[str, Any] = {
        "bound": {},
        "models": (),
        "gone": (),
        "verified_at": None,
        "tries": 0,
        "next_at": 0.0,
    }
    return record.to(S.PROVISIONED, now, url=url, key=key, expires_at=expires_at, **void)


def _wait(record: Record, now: float, bounds: tuple[float, float], told: float) -> dict[str, Any]:
    return {
        "tries": record.tries + 1,
        "next_at": now + max(told, min(bounds[0] * 2.0**record.tries, bounds[1])),
    }


def minted(reply: Reply) -> Minted:
    """Return what an answer to a mint says about the key. A request that was never sent made none."""
    if reply.status is None:
        return Minted.NO if reply.phase is Phase.CONNECT else Minted.UNKNOWN
    if 200 <= reply.status < 300:
        return Minted.YES
    if 400 <= reply.status < 500 and reply.status not in _DOUBTFUL:
        return Minted.NO
    return Minted.UNKNOWN


def refused(record: Record, now: float, told: str, fault: Fault | None = None, window: float = 0.0) -> Record:
    """The mint was refused, or never sent: nothing was made. A limit is waited out at least for the `window`
    in which attempts count."""
    limited = fault is not None and fault.kind in (FaultClass.RATE_LIMITED, FaultClass.QUOTA_WINDOW)
    wait = 0.0
    if fault is not None:
        wait = fault.retry_after or 0.0
    if limited:
        wait = max(wait, window)
    waits = _wait(record, now, MINT_WAITS, wait)
    return record.to(S.ABSENT, now, "mint_refused", told, minted=record.minted - 1, intent="", **waits)


def unknown(record: Record, now: float, told: str) -> Record:
    """Nobody knows whether a key was made. What may be repeated stays an intent; a one-shot mint stops here,
    for its operator."""
    if AFTER_UNKNOWN[record.capability] is Step.ASK_OPERATOR:
        return record.to(S.AMBIGUOUS, now, "mint_unknown", told)
    if record.capability is C.INTERACTIVE:
        return record.to(S.ABSENT, now, "interrupted", told, intent="", minted=record.minted - 1)
    return record.to(S.INTENT, now, "mint_unknown", told, **_wait(record, now, MINT_WAITS, 0.0))


def listed(record: Record, listing: Listing, now: float) -> Record:
    """What a model list makes of a record. A list that could not be had changes no binding, and an empty one
    overwrites none."""
    names = tuple(name for name in chats(listing.offers) if name not in record.gone)
    bound = bind(record.roles, names, record.bound)
    if names and (bound or not record.roles):
        waits: dict[str, Any] = {"tries": 0, "next_at": 0.0}
        if len(bound) < len(record.roles):
            waits = _wait(record, now, LIST_WAITS, 0.0)
        unchanged = bool(record.models) and bound == record.bound and record.reason != "model_gone"
        if unchanged:
            return record.to(
                record.state, now, record.reason, record.told, bound=bound, models=names, **waits
            )
        return record.to(S.RESOLVED, now, bound=bound, models=names, **waits)
    reason = {
        Listed.OK: "no_model_fits",
        Listed.EMPTY: "no_model_allowed",
        Listed.REFUSED: "key_refused",
    }.get(listing.kind, f"list_{listing.kind}")
    told = listing.told or f"none of these does it: {', '.join(names)}"
    waits = _wait(record, now, LIST_WAITS, 0.0)
    if record.models:
        return record.to(record.state, now, record.reason, told, **waits)
    if listing.kind in (Listed.OK, Listed.EMPTY):
        return record.to(S.UNRESOLVABLE, now, reason, told, **waits)
    return record.to(S.PROVISIONED, now, reason, told, **waits)


def answered(record: Record, now: float) -> Record:
    """Return the record after a model answered well: the only proof there is."""
    if record.state not in (S.RESOLVED, S.DEGRADED) or record.reason == "model_gone":
        return record
    return record.to(S.VERIFIED, now, verified_at=now)


def failed(record: Record, model: str, fault: Fault, now: float) -> Record:
    """Return the record after a refused call; the same record when the fault tells nothing about it (a limit,
    an outage, a gateway's own supplier)."""
    if record.state not in USABLE:
        return record
    if model in record.models and _withdraws_model(fault):
        bound = {role: name for role, name in record.bound.items() if name != model}
        gone = (*record.gone, model)
        return record.to(S.DEGRADED, now, "model_gone", fault.excerpt, gone=gone, bound=bound)
    reason = _degraded_by(record, fault, now)
    if reason in ("", record.reason):
        return record
    return record.to(S.DEGRADED, now, reason, fault.excerpt)


def _withdraws_model(fault: Fault) -> bool:
    """Return whether a fault says that the model is gone for this key."""
    if fault.kind is FaultClass.NOT_ENTITLED:
        return fault.scope is Scope.KEY_MODEL
    return fault.kind is FaultClass.MODEL_UNAVAILABLE


def _degraded_by(record: Record, fault: Fault, now: float) -> str:
    """Return why a fault degrades a record; empty when it does not."""
    if fault.kind in (FaultClass.QUOTA_EXHAUSTED, FaultClass.QUOTA_WINDOW):
        return "budget"
    if fault.kind not in (FaultClass.AUTH_REJECTED, FaultClass.AUTH_EXPIRED) or not fault.sent:
        return ""
    lasting = record.reason == "key_suspect" and now - record.since >= _SUSPECT_FOR
    final = fault.terminal or fault.kind is FaultClass.AUTH_EXPIRED
    if final or lasting or record.verified_at is None or record.reason == "key_dead":
        return "key_dead"
    return "key_suspect"
