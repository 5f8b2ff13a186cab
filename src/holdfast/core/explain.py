"""What a person is told: four lines about a fault, the same facts in the caller's dialect, and the journal as sentences.

It promises that a verb of action stands in a message only if an attempt in the log backs it (law 7), that every message ends
with a command, and that nothing shaped like a secret is quoted. It never decides anything. Specification: errors.md section 5.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple

from .events import Event, EventKind, attempt_event
from .evidence import Evidence
from .faults import Fault, FaultClass, Phase
from .identity import Connection, Dialect
from .secret import redact
from .steps import Attempt

Clock = Callable[[float], str]
"""Epoch seconds as people write them. The runtime passes one that knows the user's time zone; the core knows none."""


def utc(at: float) -> str:
    """The clock of whoever has no time zone at hand."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def since(seconds: float) -> str:
    """A length of time for reading: `3.6 s`, `4 min`, `2 h 10 min`, `3 days`; rounded down from a minute on."""
    if seconds < 60:
        return f"{round(max(seconds, 0.0), 1):g} s" if seconds < 10 else f"{int(seconds)} s"
    minutes = int(seconds // 60)
    hours, days = minutes // 60, minutes // 1440
    if days >= 2:
        return f"{days} days"
    return f"{hours} h {minutes % 60} min".removesuffix(" 0 min") if hours else f"{minutes} min"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The four lines: what happened, on which connection, what was tried, what to do next. `said` is the other side's own
    words, redacted and quoted: they come last, or not at all."""

    what: str
    where: str
    tried: str
    next_step: str
    said: str = ""

    def __str__(self) -> str:
        lines = (self.what, self.where, f"Tried: {self.tried}", f"Next: {self.next_step}", self.said)
        return "\n".join(line for line in lines if line)


C = FaultClass
_Case = Callable[[Fault, Connection, Evidence | None], bool]
_CASES: dict[str, _Case] = {
    "takes no key": lambda fault, connection, evidence: connection.key is None,
    "unread": lambda fault, connection, evidence: fault.phase is Phase.UNSENT,
    "not sent": lambda fault, connection, evidence: not fault.sent,
    "final": lambda fault, connection, evidence: fault.terminal,
    "worked here": lambda fault, connection, evidence: evidence is not None and evidence.last_ok is not None,
    "no record": lambda fault, connection, evidence: evidence is None,
    "supplier": lambda fault, connection, evidence: (fault.cause or "").startswith("upstream"),
    "after output": lambda fault, connection, evidence: fault.phase is Phase.POST_OUTPUT,
    "no answer": lambda fault, connection, evidence: fault.status is None,
    "error status": lambda fault, connection, evidence: fault.status is not None and fault.status >= 300,
    "works elsewhere": lambda fault, connection, evidence: fault.cause == "key_works_elsewhere",
    "belongs elsewhere": lambda fault, connection, evidence: fault.hint is not None,
    "": lambda fault, connection, evidence: True,
}
# Class -> rows of (case, what happened, what to do next); the first row whose case holds speaks. {again} asks a key anew.
ROWS: dict[FaultClass, tuple[tuple[str, str, str], ...]] = {
    C.AUTH_REJECTED: (
        ("takes no key", "{host} wants a key, and this endpoint is set up to take none.", "Give it one: {run} key add {provider} --from env:NAME"),
        ("unread", "No key was sent: {ref} leads to no value here.", "Provide the value, or another key: {run} key add {provider} --from env:NAME"),
        ("not sent", "{host} says that no key came with the request.", "See in which header it expects the key: {run} provider show {provider}"),
        (
            "final",
            "The provider says that this key was deleted, blocked or reported as leaked.",
            "Make a new key there, put it where {ref} is read, then: {again}",
        ),
        (
            "worked here",
            "{host} suddenly refuses a key that worked there {worked} ago.",
            "This often passes by itself. If it stays, replace the key, then: {again}",
        ),
        ("no record", "{host} does not accept this key.", "Check the key, then: {again}"),
        ("", "{host} does not accept this key. It has never worked there.", "Check the key, and whether it belongs to this host, then: {again}"),
    ),
    C.AUTH_EXPIRED: (
        ("final", "The login behind this connection ran out, and its grant is gone: other sessions on it stop as well.", "Log in anew, then: {again}"),
        ("", "The login behind this connection ran out.", "Log in where {ref} gets its value, then: {again}"),
    ),
    C.NOT_ENTITLED: (
        ("", "The key is accepted, but not for {model}, or not for what was asked of it.", "Choose one it may use: {run} models --provider {provider}"),
    ),
    C.BLOCKED: (
        (
            "",
            "Stopped before the provider's API: region, network rule or firewall. Another key would be stopped as well.",
            "Check VPN, proxy and IP lists: {check}",
        ),
    ),
    C.QUOTA_EXHAUSTED: (("", "The account behind this key has no balance left, or reached its spending cap.", "Top up or raise the cap, then: {again}"),),
    C.QUOTA_WINDOW: (("", "The plan's allowance for this period is used up.", "Wait (the session stays saved), or choose another connection: {choose}"),),
    C.RATE_LIMITED: (("", "Too many requests right now.", "Lower the concurrency, or choose another connection: {choose}"),),
    C.PROVIDER_UNAVAILABLE: (
        (
            "supplier",
            "The supplier behind {host} refused {host}. Your key is fine.",
            "Tell the operator of {host}; meanwhile choose another connection: {choose}",
        ),
        ("", "{host} cannot answer now: overloaded or out of service. Your key is fine.", "Try later, or choose another connection: {choose}"),
    ),
    C.TRANSIENT: (
        ("after output", "The answer of {host} broke off after part of it had been passed on: nothing is sent twice.", "Repeat the turn. If it stays: {check}"),
        ("error status", "{host} failed with HTTP {status}.", "Repeat the turn. If it stays: {check}"),
        ("", "The connection to {host} broke before anything was passed on.", "Repeat the turn. If it stays: {check}"),
    ),
    C.MODEL_UNAVAILABLE: (("", "{host} has no model named {model}.", "Choose one that it has: {run} models --provider {provider}"),),
    C.ENDPOINT_MISMATCH: (
        ("works elsewhere", "This key works at {hint}, but the call went to {url}{source}. The key was not changed.", "Correct the address: {show}"),
        ("belongs elsewhere", "{url}{source} is not where this kind of key belongs: that is {hint}. The key was not changed.", "Correct the address: {show}"),
        (
            "no answer",
            "Nothing that speaks the expected API answers at {url}{source}. The key was not changed.",
            "Start the server or correct the address: {show}",
        ),
        ("", "{url}{source} does not speak the expected API. The key was not changed.", "Correct the address: {show}"),
    ),
    C.CONTEXT_OVERFLOW: (
        ("", "This prompt is too long: it exceeds the maximum context length of {model}.", "Compact the conversation, or choose a larger window: {choose}"),
    ),
    C.CONTENT_BLOCKED: (("", "The provider's policy refused this input or output. Your key is unaffected.", "Change the content; where it went: {why}"),),
    C.BAD_REQUEST: (
        ("", "{host} rejects the request itself, whoever sends it.", "Correct what the provider names, or update the client; where it went: {why}"),
    ),
    C.UNKNOWN: (("", "{host} answered in a way that Holdfast does not know.", "Report the words below, so that they get a class; what came back: {why}"),),
}


def explain(  # noqa: PLR0913 (each argument is one fact of the text)
    fault: Fault,
    connection: Connection,
    attempts: Sequence[Attempt],
    evidence: Evidence | None,
    now: float,
    *,
    key_shown: str = "",
    source: str = "",
    session: str = "SESSION",
    command_prefix: str = "holdfast",
    clock: Clock = utc,
) -> Explanation:
    """The four lines about `fault` on `connection`. `evidence` is None when the key could not be read. `key_shown` begins with
    the key's mask (`str(secret)`), of which only a `…tail` is used; `source` is where the URL was set, as `path, file:line`."""
    provider, key, run = connection.provider.name, connection.key, command_prefix
    ref = redact(key.ref, limit=80) if key is not None else "the configuration"
    check = f"{run} check {connection.pin}"
    words = {
        "host": connection.endpoint.host,
        "url": connection.endpoint.url,
        "source": f" (set in {source})" if source else "",
        "model": connection.model,
        "provider": provider,
        "ref": ref,
        "status": fault.status,
        "hint": fault.hint,
        "worked": since(now - (evidence.last_ok or now)) if evidence is not None else "",
        "run": run,
        "check": check,
        "again": f"{run} key reset {provider} {key.label}" if key is not None else check,
        "choose": f"{run} session pin {session} PROVIDER/MODEL",
        "show": f"{run} provider show {provider}",
        "why": f"{run} why {session}",
    }
    what, next_step = next((what, step) for case, what, step in ROWS[fault.kind] if _CASES[case](fault, connection, evidence))
    return Explanation(
        what.format_map(words) + _addition(fault, now, clock),
        _where(connection, ref, evidence, now, key_shown),
        _tried(fault, connection, attempts, now, clock),
        next_step.format_map(words),
        _said(fault),
    )


def _when(at: float, now: float, clock: Clock) -> str:
    return f"{clock(at)} (in {since(at - now)})"


def _addition(fault: Fault, now: float, clock: Clock) -> str:
    """What any class may add: a model that may be meant, a reset and whose word it is, a request that may have been billed."""
    text = f" {fault.hint[0].upper()}{fault.hint[1:]}" if fault.kind is C.MODEL_UNAVAILABLE and fault.hint else ""
    if fault.reset_at is not None and fault.reset_at > now:
        told = any(sign.startswith(("hint:", "header:")) for sign in fault.signs)
        text += f" It opens at {_when(fault.reset_at, now, clock)}, {'by the word of the provider' if told else 'by our own estimate'}."
    return text + (" It may have been processed, and billed." if fault.maybe_processed else "")


def _where(connection: Connection, ref: str, evidence: Evidence | None, now: float, key_shown: str) -> str:
    key = connection.key
    tail = re.match(r"…\S{1,4}(?!\S)", key_shown)
    shown = "no key needed" if key is None else f"key '{key.label}'" + (f" {tail[0]}" if tail else "")
    facts = [] if key is None else [ref]
    if evidence is not None:
        facts.append(f"last worked here {since(now - evidence.last_ok)} ago" if evidence.last_ok is not None else "never worked here")
    return f"{connection.pin} → {connection.endpoint.host} · {connection.model} · {shown}" + (f" ({'; '.join(facts)})" if facts else "")


def _tried(fault: Fault, connection: Connection, attempts: Sequence[Attempt], now: float, clock: Clock) -> str:
    """What the log shows, and nothing else: requests, who got them, the pauses between them, what the log says of the last."""
    sent = [one for one in attempts if one.fault is None or one.fault.phase is not Phase.UNSENT]
    told: list[str] = []
    before: Attempt | None = None
    for to, group in groupby(sent, key=lambda one: one.connection):
        lead = ""
        if before is not None:
            lead = "switched to another key: " if before.connection.pin == to.pin else f"{before.then or 'went on'}: "
        these = list(group)
        told.append(lead + _requests(these))
        before = these[-1]
    told += [f"key '{_label(one.connection)}' could not be read" for one in attempts if one not in sent]
    if attempts and attempts[-1].then:
        told.append(attempts[-1].then)
    if not any(one.connection == connection for one in attempts):
        until = f"until {_when(fault.reset_at, now, clock)}" if fault.reset_at is not None and fault.reset_at > now else "until the key or the URL changes"
        told.append(f"nothing was sent to {connection}: its last answer is remembered {until}")
    if len(sent) > 1:
        return f"{len(sent)} requests over {since(sent[-1].ended_at - sent[0].sent_at)}: {'; '.join(told)}."
    return "; ".join(told if sent or not attempts else ["nothing was sent", *told]) + "."


def _label(connection: Connection) -> str:
    return connection.key.label if connection.key is not None else ""


def _requests(these: Sequence[Attempt]) -> str:
    """Requests in a row on one connection."""
    count, probes, last = len(these), sum(one.probe for one in these), these[-1].fault
    key = these[0].connection.key
    facts = [f"{probes} of them to test a key that had worked"] if probes else []
    if count > 1:
        pauses = (since(after.sent_at - first.ended_at) for first, after in zip(these, these[1:], strict=False))
        facts.insert(0, f"asked again after {', '.join(pauses)}")
    facts.append(str(last.kind).replace("_", " ") if last is not None else "answered")
    return f"{count} request{'s' if count > 1 else ''} {f"with key '{key.label}'" if key is not None else 'without a key'} ({'; '.join(facts)})"


def _said(fault: Fault) -> str:
    """The other side's own words. Double quotes become single ones, so that SDKs show the message without backslashes."""
    if fault.status is None and not fault.excerpt:
        return ""
    words = redact(fault.excerpt, limit=160).replace('"', "'")
    facts = ", ".join([f"HTTP {fault.status}"] * (fault.status is not None) + [f"request {fault.request_id}"] * bool(fault.request_id))
    return f"{'The provider said' if fault.status is not None else 'The error was'}{f' ({facts})' if facts else ''}: {f'“{words}”' if words else 'nothing'}"


class Outward(NamedTuple):
    """What a client's SDK is to see."""

    status: int
    openai_type: str
    openai_code: str
    anthropic_type: str


OUTWARD: dict[FaultClass, Outward] = {
    C.AUTH_REJECTED: Outward(401, "authentication_error", "auth_rejected", "authentication_error"),
    C.AUTH_EXPIRED: Outward(401, "authentication_error", "auth_expired", "authentication_error"),
    C.NOT_ENTITLED: Outward(403, "permission_error", "not_entitled", "permission_error"),
    C.BLOCKED: Outward(403, "permission_error", "blocked", "permission_error"),
    C.QUOTA_EXHAUSTED: Outward(429, "insufficient_quota", "insufficient_quota", "billing_error"),
    C.QUOTA_WINDOW: Outward(429, "insufficient_quota", "insufficient_quota", "rate_limit_error"),
    C.RATE_LIMITED: Outward(429, "rate_limit_error", "rate_limit_exceeded", "rate_limit_error"),
    C.PROVIDER_UNAVAILABLE: Outward(503, "server_error", "provider_unavailable", "overloaded_error"),
    C.TRANSIENT: Outward(502, "server_error", "transient", "api_error"),
    C.MODEL_UNAVAILABLE: Outward(404, "invalid_request_error", "model_not_found", "not_found_error"),
    C.ENDPOINT_MISMATCH: Outward(400, "invalid_request_error", "endpoint_mismatch", "invalid_request_error"),
    C.CONTEXT_OVERFLOW: Outward(400, "invalid_request_error", "context_length_exceeded", "invalid_request_error"),
    C.CONTENT_BLOCKED: Outward(400, "invalid_request_error", "content_filter", "invalid_request_error"),
    C.BAD_REQUEST: Outward(400, "invalid_request_error", "bad_request", "invalid_request_error"),
    C.UNKNOWN: Outward(502, "server_error", "unknown", "api_error"),
}
_ANTHROPIC_STATUS = {C.QUOTA_EXHAUSTED: 400, C.PROVIDER_UNAVAILABLE: 529}
_TIMEOUTS = (408, 504, 524)


def outward(fault: Fault, dialect: Dialect = Dialect.OPENAI_CHAT) -> Outward:
    """Status and types by which a client of `dialect` acts rightly on `fault`."""
    row = OUTWARD[fault.kind]
    if fault.kind is C.TRANSIENT and (fault.status in _TIMEOUTS or fault.cause == "timeout"):
        return row._replace(status=504)
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        return row._replace(status=_ANTHROPIC_STATUS.get(fault.kind, row.status))
    return row


def error_body(
    dialect: Dialect, fault: Fault, explanation: Explanation, *, request_id: str, session: str, pin: str, attempts: Sequence[Attempt], now: float
) -> tuple[int, bytes]:
    """Status and body of our own answer: the four lines as the message, the machine's part beside it under `holdfast`."""
    status, openai_type, code, anthropic_type = outward(fault, dialect)
    events = [attempt_event(one, session, request_id) for one in attempts]
    machine = {
        "class": fault.kind,
        "pin": pin,
        "key": events[-1].detail["key"] if events else None,
        "session": session,
        "request_id": request_id,
        "from": fault.origin,
        "from_memory": not events,
        "reset_at": fault.reset_at if fault.reset_at is not None and fault.reset_at > now else None,
        "provider_status": fault.status,
        "provider_request_id": fault.request_id,
        "next_step": explanation.next_step,
        "attempts": [{"pin": one.pin, **one.detail} for one in events],
    }
    body: dict[str, object]
    if dialect is Dialect.ANTHROPIC_MESSAGES:
        body = {"type": "error", "error": {"type": anthropic_type, "message": str(explanation), "holdfast": machine}, "request_id": request_id}
    else:
        body = {"error": {"message": str(explanation), "type": openai_type, "param": None, "code": code, "holdfast": machine}}
    return status, json.dumps(body, default=str).encode()


_LONGEST_RETRY = 60.0


def retry_headers(fault: Fault, now: float) -> dict[str, str]:
    """What we say about retrying: nobody should (law 10), except after a throttle that ends within a minute. SDKs sleep whatever
    they are told, so a longer wait is never a retry-after; the true reset stands in a header of ours."""
    at = fault.reset_at if fault.reset_at is not None else now + (fault.retry_after if fault.retry_after is not None else math.nan)
    told = {"holdfast-reset-at": str(math.ceil(at))} if math.isfinite(at) and at > now else {}
    if fault.kind is C.RATE_LIMITED and math.isfinite(at) and at - now <= _LONGEST_RETRY:
        return told | {"retry-after": str(max(1, math.ceil(at - now)))}
    return told | {"x-should-retry": "false"}


_EVENTS: dict[EventKind, str] = {
    EventKind.ATTEMPT: "attempt {number}: {who} at {host}: {result}",
    EventKind.CREATED: "created on {pin}",
    EventKind.RESUMED: "resumed on {pin}",
    EventKind.SWITCHED: "switched by its user from {before} to {pin}",
    EventKind.REFUSED: "refused",
    EventKind.STOOD_IN: "{pin} stands in until {until}, because of {reason}",
    EventKind.RETURNED: "back on {pin}",
    EventKind.KEY_CHANGED: "the value of key '{key}' changed",
    EventKind.TRUNCATED: "the answer broke off after its first part had been passed on: {fault}",
    EventKind.HEALED: "healed: now on {pin}",
    EventKind.RENAMED: "renamed from {before} to {pin}",
    EventKind.REMOVED: "removed",
    EventKind.MODEL_DIFFERS: "another model answered than the one chosen: {answered} for {chosen}",
}


class _Told(dict[str, object]):
    def __missing__(self, name: str) -> str:
        return "(not recorded)"


def why(events: Iterable[Event], *, clock: Clock = utc) -> list[str]:
    """The journal as one line an event, in order. What an event tells beyond its sentence is added in brackets."""
    return [f"{clock(event.at)}  {_sentence(event, clock)}" for event in events]


def _sentence(event: Event, clock: Clock) -> str:
    template = _EVENTS[event.kind]
    detail = _attempt(event.detail) if event.kind is EventKind.ATTEMPT else dict(event.detail)
    told = _Told(detail, pin=event.pin)
    if isinstance(until := detail.get("until"), int | float):
        told["until"] = clock(until)
    more = ", ".join(f"{name}: {value}" for name, value in detail.items() if f"{{{name}}}" not in template and value)
    return template.format_map(told) + (f" ({more})" if more else "")


def _attempt(detail: Mapping[str, object]) -> dict[str, object]:
    """The words of an attempt's sentence, out of what `attempt_event` wrote."""
    fault, key, then = detail.get("fault"), detail.get("key"), detail.get("then")
    failed = fault if isinstance(fault, Mapping) else {}
    status = f" (HTTP {failed['status']})" if "status" in failed else ""
    result = f"{failed['kind']}{status}" if failed else "answered"
    seconds = detail.get("seconds")
    timed = f" in {since(seconds)}" if isinstance(seconds, int | float) else ""
    return {
        "number": detail.get("number"),
        "who": ("test of " if detail.get("probe") else "") + (f"key '{key}'" if key else "no key"),
        "host": str(detail.get("url")).partition("://")[2],
        "result": result + timed + (f"; {then}" if then else ""),
    }
