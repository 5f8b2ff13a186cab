"""Why a provisioned key cannot be used, as an error: a reason for programs, a sentence and a command for
people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from ..core.errors import NotReady
from ..core.provisioning_state import USABLE, Capability, Record, State


class _Row(NamedTuple):
    """A sentence and a command for a state, with `{name}` for the provider. `cause` is the record's reason,
    "" any; `reason` is the error's."""

    state: State
    cause: str
    reason: str
    what: str
    command: str


S = State
_CONSENT = "holdfast provision {name} --accept"
_AGAIN = f"{_CONSENT} --again   (a key was made before: you may pay for a second one)"
_REPAIR = "holdfast provision repair {name}"
_RESOLVE = "holdfast provision resolve {name}"
_SET_ROLE = f"{_RESOLVE} --role ROLE=PATTERN"
# The first row with the record's state and reason counts.
_ROWS = (
    _Row(
        S.ABSENT,
        cause="mint_refused",
        reason="refused",
        what="no key was given for '{name}'",
        command=_CONSENT,
    ),
    _Row(
        S.ABSENT,
        cause="",
        reason="consent_needed",
        what="'{name}' has no key, and obtaining one needs your consent",
        command=_CONSENT,
    ),
    _Row(
        S.INTENT,
        cause="",
        reason="mint_unknown",
        what="a key was requested and there is no response yet; the same request is repeated",
        command=_CONSENT,
    ),
    _Row(
        S.AMBIGUOUS,
        cause="",
        reason="needs_operator",
        what="a key was requested, it is unknown whether it was made, and it cannot be requested twice",
        command=_REPAIR,
    ),
    _Row(
        S.PROVISIONED,
        cause="key_refused",
        reason="key_refused",
        what="'{name}' has a key, and listing models with it is refused",
        command=_REPAIR,
    ),
    _Row(
        S.PROVISIONED,
        cause="",
        reason="model_unresolved",
        what="'{name}' has a key, and its models are not known yet",
        command=_RESOLVE,
    ),
    _Row(
        S.UNRESOLVABLE,
        cause="",
        reason="model_unresolved",
        what="'{name}' has a key and no model for its roles",
        command=_SET_ROLE,
    ),
    _Row(
        S.DEGRADED,
        cause="key_dead",
        reason="needs_operator",
        what="the key of '{name}' is no longer accepted",
        command=_REPAIR,
    ),
    _Row(
        S.DEGRADED,
        cause="model_gone",
        reason="model_withdrawn",
        what="the model of '{name}' was withdrawn, and no other fits",
        command=_SET_ROLE,
    ),
    _Row(
        S.RETIRED,
        cause="",
        reason="retired",
        what="'{name}' was retired by its operator",
        command=_CONSENT,
    ),
)
_WAITING = frozenset({S.ABSENT, S.INTENT, S.PROVISIONED, S.UNRESOLVABLE, S.DEGRADED})
"""States in which the record's `next_at` is the time of the next attempt."""


def obstacle(record: Record, role: str = "") -> NotReady | None:
    """Return why this record's key cannot be used now (for this role, if one is named); None when it can."""
    dead = record.reason == "key_dead" or (record.reason == "model_gone" and not record.bound)
    if record.state not in USABLE or dead:
        row = next(row for row in _ROWS if row.state is record.state and row.cause in ("", record.reason))
        command = row.command
        if record.capability is Capability.ONE_SHOT and record.minted:
            command = command.replace(_CONSENT, _AGAIN)
        what, command = row.what.format(name=record.name), command.format(name=record.name)
        return _error(record, row.reason, what, command)
    if not role and record.roles and not record.bound:
        role = record.roles[0].name
    if not role or role in record.bound:
        return None
    what = f"'{record.name}' has no model for the role '{role}'"
    command = f"holdfast provision resolve {record.name} --role {role}=PATTERN"
    return _error(record, "model_unresolved", what, command)


def _error(record: Record, reason: str, what: str, command: str) -> NotReady:
    retry_at, details = None, []
    if record.state in _WAITING and record.next_at:
        retry_at = record.next_at
        clock = datetime.fromtimestamp(retry_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        command = f"{command}   (asked again from {clock} on)"
    if record.detail:
        details = [record.detail]
    return NotReady(what, reason=reason, retry_at=retry_at, details=details, next_step=command)
