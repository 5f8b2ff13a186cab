"""The answers that a client gets for errors, the same from the library and from the gateway: status, headers,
and the error in the shape that the SDK of its dialect reads, as a body or as the event that ends a stream.

An error of ours, a provider's fault or a refusal becomes one `ClientError`; the library and the gateway only
write it out. The table of statuses and codes is in `error_kinds`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ..core.errors import HoldfastError, NotReady, SourceSilent, message_of
from ..core.explain import Explanation
from ..core.faults import Fault, FaultClass, Phase
from ..core.identity import Dialect
from ..core.steps import Refused
from ..values.plain_text import plain, plain_values
from .error_kinds import ERRORS, FAULTS, NOT_OFFERED, REFUSALS, SILENT, TIMED_OUT, UNREADABLE, ErrorKind

_TIMEOUTS = (408, 504, 524)
_LONGEST_RETRY = 60.0
"""Seconds: no `retry-after` holds a longer wait, since there are programs that sleep that long."""
_SILENT_RETRY = 5.0
"""Seconds after which to come back to a silent source that does not say when it is asked again."""
_JSON = {"content-type": "application/json"}
_NO_RETRY = {"x-should-retry": "false"}
_DEFAULT_STEP = "holdfast doctor"
_ID_HEADERS = {
    Dialect.OPENAI_CHAT: "x-request-id",
    Dialect.OPENAI_RESPONSES: "x-request-id",
    Dialect.ANTHROPIC_MESSAGES: "request-id",
}
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ClientError:
    """An error as a client gets it. `details` is the part for programs: `error.holdfast` in every dialect."""

    kind: ErrorKind
    message: str
    details: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=lambda: _JSON | _NO_RETRY)
    request_id: str = ""

    def status(self, dialect: Dialect) -> int:
        """Return the HTTP status for a client of `dialect`."""
        if dialect is Dialect.ANTHROPIC_MESSAGES:
            return self.kind.anthropic_status
        return self.kind.status

    def headers_for(self, dialect: Dialect, theirs: Iterable[bytes] = ()) -> Mapping[str, str]:
        """Return the headers for a client of `dialect`: with the request's id where its SDK looks for it,
        unless the provider's own id is there, among the headers that are called `theirs`."""
        name = _ID_HEADERS[dialect]
        if not self.request_id or name.encode("ascii") in {each.lower() for each in theirs}:
            return self.headers
        return {**self.headers, name: self.request_id}

    def with_provider_error(self, body: bytes) -> ClientError:
        """Return the same with the provider's answer, if that is JSON, as `provider_error` for programs."""
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            return self
        return replace(self, details={**self.details, "provider_error": answer})

    def body(self, dialect: Dialect) -> bytes:
        """Return the whole body of an answer, as JSON."""
        return json.dumps(self._value(dialect)).encode()

    def event(self, dialect: Dialect) -> bytes:
        """Return the event by which an SDK of `dialect` raises, for a client that was promised a stream."""
        value = self._value(dialect)
        if dialect is Dialect.OPENAI_CHAT:
            return f"data: {json.dumps(value)}\n\n".encode()
        if dialect is Dialect.OPENAI_RESPONSES:
            # Its SDK hands an event out as data unless it has a member `error`; the API's own event has the
            # others.
            value |= {"type": "error", "code": self.kind.code, "message": plain(self.message), "param": None}
        return f"event: error\ndata: {json.dumps(value)}\n\n".encode()

    def _value(self, dialect: Dialect) -> dict[str, Any]:
        machine = plain_values({"class": self.kind.name, **self.details})
        common: dict[str, Any] = {"message": plain(self.message), "holdfast": machine}
        if dialect is not Dialect.ANTHROPIC_MESSAGES:
            return {"error": {"type": self.kind.openai_type, "code": self.kind.code, "param": None, **common}}
        error = {"type": self.kind.anthropic_type, **common}
        return {"type": "error", "error": error, "request_id": self.request_id or None}


def from_error(error: HoldfastError) -> ClientError:
    """Return an error of our own as a client gets it."""
    details = {"next_step": error.next_step or _DEFAULT_STEP, **error.facts()}
    headers = _JSON | _NO_RETRY
    if isinstance(error, NotReady | SourceSilent) and error.retry_at not in (None, math.inf):
        headers["holdfast-reset-at"] = str(math.ceil(error.retry_at))
    if isinstance(error, SourceSilent):
        headers["retry-after"] = _after(math.inf)
    return ClientError(kind_of_error(error), error.message(_DEFAULT_STEP), details, headers)


def kind_of_error(error: HoldfastError) -> ErrorKind:
    """Return the row of an error's class, or of its nearest base that has one."""
    if isinstance(error, Refused):
        return kind_of_fault(error.fault)
    names = [base.__name__ for base in type(error).__mro__]
    return next(ERRORS[name] for name in names if name in ERRORS)


def refusal(
    name: str,
    *,
    facts: Mapping[str, Any] = NOTHING,
    headers: Mapping[str, str] = NOTHING,
    **words: object,
) -> ClientError:
    """Return the refusal `name` of the table, its sentence filled in with `words`.

    `facts` are added to the part for programs, `headers` to the answer.
    """
    row = REFUSALS[name]
    what, command, advice = (text.format_map(words) for text in (row.sentence, row.command, row.advice))
    lines = []
    if advice:
        lines.append(f"next: {advice}")
    details = {"next_step": command or advice, **facts}
    return ClientError(row.kind, message_of(what, lines, command), details, {**_JSON, **_NO_RETRY, **headers})


def unreadable(status: int, what: str) -> ClientError:
    """Return the refusal of a request that cannot be read as HTTP, or is too large for it."""
    return refusal(UNREADABLE[status], what=what)


def kind_of_fault(fault: Fault) -> ErrorKind:
    """Return the row of a fault's class; some causes have their own."""
    timed_out = fault.status in _TIMEOUTS or fault.cause == "timeout"
    if fault.kind is FaultClass.TRANSIENT and timed_out:
        return TIMED_OUT
    if _is_silence(fault):
        return SILENT
    if fault.cause == "no_route":
        return NOT_OFFERED
    return FAULTS[fault.kind]


def from_fault(
    fault: Fault,
    explanation: Explanation,
    attempts: Sequence[Mapping[str, Any]],
    labels: Mapping[str, str],
    *,
    session: str,
    pin: str,
    request_id: str,
    now: float,
) -> ClientError:
    """Return a provider's fault as a client gets it once recovery has ended: four lines for people, the same
    for programs.

    `attempts` are the request's sends as JSON values, `labels` the answer's headers, `now` is in epoch
    seconds.
    """
    reset_at, sent = fault.reset_at, any(attempt["number"] for attempt in attempts)
    if reset_at is not None and reset_at <= now:
        reset_at = None
    details = {
        "pin": pin,
        "key": labels.get("holdfast-key"),
        "session": session,
        "request_id": request_id,
        "from": fault.origin,
        "from_memory": not sent and fault.phase is not Phase.UNSENT,
        "reset_at": reset_at,
        "provider_status": fault.status,
        "provider_request_id": fault.request_id,
        "next_step": explanation.next_step,
        "attempts": list(attempts),
    }
    return ClientError(
        kind=kind_of_fault(fault),
        message=str(explanation),
        details=details,
        headers={**_JSON, **labels},
        request_id=request_id,
    )


def retry_headers(fault: Fault, now: float) -> dict[str, str]:
    """Return the headers that tell a client when a fault ends, and not to retry: what waiting could repair
    has been waited for here (law 10).

    After a throttle of at most a minute `retry-after` says how long it lasts, for programs that plan by it;
    after a silent source, when that is asked again.
    The true reset, however far away, is in `holdfast-reset-at`. `now` is in epoch seconds.
    """
    wait = _seconds_left(fault, now)
    headers = dict(_NO_RETRY)
    if 0 < wait < math.inf:
        headers["holdfast-reset-at"] = str(math.ceil(now + wait))
    if fault.kind is FaultClass.RATE_LIMITED and -math.inf < wait <= _LONGEST_RETRY:
        headers["retry-after"] = str(max(1, math.ceil(wait)))
    if _is_silence(fault):
        headers["retry-after"] = _after(wait)
    return headers


def _is_silence(fault: Fault) -> bool:
    return fault.phase is Phase.UNSENT and fault.kind is FaultClass.TRANSIENT


def _after(wait: float) -> str:
    """Return the seconds until a silent source is asked again, as `retry-after` holds them."""
    if wait == math.inf:
        wait = _SILENT_RETRY
    return str(max(1, math.ceil(min(wait, _LONGEST_RETRY))))


def _seconds_left(fault: Fault, now: float) -> float:
    """Return how long a fault lasts from `now` on; infinity where that is unknown."""
    if fault.reset_at is not None:
        return fault.reset_at - now
    if fault.retry_after is not None:
        return fault.retry_after
    return math.inf
