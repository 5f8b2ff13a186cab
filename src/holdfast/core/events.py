"""What the journal holds: attempts and changes, append-only, in plain words and without secrets. `why` reads nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from .faults import Confidence, Fault, FaultClass, Origin, Phase, Scope
from .steps import Attempt


class EventKind(StrEnum):
    """What happened."""

    ATTEMPT = "attempt"
    CREATED = "created"
    RESUMED = "resumed"
    SWITCHED = "switched"
    REFUSED = "refused"
    STOOD_IN = "stood-in"
    RETURNED = "returned"
    KEY_CHANGED = "key-changed"
    TRUNCATED = "truncated"
    HEALED = "healed"
    RENAMED = "renamed"
    REMOVED = "removed"
    MODEL_DIFFERS = "model-differs"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal. `detail` holds JSON values only; `at` is epoch seconds of the store's clock."""

    at: float
    kind: EventKind
    session: str
    request: str = ""
    pin: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)


def attempt_event(attempt: Attempt, session: str, request: str) -> Event:
    """An attempt as the journal keeps it: which connection, what came of it, why the next step was taken."""
    connection = attempt.connection
    detail: dict[str, object] = {
        "number": attempt.number,
        "key": connection.key.label if connection.key is not None else None,
        "url": connection.endpoint.url,
        "dialect": str(connection.dialect),
        "seconds": round(attempt.ended_at - attempt.sent_at, 4),
    }
    if attempt.probe:
        detail["probe"] = True
    if attempt.fault is not None:
        detail |= {"fault": dump_fault(attempt.fault), "then": attempt.then}
    return Event(attempt.sent_at, EventKind.ATTEMPT, session, request, f"{connection.provider.name}/{connection.model}", detail)


_PLAIN = Fault(FaultClass.UNKNOWN)


def dump_fault(fault: Fault) -> dict[str, object]:
    """A fault as JSON values, without the fields that say nothing."""
    usual = asdict(_PLAIN)
    return {"kind": str(fault.kind)} | {name: value for name, value in asdict(fault).items() if name != "kind" and value != usual[name]}


def load_fault(data: Mapping[str, object]) -> Fault:
    """The fault that `dump_fault` wrote. Raises KeyError or ValueError for anything else."""
    known: dict[str, object] = {name: data[name] for name in asdict(_PLAIN) if name in data}
    read = {"kind": FaultClass, "scope": Scope, "origin": Origin, "phase": Phase, "confidence": Confidence, "signs": tuple}
    for name, make in read.items():
        if name in known:
            known[name] = make(known[name])
    return Fault(**known)  # type: ignore[arg-type]
