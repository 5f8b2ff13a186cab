"""The errors that a provider reports inside of its answer, and the end of an answer that has no end.

The class is what the event itself says; the words count only where many providers use the same ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..core.faults import FaultClass
from ..values.secret import redact
from .events import BrokenOff
from .lenient import count_of, members_of, text_of, words_of

_K = FaultClass
_LONGEST = 1_000
_CLASSES = {
    _K.RATE_LIMITED: "rate_limit_error rate_limit_exceeded rate_limited too_many_requests 429",
    _K.QUOTA_EXHAUSTED: "insufficient_quota billing_error billing_hard_limit_reached 402",
    _K.PROVIDER_UNAVAILABLE: "overloaded_error overloaded server_is_overloaded slow_down 503 529",
    _K.CONTEXT_OVERFLOW: "context_length_exceeded model_context_window_exceeded",
    _K.CONTENT_BLOCKED: "content_filter content_policy_violation content_policy_error cyber_policy",
    _K.AUTH_REJECTED: "authentication_error invalid_api_key 401",
    _K.NOT_ENTITLED: "permission_error 403",
    _K.MODEL_UNAVAILABLE: "not_found_error model_not_found 404",
    _K.BAD_REQUEST: "invalid_request_error invalid_prompt bad_request 400",
    _K.TRANSIENT: "api_error server_error internal_error internal_server_error timeout_error 500 502 504",
}
_CLASS_OF = {code: kind for kind, codes in _CLASSES.items() for code in codes.split()}
_CODES = ("code", "type", "status_code", "error_code")
_WORDS = ("message", "detail", "msg", "status_msg", "error_msg")
_INNER = ("error", "base_resp", "errors", "x_groq")
"""Members of an event in which the error is."""
_OVERFLOW = re.compile(r"prompt is too long|exceed\w* (?:the )?context|maximum context length", re.IGNORECASE)


class Senseless(Exception):
    """Ends the reading of an answer."""

    def __init__(self, broken: BrokenOff) -> None:
        super().__init__(broken.text)
        self.broken = broken


def reported(error: object) -> BrokenOff:
    """Return the end of an answer in which the provider reports an error: an object with `code`, `type` and
    `message`, or a bare sentence."""
    members = members_of(error)
    codes = [_code(members.get(name)) for name in _CODES]
    message = text_of(error) or next(filter(None, (words_of(members.get(name)) for name in _WORDS)), "")
    kind = next((_CLASS_OF[code] for code in codes if code in _CLASS_OF), _K.TRANSIENT)
    if _OVERFLOW.search(message[:_LONGEST]):
        kind = _K.CONTEXT_OVERFLOW
    shown = redact(message[:_LONGEST] or "the provider reported an error", limit=_LONGEST)
    return BrokenOff(shown, kind, redact(next(filter(None, codes), ""), limit=80))


def report_in(event: Mapping[str, Any]) -> BrokenOff:
    """Return the end of an answer by an event that `failure_reports.is_report` is true of."""
    inner = next((event[name] for name in _INNER if event.get(name)), event)
    if isinstance(inner, list):
        inner = inner[0]
    return reported(members_of(inner).get("error") or inner)


def _code(value: object) -> str:
    """Return a code, which some providers give as a number."""
    return text_of(value)[:_LONGEST] or str(count_of(value) or "")


def ended_without(missing: str) -> BrokenOff:
    """Return the end of an answer that ended without `missing`."""
    return BrokenOff(f"the provider's answer ended without {missing}", _K.TRANSIENT, "truncated")


def senseless(what: str) -> BrokenOff:
    """Return the end of an answer that contradicts itself, or that nobody can act on."""
    return BrokenOff(f"the provider's answer {what}", _K.TRANSIENT, "malformed_answer")


def unknown(what: str, name: str) -> BrokenOff:
    """Return the end of an answer in which something has no counterpart in the caller's dialect."""
    text = f"the provider's answer {what} '{name[:80]}', which cannot be translated"
    return BrokenOff(redact(text), _K.UNKNOWN, "untranslatable")
