"""Classification of recorded replies, one JSON line each: `holdfast classify`, and `python -m
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
from ..values.plain_text import plain_json


def classify_lines(
    lines: Iterable[str], *, directory: Path | None = None, now: float | None = None
) -> Iterator[str]:
    """Yield a JSON line for each non-empty line of `lines`.

    `directory` holds the user's own profiles; `now` is in epoch seconds and defaults to the clock.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            at = time.time() if now is None else now
            yield plain_json(_classified(line, number, directory, at))


def _classified(line: str, number: int, directory: Path | None, now: float) -> dict[str, Any]:
    try:
        row = json.loads(line)
        reply, name = reply_of(row), _profile_name(row, directory)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        return {"error": f"line {number}: {str(error) or type(error).__name__}"}
    fault = classify(reply, profiles.load(name, directory), now=now)
    shown = _shown(fault)
    context = row.get("context")
    if not isinstance(context, dict):
        return shown
    planned = profiles.load(name, directory).plan_host(
        str(context.get("key_prefix") or "").startswith, reply.host
    )
    weighed = _weighed(fault, context, reply.host, planned)
    if weighed == fault:
        return shown
    return {**shown, "weighed": _shown(weighed)}


def reply_of(row: Any) -> Reply:
    """Return the reply that a row describes. Raises ValueError for an invalid row."""
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    status = row.get("status")
    if status is not None and (
        isinstance(status, bool) or not isinstance(status, int) or not 0 <= status <= 999
    ):
        raise ValueError(f"status must be a number such as 401, or null: {status!r}")
    body = row.get("body") or ""
    if not isinstance(body, str):
        body = json.dumps(body)
    headers = tuple((str(name).lower(), str(value)) for name, value in (row.get("headers") or {}).items())
    usual_phase = Phase.CONNECT if status is None else Phase.HEADERS
    return Reply(
        status,
        headers=headers,
        body=body.encode("utf-8", "replace")[:LONGEST_BODY],
        phase=Phase(row.get("phase") or usual_phase),
        host=_host(row),
    )


def _host(row: dict[str, Any]) -> str:
    """Return the host of a row, also where only its `context` names it; "" if nothing does."""
    host = row.get("host")
    context = row.get("context")
    if not host and isinstance(context, dict):
        host = context.get("host")
    return str(host or "")


def _profile_name(row: dict[str, Any], directory: Path | None) -> str | None:
    """Return the profile that the row names, else the one that knows its host. Unknown names are read as
    generic."""
    name = row.get("provider")
    if name:
        return str(name)
    return profiles.for_host(_host(row), directory)


def _weighed(fault: Fault, context: dict[str, Any], host: str, planned: str | None) -> Fault:
    """Return the fault as `context` changes it: where the key is known to have worked, and the host for which
    its prefix is meant (`planned`)."""
    good_host = context.get("known_good_host")
    if not good_host and context.get("known_good"):
        good_host = host
    worked_here = bool(good_host) and good_host == host
    worked_elsewhere = None
    if good_host and not worked_here:
        worked_elsewhere = str(good_host)
    return weigh(fault, worked_here=worked_here, worked_elsewhere=worked_elsewhere, key_prefix_host=planned)


def _shown(fault: Fault) -> dict[str, Any]:
    """Return the fields that are set, as JSON values; durations in seconds to the millisecond, times in whole
    epoch seconds."""
    retry_after = reset_at = None
    if fault.retry_after is not None:
        retry_after = round(fault.retry_after, 3)
    if fault.reset_at is not None:
        reset_at = round(fault.reset_at)
    facts: dict[str, Any] = {
        "class": str(fault.kind),
        "confidence": fault.confidence.name.lower(),
        "scope": str(fault.scope),
        "origin": str(fault.origin),
        "terminal": fault.terminal or None,
        "sent": None if fault.sent else False,
        "retry_after": retry_after,
        "reset_at": reset_at,
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
