"""The journal: the events of a request, and events as lines for `holdfast why`. A line claims nothing that
was not recorded."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from math import inf

from ..core.changes import FallbackEnded, FallbackStarted
from ..core.explain import Clock, since
from ..core.faults import Phase
from ..core.identity import Connection
from ..core.steps import Attempt, Call, Outcome
from ..store.journal_events import (
    AnswerTruncated,
    Attempted,
    ChoiceAnswers,
    Detail,
    Event,
    FellBack,
    FormerNameUsed,
    KeyChanged,
    KeysRelabelled,
    ModelDiffered,
    ProviderRenamed,
    ProvisioningChanged,
    RefusedElsewhere,
    RequestGivenUp,
    RequestRefused,
    RequestTranslated,
    ReturnedToChoice,
    SessionCreated,
    SessionHealed,
    SessionRemoved,
    SessionResumed,
    SessionSwitched,
    UnknownEvent,
    UsageCounted,
)
from ..store.stored_events import stored
from ..values.fault_texts import called


def utc(at: float) -> str:
    """Return epoch seconds as a date and time in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def local(at: float) -> str:
    """Return epoch seconds as a date and time in the local time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def attempt_event(attempt: Attempt, session: str, request: str) -> Event[Attempted]:
    """Return the event of an attempt: its connection, its result, and why the next step was taken."""
    connection = attempt.connection
    pin = f"{connection.provider.name}/{connection.model}"
    # Positional and through _make because it is faster, and every request passes here.
    return Event._make((attempt.sent_at, Attempted.of(attempt), session, request, pin))


def events_of(outcome: Outcome, call: Call, began: float) -> list[Event[Detail]]:
    """Return the events of one request: its attempts, a refusal from memory, the start or end of a
    fallback."""
    at, session, request = began, call.session, call.request_id
    events: list[Event[Detail]] = []
    for attempt in outcome.attempts:
        events.append(attempt_event(attempt, session, request))
        at = attempt.ended_at
    if outcome.from_memory and outcome.fault is not None:
        until = outcome.memory_ends
        if until == inf:
            until = None
        refused = RequestRefused(outcome.fault.kind, outcome.connection.label, until)
        pin = str(outcome.connection.pin)
        events.append(Event(at=at, detail=refused, session=session, request=request, pin=pin))
    for change in outcome.changes:
        if isinstance(change, FallbackStarted):
            fell = FellBack(change.reason, change.until)
            events.append(Event(at=at, detail=fell, session=session, request=request, pin=change.fallback))
        elif isinstance(change, FallbackEnded):
            pin = str(call.route.connection.pin)
            events.append(Event(at=at, detail=ReturnedToChoice(), session=session, request=request, pin=pin))
    return events


def usage_event(
    at: float, call: Call, connection: Connection, usage: Mapping[str, int]
) -> list[Event[Detail]]:
    """Return the event for the tokens that the provider counted for an answer."""
    return [Event._make((at, UsageCounted(dict(usage)), call.session, call.request_id, str(connection.pin)))]


_MISSING = "(not recorded)"
_UNREAD = "{key} could not be read, nothing was sent to {host}"
_ATTEMPT = "attempt {number}: {test}{key} at {host}: {result} in {seconds}"
_SENTENCES: Mapping[type, str] = {
    UsageCounted: "the provider counted {tokens} tokens",
    SessionCreated: "created on {pin}",
    SessionResumed: "resumed on {pin}",
    SessionSwitched: "switched by its user from {before} to {pin}",
    RequestRefused: "nothing sent on {pin} with {key}: its last failure, {fault}, still applies",
    FellBack: "fell back to {pin} until {until}, because of {reason}",
    ChoiceAnswers: "{pin} answers again, tested in the background: the next turn goes there",
    ReturnedToChoice: "returned to {pin}",
    KeyChanged: "the value of key '{key}' changed",
    AnswerTruncated: "the answer broke off after part of it had reached the client: {fault}",
    RequestGivenUp: "given up: {reason}",
    SessionHealed: "healed: now on {pin}",
    ProviderRenamed: "renamed from {before} to {pin}",
    KeysRelabelled: "its keys are no longer called by their position",
    SessionRemoved: "removed",
    FormerNameUsed: "asked for '{asked}': a name of its former choice {former}, so {pin} is meant",
    RefusedElsewhere: "its token was presented to another gateway than its own, which refused it",
    ProvisioningChanged: "setting up {pin}: {state}",
    RequestTranslated: "translated from {caller} to {endpoint}",
    ModelDiffered: "another model answered than the one chosen: {answered} for {chosen}",
    UnknownEvent: "an event that this version does not know: {kind}",
}


def why(events: Iterable[Event[Detail]], *, clock: Clock = utc) -> list[str]:
    """Return the journal as one line an event, in order."""
    return [f"{clock(event.at)}  {_sentence(event, clock)}" for event in events]


def _sentence(event: Event[Detail], clock: Clock) -> str:
    """Put an event into words. Values that its sentence leaves out follow in brackets; a missing value is
    shown as not recorded."""
    detail = event.detail
    if isinstance(detail, Attempted):
        return _attempt(detail)
    words = _words(detail, clock)
    template = _SENTENCES[type(detail)]
    sentence = template.format_map(defaultdict(lambda: _MISSING, words, pin=event.pin, kind=event.kind))
    return sentence + _more({name: value for name, value in words.items() if f"{{{name}}}" not in template})


def _words(detail: Detail, clock: Clock) -> dict[str, object]:
    """Return the values of an event as words, by the names that sentences use, without empty ones."""
    words: dict[str, object] = {name: value for name, value in stored(detail).items() if value}
    if isinstance(detail, UsageCounted):
        words["tokens"] = ", ".join(f"{count} {name}" for name, count in detail.tokens.items())
    if isinstance(detail, RequestRefused):
        words["key"] = _key(detail.key)
    if isinstance(detail, RequestRefused | FellBack) and detail.until is not None:
        words["until"] = clock(detail.until)
    return words


def _key(label: str | None) -> str:
    if not label:
        return "no key"
    return f"key '{label}'"


def _attempt(attempted: Attempted) -> str:
    """Put an attempt into words."""
    words: dict[str, object] = defaultdict(
        lambda: _MISSING, test="", key=_key(attempted.key), result="answered"
    )
    if attempted.number:
        words["number"] = attempted.number
    if attempted.probe:
        words["test"] = "test of "
    if attempted.host:
        words["host"] = attempted.host
    if attempted.fault is not None:
        words["result"] = called(attempted.fault.kind, attempted.fault.cause)
        if attempted.fault.status is not None:
            words["result"] = f"{attempted.fault.kind} (HTTP {attempted.fault.status})"
    if attempted.seconds is not None:
        words["seconds"] = since(attempted.seconds)
    template = _ATTEMPT
    if attempted.fault is not None and attempted.fault.phase is Phase.UNSENT:
        template = _UNREAD
    line = template.format_map(words) + _more(dict(attempted.more))
    if attempted.then:
        line += f"; {attempted.then}"
    return line


def _more(words: Mapping[str, object]) -> str:
    """Return the values that a sentence leaves out, in brackets."""
    if not words:
        return ""
    return f" ({', '.join(f'{name}: {value}' for name, value in words.items())})"
