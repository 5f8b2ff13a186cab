"""The explanation of a fault in four lines: what happened, on which connection, what was tried, what to do
next.

A message claims an action only if an attempt in the log proves it (law 7), every message ends with a command,
and nothing shaped like a secret is quoted. Nothing is decided here. The sentences are in `fault_texts`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import inf

from ..values.fault_texts import CAUSES, NEXT, NO_REPORT, WHAT, called
from ..values.secret import redact
from .changes import Evidence
from .faults import REFUSALS, Fault, FaultClass, Phase
from .identity import Connection, Pin
from .steps import Attempt

Clock = Callable[[float], str]
"""Writes epoch seconds for people. The caller passes one that knows the user's time zone; the core knows
none."""
C = FaultClass

_PLAN_ENDED = re.compile(
    r"(?:trial|plan|subscription|membership)[\W_]?(?:has |is |period )*(?:expired|ended|over)", re.IGNORECASE
)
_OF_THE_KEY = re.compile(r" (?:Your|The) key (?:is not to blame|is unaffected|was not changed)\.")


def since(seconds: float) -> str:
    """Return a length of time for reading: `3.6 s`, `4 min`, `2 h 10 min`, `3 days`; rounded down from a
    minute on."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{round(max(seconds, 0.0), 1):g} s"
    if minutes >= 2880:
        return f"{minutes // 1440} days"
    return f"{minutes // 60} h {minutes % 60} min".removeprefix("0 h ").removesuffix(" 0 min")


@dataclass(frozen=True, slots=True)
class Explanation:
    """The four lines about a fault.

    `advice` and the bare `command` say what to do next. `quote` holds the other side's own words, redacted:
    they come last, or not at all."""

    what: str
    where: str
    tried: str
    advice: str
    command: str
    quote: str = ""

    @property
    def next_step(self) -> str:
        """Return the advice as a sentence that ends with its command."""
        return f"{self.advice}: {self.command}"

    def __str__(self) -> str:
        lines = (self.what, self.where, f"Tried: {self.tried}", f"Next: {self.next_step}", self.quote)
        return "\n".join(line for line in lines if line)


# Each argument is a fact of the text.
def explain(  # noqa: PLR0913
    fault: Fault,
    connection: Connection,
    attempts: Sequence[Attempt],
    evidence: Evidence | None,
    now: float,
    *,
    key_shown: str = "",
    source: str = "",
    session: str = "SESSION",
    chosen: Pin | None = None,
    memory_ends: float | None = None,
    reader: str = "",
    clock: Clock,
) -> Explanation:
    """Return the four lines about `fault` on `connection`. `now` is in epoch seconds.

    `evidence` is None when the key could not be read. `key_shown` begins with the key's mask, of which only a
    tail is shown; `source` says where the URL was set (`path, file:line`). `chosen` is the session's pin, for
    which the connection may be a fallback. A fault from memory is forgotten at `memory_ends`. `reader` is the
    program whose environment the key was read from, if it is not the reader's own."""
    key, manner = connection.key, _manner(fault, connection, reader)
    ref = "the configuration" if key is None else redact(key.ref, limit=80)
    words = _words(fault, connection, ref, source=source, session=session) | {"reader": reader}
    if evidence is not None:
        words["worked"] = since(now - (evidence.last_ok or now))
    cases = _cases(fault, connection, evidence)
    case, what = next((case, what) for case, what in WHAT[fault.kind].items() if cases[case])
    if key is None:  # nothing is said of a key where there is none
        what = _OF_THE_KEY.sub("", what)
    advice, command = NEXT.get(f"{case or fault.kind}, {manner}") or NEXT.get(case, NEXT[fault.kind])
    if manner == "elsewhere":
        ref += f" as {reader} has it"
    return Explanation(
        what=what.format_map(words) + _addition(fault, now, clock),
        where=_where(connection, ref, evidence, now, key_shown=key_shown, chosen=chosen),
        tried=_tried(connection, attempts, now, memory_ends=memory_ends, clock=clock),
        advice=advice.format_map(words),
        command=command.format_map(words),
        quote=_quote(fault),
    )


def _manner(fault: Fault, connection: Connection, reader: str) -> str:
    """Return where the key comes from, if that changes what to do about a fault of keys: a sign-in, or
    another program's environment."""
    if fault.kind not in (*REFUSALS, C.ENDPOINT_MISMATCH):
        return ""
    ref = "" if connection.key is None else connection.key.ref
    if ref.startswith("oauth:"):
        return "oauth"
    if reader and ref.startswith("env:"):
        return "elsewhere"
    return ""


def _words(fault: Fault, connection: Connection, ref: str, *, source: str, session: str) -> dict[str, str]:
    """Return the words that fill the gaps of the sentences."""
    provider, key = connection.provider.name, connection.key
    check = f"holdfast check {connection.pin}"
    return {
        "worked": "",
        "host": connection.endpoint.host,
        "url": connection.endpoint.url,
        "model": connection.model,
        "provider": provider,
        "ref": ref,
        "hint": fault.hint or "",
        "status": str(fault.status),
        "source": f" (set in {source})" if source else "",
        "check": check,
        "again": check if key is None else f"holdfast key reset {provider} {key.label}",
        "show": f"holdfast provider show {provider}",
        "models": f"holdfast models --provider {provider}",
        "choose": f"holdfast session pin {session} PROVIDER/MODEL",
        "why": f"holdfast why {session}",
    }


def _cases(fault: Fault, connection: Connection, evidence: Evidence | None) -> dict[str, bool]:
    """Return which cases of `fault_texts` hold."""
    reported = fault.status is not None and fault.status < 300 and fault.cause not in NO_REPORT
    worked = evidence is not None and evidence.last_ok is not None
    return {
        "takes no key": connection.key is None,
        "unread": fault.phase is Phase.UNSENT,
        "signed in": fault.phase is Phase.UNSENT and fault.kind is C.AUTH_EXPIRED and fault.terminal,
        "not sent": not fault.sent,
        "final": fault.terminal,
        "deleted": fault.terminal,
        "made elsewhere": fault.cause == "replay_state",
        "too dear": fault.cause == "affordable",
        "plan ended": _PLAN_ENDED.search(f"{fault.provider_code} {fault.excerpt}") is not None,
        "worked here": worked,
        "never worked": evidence is not None,
        "no database": fault.cause == "proxy_without_database",
        "supplier": (fault.cause or "").startswith("upstream"),
        "failed after output": reported and fault.phase is Phase.POST_OUTPUT,
        "failed": reported,
        "after output": fault.phase is Phase.POST_OUTPUT,
        "error status": fault.status is not None and fault.status >= 300,
        "works elsewhere": fault.cause == "key_works_elsewhere",
        "belongs elsewhere": fault.hint is not None,
        **{cause: fault.cause == cause for cause in CAUSES},
        "no answer": fault.status is None,
        "lacks the route": fault.status in (404, 405, 410) and worked,
        "": True,
    }


def _until(ends: float | None, now: float, clock: Clock) -> str:
    """Return a time to come, absolute and relative; empty when it is unknown, or past."""
    if ends is None or not now < ends < inf:
        return ""
    return f"{clock(ends)} (in {since(ends - now)})"


def _addition(fault: Fault, now: float, clock: Clock) -> str:
    """Return what any class may add: near model names, an end and its source, that the request may have been
    billed."""
    text = ""
    if fault.kind is C.MODEL_UNAVAILABLE and fault.hint:
        text += f" {fault.hint[:1].upper()}{fault.hint[1:]}"
    if until := _until(fault.reset_at, now, clock):
        by_provider = fault.sent and any(sign.startswith(("hint:", "header:")) for sign in fault.signs)
        text += " The provider says the limit resets at " if by_provider else " Estimated retry time: "
        text += f"{until}."
    if fault.maybe_processed:
        text += " It may have been processed, and billed."
    return text


def _where(
    connection: Connection,
    ref: str,
    evidence: Evidence | None,
    now: float,
    *,
    key_shown: str,
    chosen: Pin | None,
) -> str:
    """Return the line about the connection: pin, host, model, key, and what the key last did here."""
    shown, facts = "no key needed", []
    if chosen not in (None, connection.pin):
        facts.append(f"a fallback of {chosen}")
    if connection.key is not None:
        shown = f"key '{connection.key.label}'"
        facts.append(ref)
        if tail := re.match(r"…\S{1,4}(?!\S)", key_shown):
            shown += f" {tail[0]}"
    if evidence is not None and evidence.last_ok is None:
        facts.append("never worked here")
    elif evidence is not None and evidence.last_ok is not None:
        facts.append(f"last worked here {since(now - evidence.last_ok)} ago")
    line = f"{connection.pin} → {connection.endpoint.host} · {connection.model} · {shown}"
    if not facts:
        return line
    return f"{line} ({'; '.join(facts)})"


def _tried(
    connection: Connection,
    attempts: Sequence[Attempt],
    now: float,
    *,
    memory_ends: float | None,
    clock: Clock,
) -> str:
    """Return what the log shows and nothing else: requests, their receivers, pauses, why the last step was
    taken."""
    sent = [attempt for attempt in attempts if attempt.was_sent]
    parts = _runs(sent) or ["nothing was sent"]
    for attempt in attempts:
        if attempt not in sent and attempt.connection.key is not None:
            parts.append(f"key '{attempt.connection.key.label}' could not be read")
    if attempts and attempts[-1].then:
        parts.append(attempts[-1].then)
    if all(attempt.connection != connection for attempt in attempts):
        until = _until(memory_ends, now, clock) or "the key or the URL changes"
        parts.append(f"what {connection} last answered is remembered until {until}")
    text = "; ".join(parts)
    if len(sent) > 1:
        text = f"{len(sent)} requests over {since(sent[-1].ended_at - sent[0].sent_at)}: {text}"
    return f"{text}."


def _runs(sent: Sequence[Attempt]) -> list[str]:
    """Return the sends as one part for each run on the same connection, with why the connection changed."""
    parts: list[str] = []
    before: Attempt | None = None
    for connection, group in groupby(sent, key=lambda attempt: attempt.connection):
        requests = list(group)
        part = _requests(requests)
        if before is not None and before.connection.pin == connection.pin:
            part = f"switched to another key: {part}"
        elif before is not None:
            part = f"{before.then or 'went on'}: {part}"
        parts.append(part)
        before = requests[-1]
    return parts


def _requests(attempts: Sequence[Attempt]) -> str:
    """Return what was sent in a row on one connection, and what came of it."""
    key, last = attempts[0].connection.key, attempts[-1].fault
    pauses = [since(later.sent_at - earlier.ended_at) for earlier, later in pairwise(attempts)]
    probes = sum(attempt.probe for attempt in attempts)
    facts = []
    if pauses:
        facts.append(f"asked again after {', '.join(pauses)}")
    if probes:
        facts.append(f"{probes} of them to test a key that had worked")
    facts.append("answered" if last is None else called(last.kind, last.cause).replace("_", " "))
    whose = "without a key" if key is None else f"with key '{key.label}'"
    count = f"{len(attempts)} requests" if pauses else "1 request"
    return f"{count} {whose} ({'; '.join(facts)})"


def _quote(fault: Fault) -> str:
    """Return the other side's words, with single quotes, which SDKs show without backslashes."""
    excerpt = redact(fault.excerpt, limit=160).replace('"', "'")
    quoted = f"“{excerpt}”" if excerpt else "nothing"
    if fault.status is not None:
        request = f", request {fault.request_id}" if fault.request_id else ""
        return f"The provider said (HTTP {fault.status}{request}): {quoted}"
    if not excerpt:
        return ""
    return f"The error was: {quoted}"
