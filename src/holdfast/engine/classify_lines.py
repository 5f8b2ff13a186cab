"""Answers in, classes out, one JSON line each: what `holdfast classify` runs, and `python -m
holdfast.engine.classify_lines < answers.jsonl`.

A line is `{provider, status, headers, body[, phase][, host][, context]}` as in `tests/replies/`; `status`
null means that there was no HTTP answer and `body` is the exception as `Class: message`. A malformed line
yields `{"error": …}`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..core.classify import classify, weigh
from ..core.faults import Fault, Phase, Reply
from ..core.response_parser import LONGEST_BODY
from ..providers import profiles


def classify_lines(
    lines: Iterable[str], *, directory: Path | None = None, now: float | None = None
) -> Iterator[str]:
    """One JSON line for each non-empty line of `lines`. `directory` holds the user's own profiles; `now`
    defaults to the clock."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield json.dumps(
                _classified(line, number, directory, time.time() if now is None else now), ensure_ascii=False
            )


def _classified(line: str, number: int, directory: Path | None, now: float) -> dict[str, Any]:
    try:
        row = json.loads(line)
        reply, name = reply_of(row), _profile_name(row, directory)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        return {"error": f"line {number}: {str(error) or type(error).__name__}"}
    fault = classify(reply, profiles.load(name, directory), now=now)
    shown = _shown(fault)
    weighed = _weighed(fault, row.get("context"), reply.host, name, directory)
    return shown if weighed == fault else {**shown, "weighed": _shown(weighed)}


def reply_of(row: Any) -> Reply:
    """The answer that one case describes. Raises ValueError for a row that is no case."""
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    status = row.get("status")
    if status is not None and (
        isinstance(status, bool) or not isinstance(status, int) or not 0 <= status <= 999
    ):
        raise ValueError(f"status must be a number such as 401, or null: {status!r}")
    body = row.get("body") or ""
    text = body if isinstance(body, str) else json.dumps(body)
    headers = tuple((str(name).lower(), str(value)) for name, value in (row.get("headers") or {}).items())
    phase = Phase(row.get("phase") or (Phase.CONNECT if status is None else Phase.HEADERS))
    host = str(row.get("host") or _context(row).get("host") or "")
    return Reply(status, headers, text.encode("utf-8", "replace")[:LONGEST_BODY], phase, host)


def _context(row: dict[str, Any]) -> dict[str, Any]:
    context = row.get("context")
    return context if isinstance(context, dict) else {}


def _profile_name(row: dict[str, Any], directory: Path | None) -> str | None:
    """The profile named by the line; if it names none, the one that knows the host. Unknown names read as
    generic."""
    name = row.get("provider")
    return (
        str(name)
        if name
        else profiles.for_host(str(row.get("host") or _context(row).get("host") or ""), directory)
    )


def _weighed(fault: Fault, context: Any, host: str, name: str | None, directory: Path | None) -> Fault:
    """The verdict after what the line's `context` says was known about the key; the class of the line itself
    is not touched."""
    if not isinstance(context, dict):
        return fault
    good = context.get("known_good_host") or (host if context.get("known_good") else None)
    planned = profiles.load(name, directory).plan_host(str(context.get("key_prefix") or "").startswith, host)
    elsewhere = str(good) if good and good != host else None
    return weigh(
        fault, worked_here=bool(good) and good == host, worked_elsewhere=elsewhere, key_prefix_host=planned
    )


def _shown(fault: Fault) -> dict[str, Any]:
    """The fields that say something; a retry hint with milliseconds, a moment in whole seconds."""
    facts: dict[str, Any] = {
        "class": str(fault.kind),
        "confidence": fault.confidence.name.lower(),
        "scope": str(fault.scope),
        "origin": str(fault.origin),
        "terminal": fault.terminal or None,
        "sent": None if fault.sent else False,
        "retry_after": None if fault.retry_after is None else round(fault.retry_after, 3),
        "reset_at": None if fault.reset_at is None else round(fault.reset_at),
        "cause": fault.cause,
        "hint": fault.hint,
        "maybe_processed": fault.maybe_processed or None,
        "request_id": fault.request_id,
        "signs": list(fault.signs),
    }
    return {name: value for name, value in facts.items() if value is not None}


if __name__ == "__main__":
    for answer in classify_lines(sys.stdin):
        sys.stdout.write(answer + "\n")
