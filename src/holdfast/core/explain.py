"""What a person is told about a fault, in four lines: what happened, on which connection, what was tried,
what to do next.

A verb of action stands in a message only if an attempt in the log backs it (law 7), every message ends with a
command, and nothing shaped like a secret is quoted. Nothing is decided here. The texts stand in
docs/reference/errors.md."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from .changes import Evidence
from .faults import Fault, FaultClass, Phase
from .identity import Connection
from .secret import redact
from .steps import Attempt

Clock = Callable[[float], str]
"""Epoch seconds as people write them. The runtime passes one that knows the user's time zone; the core knows
none."""
C = FaultClass

# Class, case, what happened. The first row of the class whose case holds speaks; the last one of each class
# holds always.
WHAT: tuple[tuple[FaultClass, str, str], ...] = (
    (C.AUTH_REJECTED, "takes no key", "{host} wants a key, and this endpoint is set up to take none."),
    (C.AUTH_REJECTED, "unread", "No key was sent: {ref} leads to no value here."),
    (C.AUTH_REJECTED, "not sent", "{host} says that no key came with the request."),
    (
        C.AUTH_REJECTED,
        "deleted",
        "The provider says that this key, or its account, was deleted, blocked or reported as leaked.",
    ),
    (
        C.AUTH_REJECTED,
        "no database",
        "{host} runs without its database: it can look up no key, and takes its master key alone.",
    ),
    (C.AUTH_REJECTED, "worked here", "{host} suddenly refuses a key that worked there {worked} ago."),
    (
        C.AUTH_REJECTED,
        "belongs elsewhere",
        "{host} does not accept this key. It has never worked there; keys like this one belong to {hint}.",
    ),
    (C.AUTH_REJECTED, "never worked", "{host} does not accept this key. It has never worked there."),
    (C.AUTH_REJECTED, "", "{host} does not accept this key."),
    (C.AUTH_EXPIRED, "takes no key", "{host} wants a key, and this endpoint is set up to take none."),
    (
        C.AUTH_EXPIRED,
        "signed in",
        "The sign-in behind this connection is over. Other sessions on it stop as well.",
    ),
    (
        C.AUTH_EXPIRED,
        "unrenewed",
        "The token of {ref} ended, and its sign-in service could not renew it now.",
    ),
    (
        C.AUTH_EXPIRED,
        "final",
        "The login behind this connection ran out and its grant is gone. Other sessions on this login stop as well.",
    ),
    (C.AUTH_EXPIRED, "", "The login behind this connection ran out."),
    (
        C.NOT_ENTITLED,
        "takes no key",
        "{host} wants a key for {model}, or for what was asked of it, and this endpoint is set up to take none.",
    ),
    (C.NOT_ENTITLED, "", "The key is accepted, but not for {model}, or not for what was asked of it."),
    (
        C.BLOCKED,
        "",
        "Stopped before the provider's API by region, network rule or firewall. Another key would be stopped as well.",
    ),
    (
        C.QUOTA_EXHAUSTED,
        "too dear",
        "What the account behind this key has left does not pay for a request of this size.",
    ),
    (C.QUOTA_EXHAUSTED, "", "The account behind this key has no balance left, or reached its spending cap."),
    (C.QUOTA_WINDOW, "", "The plan's allowance for this period is used up."),
    (C.RATE_LIMITED, "", "Too many requests for now: the limit of this key or account is reached."),
    (
        C.PROVIDER_UNAVAILABLE,
        "supplier",
        "The supplier behind {host} refused {host}. Your key is not to blame.",
    ),
    (
        C.PROVIDER_UNAVAILABLE,
        "",
        "{host} cannot answer now: overloaded or out of service. Your key is not to blame.",
    ),
    (
        C.TRANSIENT,
        "after output",
        "The answer of {host} broke off after part of it had been passed on; such a request is not sent twice.",
    ),
    (C.TRANSIENT, "empty", "{host} answered with nothing in it (HTTP {status})."),
    (C.TRANSIENT, "error status", "{host} failed with HTTP {status}."),
    (C.TRANSIENT, "", "The connection to {host} broke before anything was passed on."),
    (C.MODEL_UNAVAILABLE, "", "{host} has no model named {model}."),
    (
        C.ENDPOINT_MISMATCH,
        "works elsewhere",
        "This key works at {hint}, but the call went to {url}{source}. The key was not changed.",
    ),
    (
        C.ENDPOINT_MISMATCH,
        "belongs elsewhere",
        "Keys like this one belong to {hint}, but the call went to {url}{source}. The key was not changed.",
    ),
    (
        C.ENDPOINT_MISMATCH,
        "certificate",
        "The certificate at {url}{source} is not trusted here, or not made for that name. The key was not changed.",
    ),
    (
        C.ENDPOINT_MISMATCH,
        "no answer",
        "Nothing that speaks the expected API answers at {url}{source}. The key was not changed.",
    ),
    (C.ENDPOINT_MISMATCH, "", "{url}{source} does not speak the expected API. The key was not changed."),
    (C.CONTEXT_OVERFLOW, "", "This prompt is too long: it exceeds the maximum context length of {model}."),
    (C.CONTENT_BLOCKED, "", "The provider's policy refused this input or output. Your key is unaffected."),
    (C.BAD_REQUEST, "", "{host} rejects the request itself, whoever sends it."),
    (C.UNKNOWN, "", "{host} answered in a way that Holdfast does not know."),
)
# What to do next and the command for it, by case where the case has a row, else by class.
NEXT: dict[str, tuple[str, str]] = {
    "takes no key": ("Give the provider a key", "holdfast key add {provider} --from env:NAME"),
    "unread": ("Provide the value, or another key", "holdfast key add {provider} --from env:NAME"),
    "deleted": ("Make a new key there and replace the value of {ref} with it, then", "{again}"),
    "too dear": ("Ask for a shorter answer, or top up. Where it went", "{why}"),
    "not sent": ("See how the endpoint is set up to show the key", "{show}"),
    "signed in": ("Sign in again", "holdfast key login {provider}"),
    "unrenewed": ("Come back in a moment. If it stays, sign in again", "holdfast key login {provider}"),
    "no database": (
        "Let the operator of {host} connect its database, or use its master key, then",
        "{again}",
    ),
    "worked here": ("This often passes by itself. If it stays, replace the value of {ref}, then", "{again}"),
    "supplier": ("Tell the operator of {host}; meanwhile choose another connection", "{choose}"),
    "certificate": (
        "Correct the address; if its authority is your own, name its file in SSL_CERT_FILE",
        "{show}",
    ),
    "no answer": ("Start the server, or correct the address", "{show}"),
    "belongs elsewhere": ("Correct the address", "{show}"),
    C.AUTH_REJECTED: ("Check that {ref} holds a live key of this host, then", "{again}"),
    C.AUTH_EXPIRED: ("Log in where {ref} gets its value, then", "{again}"),
    C.NOT_ENTITLED: ("Choose a model that it may use, or change the plan", "{models}"),
    C.BLOCKED: ("Look at VPN, proxy and IP allow-list, then", "{check}"),
    C.QUOTA_EXHAUSTED: ("Top up or raise the cap, then", "{again}"),
    C.QUOTA_WINDOW: ("Wait (the session stays saved), or choose another connection", "{choose}"),
    C.RATE_LIMITED: ("Lower the concurrency, or choose another connection", "{choose}"),
    C.PROVIDER_UNAVAILABLE: ("Come back later, or choose another connection", "{choose}"),
    C.TRANSIENT: ("Repeat the turn. If it stays", "{check}"),
    C.MODEL_UNAVAILABLE: ("Choose a model that it has", "{models}"),
    C.ENDPOINT_MISMATCH: ("Correct the address", "{show}"),
    C.CONTEXT_OVERFLOW: ("Compact the conversation, or choose a model with a larger window", "{models}"),
    C.CONTENT_BLOCKED: ("Change the content. Where it went", "{why}"),
    C.BAD_REQUEST: ("Correct what the provider names, or update the client. Where it went", "{why}"),
    C.UNKNOWN: (
        "Report its shape, which holds nothing private, so that it gets a class. It is listed by",
        "holdfast report --list",
    ),
}

_OF_THE_KEY = re.compile(r" (?:Your|The) key (?:is not to blame|is unaffected|was not changed)\.")


def since(seconds: float) -> str:
    """A length of time for reading: `3.6 s`, `4 min`, `2 h 10 min`, `3 days`; rounded down from a minute
    on."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{round(max(seconds, 0.0), 1):g} s"
    return (
        f"{minutes // 60} h {minutes % 60} min".removeprefix("0 h ").removesuffix(" 0 min")
        if minutes < 2880
        else f"{minutes // 1440} days"
    )


@dataclass(frozen=True, slots=True)
class Explanation:
    """The four lines: what happened, on which connection, what was tried, what to do next (the advice, and
    the bare `command` that follows it). `said` are the other side's own words, redacted and quoted: they come
    last, or not at all."""

    what: str
    where: str
    tried: str
    advice: str
    command: str
    said: str = ""

    @property
    def next_step(self) -> str:
        """The advice as a sentence that ends with its command."""
        return f"{self.advice}: {self.command}"

    def __str__(self) -> str:
        return "\n".join(
            line
            for line in (self.what, self.where, f"Tried: {self.tried}", f"Next: {self.next_step}", self.said)
            if line
        )


def explain(  # noqa: PLR0913 - each argument is one fact of the text
    fault: Fault,
    connection: Connection,
    attempts: Sequence[Attempt],
    evidence: Evidence | None,
    now: float,
    *,
    key_shown: str = "",
    source: str = "",
    session: str = "SESSION",
    clock: Clock,
) -> Explanation:
    """The four lines about `fault` on `connection`. `evidence` is None when the key could not be read.
    `key_shown` begins with the key's mask (`str(secret)`), of which only a `…tail` is shown; `source` says
    where the URL was set (`path, file:line`)."""
    provider, key = connection.provider.name, connection.key
    ref = redact(key.ref, limit=80) if key is not None else "the configuration"
    check = f"holdfast check {connection.pin}"
    words = {
        "host": connection.endpoint.host,
        "url": connection.endpoint.url,
        "model": connection.model,
        "provider": provider,
        "ref": ref,
    }
    words |= {
        "hint": fault.hint or "",
        "status": str(fault.status),
        "source": f" (set in {source})" if source else "",
        "check": check,
    }
    words |= {
        "worked": since(now - (evidence.last_ok or now)) if evidence is not None else "",
        "show": f"holdfast provider show {provider}",
    }
    words |= {
        "again": f"holdfast key reset {provider} {key.label}" if key is not None else check,
        "models": f"holdfast models --provider {provider}",
    }
    words |= {"choose": f"holdfast session pin {session} PROVIDER/MODEL", "why": f"holdfast why {session}"}
    cases = _cases(fault, connection, evidence)
    case, what = next((case, what) for kind, case, what in WHAT if kind is fault.kind and cases[case])
    if key is None:  # nothing is said of a key where there is none
        what = _OF_THE_KEY.sub("", what)
    advice, command = (text.format_map(words) for text in NEXT.get(case, NEXT[fault.kind]))
    return Explanation(
        what.format_map(words) + _addition(fault, now, clock),
        _where(connection, ref, evidence, now, key_shown),
        _tried(fault, connection, attempts, now, clock),
        advice,
        command,
        _said(fault),
    )


def _cases(fault: Fault, connection: Connection, evidence: Evidence | None) -> dict[str, bool]:
    return {
        "takes no key": connection.key is None,
        "unread": fault.phase is Phase.UNSENT,
        "signed in": fault.phase is Phase.UNSENT and fault.kind is C.AUTH_EXPIRED and fault.terminal,
        "unrenewed": fault.phase is Phase.UNSENT and fault.kind is C.AUTH_EXPIRED,
        "not sent": not fault.sent,
        "final": fault.terminal,
        "deleted": fault.terminal,
        "too dear": fault.cause == "affordable",
        "worked here": evidence is not None and evidence.last_ok is not None,
        "never worked": evidence is not None,
        "no database": fault.cause == "proxy_without_database",
        "supplier": (fault.cause or "").startswith("upstream"),
        "after output": fault.phase is Phase.POST_OUTPUT,
        "empty": fault.cause == "empty",
        "error status": fault.status is not None and fault.status >= 300,
        "works elsewhere": fault.cause == "key_works_elsewhere",
        "belongs elsewhere": fault.hint is not None,
        "certificate": fault.cause == "certificate",
        "no answer": fault.status is None,
        "": True,
    }


def _until(fault: Fault, now: float, clock: Clock) -> str:
    """When the fault ends, absolute and relative; empty when nobody knows."""
    return (
        f"{clock(fault.reset_at)} (in {since(fault.reset_at - now)})"
        if fault.reset_at is not None and fault.reset_at > now
        else ""
    )


def _addition(fault: Fault, now: float, clock: Clock) -> str:
    """What any class may add: models that may be meant, an end and whose word it is, a request that may have
    been billed."""
    text = (
        f" {fault.hint[:1].upper()}{fault.hint[1:]}"
        if fault.kind is C.MODEL_UNAVAILABLE and fault.hint
        else ""
    )
    if until := _until(fault, now, clock):
        told = any(sign.startswith(("hint:", "header:")) for sign in fault.signs)
        text += (
            f" It opens again at {until}, by the word of the provider."
            if told
            else f" It may be used again from {until} on, by our own estimate."
        )
    return text + (" It may have been processed, and billed." if fault.maybe_processed else "")


def _where(connection: Connection, ref: str, evidence: Evidence | None, now: float, key_shown: str) -> str:
    tail = re.match(r"…\S{1,4}(?!\S)", key_shown)
    facts = [ref] if connection.key is not None else []
    if evidence is not None:
        facts.append(
            "never worked here"
            if evidence.last_ok is None
            else f"last worked here {since(now - evidence.last_ok)} ago"
        )
    shown = (
        f"key '{connection.key.label}'" + (f" {tail[0]}" if tail else "")
        if connection.key is not None
        else "no key needed"
    )
    return f"{connection.pin} → {connection.endpoint.host} · {connection.model} · {shown}" + (
        f" ({'; '.join(facts)})" if facts else ""
    )


def _tried(
    fault: Fault, connection: Connection, attempts: Sequence[Attempt], now: float, clock: Clock
) -> str:
    """What the log shows, and nothing else: requests, who got them, the pauses between them, why the last
    step was taken."""
    sent = [one for one in attempts if one.was_sent]
    told: list[str] = [] if sent else ["nothing was sent"]
    before: Attempt | None = None
    for to, group in groupby(sent, key=lambda one: one.connection):
        requests = list(group)
        lead = (
            ""
            if before is None
            else "switched to another key: "
            if before.connection.pin == to.pin
            else f"{before.then or 'went on'}: "
        )
        told.append(lead + _requests(requests))
        before = requests[-1]
    told += [
        f"key '{one.connection.key.label}' could not be read"
        for one in attempts
        if one not in sent and one.connection.key is not None
    ]
    told += [attempts[-1].then] if attempts and attempts[-1].then else []
    if all(one.connection != connection for one in attempts):
        told.append(
            f"what {connection} last answered is remembered until {_until(fault, now, clock) or 'the key or the URL changes'}"
        )
    total = (
        f"{len(sent)} requests over {since(sent[-1].ended_at - sent[0].sent_at)}: " if len(sent) > 1 else ""
    )
    return f"{total}{'; '.join(told)}."


def _requests(these: Sequence[Attempt]) -> str:
    """Requests in a row on one connection."""
    key, last, probes = these[0].connection.key, these[-1].fault, sum(one.probe for one in these)
    pauses = [since(after.sent_at - one.ended_at) for one, after in pairwise(these)]
    facts = [f"asked again after {', '.join(pauses)}"] if pauses else []
    facts += [f"{probes} of them to test a key that had worked"] if probes else []
    facts += [str(last.kind).replace("_", " ") if last is not None else "answered"]
    whose = f"with key '{key.label}'" if key is not None else "without a key"
    return f"{len(these)} request{'s' if pauses else ''} {whose} ({'; '.join(facts)})"


def _said(fault: Fault) -> str:
    """The other side's own words. Double quotes become single ones, so that SDKs show the message without
    backslashes."""
    excerpt = redact(fault.excerpt, limit=160).replace('"', "'")
    if fault.status is None:
        return f"The error was: “{excerpt}”" if excerpt else ""
    request = f", request {fault.request_id}" if fault.request_id else ""
    return f"The provider said (HTTP {fault.status}{request}): " + (f"“{excerpt}”" if excerpt else "nothing")
