"""Finds the model that a form names (multipart/form-data, RFC 7578): that of a sound to be written down, or
of an image to be edited. To replace it, its bytes are replaced; every other byte stays."""

from __future__ import annotations

import re

from .request_body import UNREAD, RequestInfo

_NAME = re.compile(rb'content-disposition:[^\r\n]*;[ \t]*name="?model"?[ \t]*(?:\r\n|\Z)', re.IGNORECASE)
_LONGEST_BOUNDARY, _LONGEST_HEAD, _LONGEST = 72, 4096, 400
_MOST_PARTS = 100


def inspect_form(body: bytes) -> RequestInfo:
    """Read a form. Nothing is known of one that names no model, or two, or that is no whole form."""
    boundary, _, _ = body[:_LONGEST_BOUNDARY].partition(b"\r\n")
    if not boundary.startswith(b"--") or len(boundary) < 3:
        return UNREAD
    delimiter, start, spans = b"\r\n" + boundary, len(boundary), []
    for _ in range(_MOST_PARTS):
        if body.startswith(b"--", start):
            break
        end = body.find(delimiter, start)
        if end < 0 or not body.startswith(b"\r\n", start):
            return UNREAD
        head, blank, _ = body[start : min(end, start + _LONGEST_HEAD)].partition(b"\r\n\r\n")
        if blank and _NAME.search(head):
            spans.append((start + len(head) + len(blank), end))
        start = end + len(delimiter)
    if len(spans) != 1:
        return UNREAD
    value = body[slice(*spans[0])]
    if not 0 < len(value) <= _LONGEST or value.startswith(b'"'):
        return UNREAD
    return RequestInfo(value.decode("utf-8", "replace"), span=spans[0])
