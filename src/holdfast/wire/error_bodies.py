"""A fault as the caller's SDK is to see it: status, type and code of its dialect, the four lines as the
message, and the machine's part beside them. Nothing is decided here (docs/reference/library.md says what an
SDK sees)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import NamedTuple

from ..core.explain import Explanation
from ..core.faults import Fault, FaultClass
from ..core.identity import Dialect
from ..core.steps import Attempt
from ..engine.journal import attempt_event
from ..store.stored_events import stored

C = FaultClass


class ClientError(NamedTuple):
    """What a client's SDK is to see."""

    status: int
    openai_type: str
    openai_code: str
    anthropic_type: str


_OUTWARD: dict[FaultClass, ClientError] = {
    C.AUTH_REJECTED: ClientError(401, "authentication_error", "auth_rejected", "authentication_error"),
    C.AUTH_EXPIRED: ClientError(401, "authentication_error", "auth_expired", "authentication_error"),
    C.NOT_ENTITLED: ClientError(403, "permission_error", "not_entitled", "permission_error"),
    C.BLOCKED: ClientError(403, "permission_error", "blocked", "permission_error"),
    C.QUOTA_EXHAUSTED: ClientError(429, "insufficient_quota", "insufficient_quota", "billing_error"),
    C.QUOTA_WINDOW: ClientError(429, "insufficient_quota", "insufficient_quota", "rate_limit_error"),
    C.RATE_LIMITED: ClientError(429, "rate_limit_error", "rate_limit_exceeded", "rate_limit_error"),
    C.PROVIDER_UNAVAILABLE: ClientError(503, "server_error", "provider_unavailable", "overloaded_error"),
    C.TRANSIENT: ClientError(502, "server_error", "transient", "api_error"),
    C.MODEL_UNAVAILABLE: ClientError(404, "invalid_request_error", "model_not_found", "not_found_error"),
    C.ENDPOINT_MISMATCH: ClientError(
        400, "invalid_request_error", "endpoint_mismatch", "invalid_request_error"
    ),
    C.CONTEXT_OVERFLOW: ClientError(
        400, "invalid_request_error", "context_length_exceeded", "invalid_request_error"
    ),
    C.CONTENT_BLOCKED: ClientError(400, "invalid_request_error", "content_filter", "invalid_request_error"),
    C.BAD_REQUEST: ClientError(400, "invalid_request_error", "bad_request", "invalid_request_error"),
    C.UNKNOWN: ClientError(502, "server_error", "unknown", "api_error"),
}
_ANTHROPIC_STATUS = {C.QUOTA_EXHAUSTED: 400, C.PROVIDER_UNAVAILABLE: 529}
_TIMEOUTS = (408, 504, 524)
_LONGEST_RETRY = 60.0


def outward(fault: Fault, dialect: Dialect = Dialect.OPENAI_CHAT) -> ClientError:
    """Status and types by which a client of `dialect` acts rightly on `fault`."""
    row = _OUTWARD[fault.kind]
    if fault.kind is C.TRANSIENT and (fault.status in _TIMEOUTS or fault.cause == "timeout"):
        return row._replace(status=504)
    return (
        row._replace(status=_ANTHROPIC_STATUS.get(fault.kind, row.status))
        if dialect is Dialect.ANTHROPIC_MESSAGES
        else row
    )


def error_body(
    dialect: Dialect,
    fault: Fault,
    explanation: Explanation,
    *,
    request_id: str,
    session: str,
    pin: str,
    attempts: Sequence[Attempt],
    now: float,
) -> tuple[int, bytes]:
    """Status and body of our own answer: the four lines as the message, and the machine's part beside it
    under `holdfast`."""
    status, openai_type, code, anthropic_type = outward(fault, dialect)
    events = [attempt_event(one, session, request_id) for one in attempts]
    machine = {
        "class": fault.kind,
        "pin": pin,
        "key": events[-1].detail.key if events else None,
        "session": session,
        "request_id": request_id,
        "from": fault.origin,
        "from_memory": not events,
        "reset_at": fault.reset_at if fault.reset_at is not None and fault.reset_at > now else None,
        "provider_status": fault.status,
        "provider_request_id": fault.request_id,
        "next_step": explanation.next_step,
        "attempts": [{"pin": one.pin, **stored(one.detail)} for one in events],
    }
    error = {"message": str(explanation), "holdfast": machine}
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        return status, json.dumps(
            {"type": "error", "error": {"type": anthropic_type, **error}, "request_id": request_id}
        ).encode()
    return status, json.dumps({"error": {"type": openai_type, "param": None, "code": code, **error}}).encode()


def retry_headers(fault: Fault, now: float) -> dict[str, str]:
    """What we say about retrying: nobody should (law 10), except after a throttle that ends within a minute.
    SDKs sleep as long as they are told, so a longer wait never stands in retry-after; the true reset stands
    in a header of ours."""
    wait = (
        fault.reset_at - now
        if fault.reset_at is not None
        else fault.retry_after
        if fault.retry_after is not None
        else math.inf
    )
    told = {"holdfast-reset-at": str(math.ceil(now + wait))} if 0 < wait < math.inf else {}
    if fault.kind is C.RATE_LIMITED and -math.inf < wait <= _LONGEST_RETRY:
        return told | {"retry-after": str(max(1, math.ceil(wait)))}
    return told | {"x-should-retry": "false"}
