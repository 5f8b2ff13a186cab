"""Whether a document, or an event of a stream, reports that the request failed, in the ways of all APIs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FINE = (None, "", 0, "0", 200, "200", "ok", "OK", "success", "Success", False)
"""Codes with which a wrapper says that nothing is wrong."""
_OUTPUT = ("choices", "delta", "message", "content", "output", "response", "item", "content_block", "part")
_CODES = ("code", "error_code", "errorCode", "status_code", "statusCode", "status")
_WORDS = ("message", "msg", "error_msg", "errorMsg", "detail")
_FAILING = ("error", "failed", "fail", "failure")
_LEAST_STATUS = 400


def reports_failure(document: Mapping[str, Any]) -> bool:
    """Return whether a document or an event reports an error of its own, whatever else it holds."""
    if document.get("error") or document.get("object") == "error" or document.get("type") == "error":
        return True
    base, groq = document.get("base_resp"), document.get("x_groq")
    if isinstance(groq, dict) and groq.get("error"):
        return True
    return isinstance(base, dict) and base.get("status_code") not in (None, 0, "0")


def is_report(event: Mapping[str, Any]) -> bool:
    """Return whether an event reports an error, or has no output and says in its place that the request
    failed: `errors`, `"success": false`, a `detail`, or a code and words."""
    if reports_failure(event):
        return True
    if any(isinstance(event.get(name), dict | list) and event[name] for name in _OUTPUT):
        return False
    if event.get("errors") or event.get("success") is False:
        return True
    if not any(isinstance(event.get(name), str | list) and event[name] for name in _WORDS):
        return False
    if event.get("detail") or str(event.get("type")).endswith("error"):
        return True
    return any(_fails(name, event.get(name)) for name in _CODES)


def _fails(name: str, code: object) -> bool:
    """Return whether a member says that something is wrong. A status is one of HTTP's, or a word."""
    if not isinstance(code, str | int) or code in _FINE:
        return False
    if not name.lower().startswith("status"):
        return True
    number = int(code) if str(code).isdecimal() else 0
    return number >= _LEAST_STATUS or str(code).lower() in _FAILING
