"""What stands in the way of a record, as the error that says so: a reason for programs, a sentence and a
command for people."""

from __future__ import annotations

from ..core.errors import NotReady
from ..core.provisioning_state import USABLE, Record, State

S = State
# (state, reason) -> what programs are told, what people are told, what to run. The first row that fits
# speaks; "" fits any reason.
_ROWS: tuple[tuple[State, str, str, str, str], ...] = (
    (
        S.ABSENT,
        "mint_refused",
        "refused",
        "no key was given for '{name}'",
        "holdfast provision {name} --accept",
    ),
    (
        S.ABSENT,
        "",
        "consent_needed",
        "'{name}' has no key, and nobody agreed to obtain one",
        "holdfast provision {name} --accept",
    ),
    (
        S.INTENT,
        "",
        "mint_unknown",
        "a key was asked for and no answer is known yet; the same request is repeated",
        "holdfast provision {name} --accept",
    ),
    (
        S.AMBIGUOUS,
        "",
        "needs_operator",
        "a key was asked for once, nobody knows if it was made, and it cannot be asked for twice",
        "holdfast provision repair {name}",
    ),
    (
        S.PROVISIONED,
        "key_refused",
        "key_refused",
        "'{name}' has a key, and listing models with it is refused",
        "holdfast provision repair {name}",
    ),
    (
        S.PROVISIONED,
        "",
        "model_unresolved",
        "'{name}' has a key, and its models are not known yet",
        "holdfast provision resolve {name}",
    ),
    (
        S.UNRESOLVABLE,
        "",
        "model_unresolved",
        "'{name}' has a key and no model for its roles",
        "holdfast provision resolve {name} --role ROLE=PATTERN",
    ),
    (
        S.DEGRADED,
        "key_dead",
        "needs_operator",
        "the key of '{name}' is not accepted any more",
        "holdfast provision repair {name}",
    ),
    (
        S.DEGRADED,
        "model_gone",
        "model_withdrawn",
        "the model of '{name}' was withdrawn, and no other fits",
        "holdfast provision resolve {name} --role ROLE=PATTERN",
    ),
    (S.RETIRED, "", "retired", "'{name}' was retired by its operator", "holdfast provision {name} --accept"),
)
_TIMED = frozenset({S.ABSENT, S.INTENT, S.PROVISIONED, S.UNRESOLVABLE, S.DEGRADED})


def obstacle(record: Record, role: str = "") -> NotReady | None:
    """Why nothing can be sent by this record now (for this role, if one is named); None when it can."""
    dead = record.reason == "key_dead" or (record.reason == "model_gone" and not record.bound)
    if record.state in USABLE and not dead:
        role = role or (record.roles[0].name if record.roles and not record.bound else "")
        if not role or role in record.bound:
            return None
        what = f"'{record.name}' has no model for the role '{role}'"
        return _error(
            record,
            "model_unresolved",
            what,
            f"holdfast provision resolve {record.name} --role {role}=PATTERN",
        )
    row = next(row for row in _ROWS if row[0] is record.state and row[1] in ("", record.reason))
    return _error(record, row[2], row[3].format(name=record.name), row[4].format(name=record.name))


def _error(record: Record, reason: str, what: str, command: str) -> NotReady:
    again = record.next_at if record.state in _TIMED and record.next_at else None
    return NotReady(
        what, reason=reason, retry_at=again, details=[record.told] if record.told else [], next_step=command
    )
