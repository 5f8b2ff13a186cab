"""Parses the body of an answer as JSON.

Where msgspec is installed, which the gateway brings, it does that in half the time. It refuses some texts
that Python's own parser takes, such as NaN or half of a surrogate pair; those are left to the latter, so that
every installation judges alike. A test compares them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

_BEFORE = "\ufeff \t\r\n"
"""A byte order mark and white space, which may stand before a value."""
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def parsed(body: bytes) -> Any:
    """Return the JSON value of a body, also with a byte order mark or a broken letter; None without one."""
    try:
        return _parse(body)
    except (ValueError, RecursionError):
        return parsed_leniently(body)


def parsed_leniently(body: bytes) -> Any:
    """Return the same by Python's own parser."""
    text = body.decode("utf-8", "replace").lstrip(_BEFORE)
    try:
        document, end = _scan(text, 0)
    except (ValueError, RecursionError, StopIteration):
        return None
    if end < len(text) and text[end:].strip():
        return None
    return document


_parse: Callable[[bytes], Any] = parsed_leniently
try:
    from msgspec.json import decode
except ImportError:
    pass
else:
    _parse = decode
