"""The journal: what one request leaves in it, and what `why` tells from it, one line an event and nothing
that was not recorded."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ..core.changes import FallbackEnded, FallbackStarted
from ..core.explain import Clock, since
from ..core.identity import Connection
from ..core.steps import Attempt, Call, Outcome
from ..store.events import Event, EventKind
from ..store.rows import dump_fault

K = EventKind


def utc(at: float) -> str:
    """The clock of whoever has no time zone at hand."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def local(at: float) -> str:
    """The clock on the user's wall."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def attempt_event(attempt: Attempt, session: str, request: str) -> Event:
    """An attempt as the journal keeps it: which connection, what came of it, why the next step was taken."""
    connection = attempt.connection
    detail: dict[str, object] = {
        "number": attempt.number,
        "key": connection.key.label if connection.key is not None else None,
        "url": connection.endpoint.url,
        "dialect": str(connection.dialect),
        "seconds": round(attempt.ended_at - attempt.sent_at, 4),
    }
    if attempt.probe:
        detail["probe"] = True
    if attempt.fault is not None:
        detail |= {"fault": dump_fault(attempt.fault), "then": attempt.then}
    return Event(
        attempt.sent_at,
        EventKind.ATTEMPT,
        session,
        request,
        f"{connection.provider.name}/{connection.model}",
        detail,
    )


def events_of(outcome: Outcome, call: Call, began: float) -> list[Event]:
    """The journal of one request: its attempts, a refusal from memory, the change of rung if there was
    one."""
    events = [attempt_event(attempt, call.session, call.request_id) for attempt in outcome.attempts]
    at = outcome.attempts[-1].ended_at if outcome.attempts else began
    if outcome.from_memory and outcome.fault is not None:
        detail: dict[str, object] = {
            "fault": str(outcome.fault.kind),
            "key": outcome.connection.label,
            "until": outcome.fault.reset_at,
        }
        events.append(
            Event(at, EventKind.REFUSED, call.session, call.request_id, str(outcome.connection.pin), detail)
        )
    for change in outcome.changes:
        if isinstance(change, FallbackStarted):
            events.append(
                Event(
                    at,
                    EventKind.STOOD_IN,
                    call.session,
                    call.request_id,
                    change.fallback,
                    {"reason": change.reason, "until": change.until},
                )
            )
        elif isinstance(change, FallbackEnded):
            events.append(
                Event(at, EventKind.RETURNED, call.session, call.request_id, str(call.route.connection.pin))
            )
    return events


def usage_event(at: float, call: Call, connection: Connection, usage: Mapping[str, int]) -> list[Event]:
    """What the provider counted for one answer."""
    return [
        Event(
            at, EventKind.USAGE, call.session, call.request_id, str(connection.pin), {"tokens": dict(usage)}
        )
    ]


_SENTENCES: dict[EventKind, str] = {
    K.ATTEMPT: "attempt {number}: {test}{whose} at {host}: {result} in {took}",
    K.USAGE: "the provider counted {tokens} tokens",
    K.CREATED: "created on {pin}",
    K.RESUMED: "resumed on {pin}",
    K.SWITCHED: "switched by its user from {before} to {pin}",
    K.REFUSED: "nothing sent on {pin} with key '{key}': its last verdict was {fault}, and is remembered",
    K.STOOD_IN: "{pin} stands in until {until}, because of {reason}",
    K.ANSWERS_AGAIN: "{pin} answers again, asked beside the requests: the next turn goes there",
    K.RETURNED: "back on {pin}",
    K.KEY_CHANGED: "the value of key '{key}' changed",
    K.TRUNCATED: "the answer broke off after its first part had been passed on: {fault}",
    K.HEALED: "healed: now on {pin}",
    K.RENAMED: "renamed from {before} to {pin}",
    K.REMOVED: "removed",
    K.PROVISIONED: "setting up {pin}: {state}",
    K.MODEL_DIFFERS: "another model answered than the one chosen: {answered} for {chosen}",
}


def why(events: Iterable[Event], *, clock: Clock = utc) -> list[str]:
    """The journal as one line an event, in order."""
    return [f"{clock(event.at)}  {_sentence(event, clock)}" for event in events]


def _sentence(event: Event, clock: Clock) -> str:
    """One event in words. What it tells beyond its sentence follows in brackets; what it lacks is said to be
    missing."""
    detail: dict[str, Any] = dict(event.detail)
    if event.kind is K.ATTEMPT:
        return _attempt(detail)
    if isinstance(tokens := detail.get("tokens"), dict):
        detail["tokens"] = ", ".join(f"{count} {name}" for name, count in tokens.items())
    if isinstance(until := detail.get("until"), int | float):
        detail["until"] = clock(until)
    template = _SENTENCES[event.kind]
    more = ", ".join(
        f"{name}: {value}" for name, value in detail.items() if value and f"{{{name}}}" not in template
    )
    return template.format_map(defaultdict(lambda: "(not recorded)", detail, pin=event.pin)) + (
        f" ({more})" if more else ""
    )


def _attempt(detail: dict[str, Any]) -> str:
    """What `attempt_event` wrote, in words."""
    fault, then, host = (
        detail.get("fault") or {},
        detail.get("then"),
        detail["url"].partition("://")[2].partition("/")[0],
    )
    result = fault.get("kind", "answered") + (f" (HTTP {fault['status']})" if "status" in fault else "")
    whose = f"key '{detail['key']}'" if detail["key"] else "no key"
    test = "test of " if detail.get("probe") else ""
    line = _SENTENCES[K.ATTEMPT].format(
        number=detail["number"],
        test=test,
        whose=whose,
        host=host,
        result=result,
        took=since(detail["seconds"]),
    )
    return f"{line}; {then}" if then else line
