"""What the journal holds: attempts and changes, append-only, in plain words and without secrets. `why` reads
nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class EventKind(StrEnum):
    """What happened."""

    ATTEMPT = "attempt"
    USAGE = "usage"
    CREATED = "created"
    RESUMED = "resumed"
    SWITCHED = "switched"
    REFUSED = "refused"
    STOOD_IN = "stood-in"
    ANSWERS_AGAIN = "answers-again"
    RETURNED = "returned"
    KEY_CHANGED = "key-changed"
    TRUNCATED = "truncated"
    HEALED = "healed"
    RENAMED = "renamed"
    REMOVED = "removed"
    MODEL_DIFFERS = "model-differs"
    PROVISIONED = "provisioned"


class Event(NamedTuple):
    """One line of the journal. `detail` holds JSON values only; `at` is epoch seconds of the store's
    clock."""

    at: float
    kind: EventKind
    session: str
    request: str = ""
    pin: str = ""
    detail: Mapping[str, object] = MappingProxyType({})
