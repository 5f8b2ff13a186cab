"""Our own headers of an answer."""

from __future__ import annotations

from collections.abc import Callable

from ..core.steps import Call, Outcome
from ..wire.error_bodies import retry_headers


def headers_of(outcome: Outcome, call: Call, differs: str, now: Callable[[], float]) -> dict[str, str]:
    """Return the headers that we add to the answer: the connection, the number of sends, the model that
    answered where it `differs`, and after a fault the advice not to retry (law 10)."""
    key = outcome.connection.key
    headers = {
        "holdfast-request-id": call.request_id,
        "holdfast-session": call.session,
        "holdfast-pin": str(outcome.connection.pin),
        "holdfast-attempts": str(outcome.sends),
    }
    if key is not None:
        headers["holdfast-key"] = key.label
    if differs:
        headers["holdfast-answered-model"] = differs
    if outcome.active_fallback:
        headers["holdfast-fallback"] = str(outcome.connection.pin)
    if outcome.fault is not None:
        headers["holdfast-fault"] = str(outcome.fault.kind)
        headers |= retry_headers(outcome.fault, now())
    return headers
