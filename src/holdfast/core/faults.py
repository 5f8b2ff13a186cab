"""What a failed answer means: fourteen classes and `unknown`. The body before the status; codes before words; our own
evidence last, and never over a structured code that is final. Specification: errors.md section 4, DESIGN section 5."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from .detect import Profile, Rule, Verdict, first
from .reply import LONGEST_BODY, Facts, hint_seconds, read, unified_reset, words
from .secret import redact

__all__ = ["Confidence", "Fault", "FaultClass", "Origin", "Phase", "Profile", "Reply", "Rule", "Scope", "Verdict", "classify", "looks_ok", "weigh"]


class FaultClass(StrEnum):
    """The class of a failed answer. It, not the status, owns the recovery plan."""

    AUTH_REJECTED = "auth_rejected"
    AUTH_EXPIRED = "auth_expired"
    NOT_ENTITLED = "not_entitled"
    BLOCKED = "blocked"
    QUOTA_EXHAUSTED = "quota_exhausted"
    QUOTA_WINDOW = "quota_window"
    RATE_LIMITED = "rate_limited"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    TRANSIENT = "transient"
    MODEL_UNAVAILABLE = "model_unavailable"
    ENDPOINT_MISMATCH = "endpoint_mismatch"
    CONTEXT_OVERFLOW = "context_overflow"
    CONTENT_BLOCKED = "content_blocked"
    BAD_REQUEST = "bad_request"
    UNKNOWN = "unknown"


class Scope(StrEnum):
    """What the fault is about, and therefore what may be cooled."""

    REQUEST = "request"
    KEY = "key"
    KEY_MODEL = "key+model"
    MODEL = "model"
    ACCOUNT = "account"
    ENDPOINT = "endpoint"
    CLIENT = "client"


class Phase(StrEnum):
    """How far the exchange had come."""

    UNSENT = "unsent"
    CONNECT = "connect"
    HEADERS = "headers"
    BODY = "body"
    PRE_OUTPUT = "body_pre_output"
    POST_OUTPUT = "body_post_output"
    REFRESH = "refresh"


class Origin(StrEnum):
    """Who failed: we or the caller, the network, the endpoint, or a proxy's own supplier."""

    US = "us"
    NETWORK = "network"
    ENDPOINT = "endpoint"
    UPSTREAM = "upstream"


class Confidence(IntEnum):
    """How strong the sign was. Destructive effects need at least TYPE, or a repeated verdict."""

    HEURISTIC = 0
    STATUS = 1
    TEXT = 2
    HEADER = 3
    TYPE = 4
    CODE = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed answer, understood. Times: `retry_after` in seconds, `reset_at` in epoch seconds."""

    kind: FaultClass
    scope: Scope = Scope.REQUEST
    origin: Origin = Origin.ENDPOINT
    phase: Phase = Phase.HEADERS
    status: int | None = None
    terminal: bool = False
    sent: bool = True
    retry_after: float | None = None
    reset_at: float | None = None
    confidence: Confidence = Confidence.STATUS
    signs: tuple[str, ...] = ()
    cause: str | None = None
    hint: str | None = None
    provider_code: str | None = None
    request_id: str | None = None
    excerpt: str = ""
    maybe_processed: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """A failed (or doubtful) answer as the core may see it: status None means no HTTP answer, and `body` is then the
    transport exception as `Class: message`. Header names are lower case; `body` is decoded and at most 64 KiB."""

    status: int | None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    phase: Phase = Phase.HEADERS
    host: str = ""
    request_written: bool = True


_K = FaultClass
LONGEST_WAIT = 120.0  # seconds: a longer hint is a window that opens later, not a wait in line
_EXCERPT = 160

_SCOPES = {
    _K.AUTH_REJECTED: Scope.KEY,
    _K.AUTH_EXPIRED: Scope.KEY,
    _K.NOT_ENTITLED: Scope.KEY_MODEL,
    _K.BLOCKED: Scope.ENDPOINT,
    _K.QUOTA_EXHAUSTED: Scope.ACCOUNT,
    _K.QUOTA_WINDOW: Scope.ACCOUNT,
    _K.RATE_LIMITED: Scope.KEY_MODEL,
    _K.PROVIDER_UNAVAILABLE: Scope.MODEL,
    _K.MODEL_UNAVAILABLE: Scope.MODEL,
    _K.ENDPOINT_MISMATCH: Scope.ENDPOINT,
}

# What the supplier of a relay says about the relay's own key is not about ours (errors.md 4.1 step 2).
_RELAYED = {
    _K.AUTH_REJECTED: "upstream_credential",
    _K.AUTH_EXPIRED: "upstream_credential",
    _K.NOT_ENTITLED: "upstream_credential",
    _K.QUOTA_EXHAUSTED: "upstream_credential",
    _K.QUOTA_WINDOW: "upstream_limit",
    _K.RATE_LIMITED: "upstream_limit",
    _K.BLOCKED: "upstream_credential",
}
_UNKEYED_ROWS = ("401", "403")
_REQUEST_IDS = ("x-request-id", "request-id", "x-amzn-requestid", "apim-request-id", "x-litellm-call-id", "x-trace-id", "trace-id", "cf-ray")
_NEVER_FITS = re.compile(r"limit:? *(\d[\d,]*)\b.{0,60}?requested:? *~?(\d[\d,]*)", re.IGNORECASE | re.DOTALL)
_LOOPBACK = re.compile(r"(?:https?://)?(?:localhost|[\w.-]+\.localhost|127\.[\d.]+|\[?::1\]?)(?::\d+)?(?:/.*)?")
_MAYBE_PROCESSED = ("408", "499", "502", "504", "520", "522", "523", "524")


@dataclass(frozen=True, slots=True)
class _Finding:
    verdict: Verdict
    sign: str
    confidence: Confidence


def classify(reply: Reply, profile: Profile, *, now: float) -> Fault:
    """The fault that `reply` tells of, read with `profile`; `now` in epoch seconds. Pure, bounded, never raises.

    The order is that of errors.md 4.1; what is remembered about the key enters later, in `weigh`."""
    if reply.phase is Phase.UNSENT:
        return Fault(_K.AUTH_REJECTED, Scope.KEY, Origin.US, reply.phase, sent=False, confidence=Confidence.CODE, signs=("unsent",), excerpt=_excerpt(reply))
    facts = read(reply)
    found = _transport(reply, facts, profile) if reply.status is None else _answer(reply, facts, profile)
    if facts.relayed and found.verdict.kind in _RELAYED and found.verdict.cause != "pool_cooling":
        cause = _RELAYED[found.verdict.kind]
        found = replace(found, sign=f"{found.sign} relayed", verdict=Verdict(_K.PROVIDER_UNAVAILABLE, cause=cause))
    verdict = found.verdict
    hint = hint_seconds(facts.headers, facts, now, utc_offset=profile.utc_offset, daily=verdict.kind is _K.QUOTA_WINDOW)
    window = unified_reset(facts.headers, now) if verdict.kind is _K.QUOTA_WINDOW else None
    after = window or (hint.after if hint else None)
    if verdict.kind is _K.RATE_LIMITED and after is not None and after > LONGEST_WAIT:
        verdict = replace(verdict, kind=_K.QUOTA_WINDOW, scope=None)
    kind = verdict.kind
    if reply.phase is Phase.REFRESH and kind is _K.AUTH_REJECTED:
        kind, verdict = _K.AUTH_EXPIRED, replace(verdict, terminal=True)
    return Fault(
        kind=kind,
        scope=verdict.scope or _SCOPES.get(kind, Scope.REQUEST),
        origin=verdict.origin or _origin(reply, facts, kind),
        phase=reply.phase,
        status=reply.status,
        terminal=verdict.terminal,
        sent=verdict.sent,
        retry_after=after,
        reset_at=now + after if after is not None and after > 0 else None,
        confidence=found.confidence,
        signs=(found.sign, *((f"hint:{hint.source}",) if hint else ())),
        cause=verdict.cause or ("capacity" if kind is _K.PROVIDER_UNAVAILABLE else None),
        provider_code=next(iter(facts.tokens), None),
        request_id=_request_id(facts),
        excerpt=_excerpt(reply, facts),
        maybe_processed=_maybe_processed(reply, kind),
    )


def _answer(reply: Reply, facts: Facts, profile: Profile) -> _Finding:
    for step in (_page, _own_code, _own_phrase, _never_fits, _code, _header, _words):
        found = step(facts, profile)
        if found is not None:
            return found
    return _success(reply, facts) if facts.status < 300 else _status(facts, profile)


def _transport(reply: Reply, facts: Facts, profile: Profile) -> _Finding:
    """No answer at all: only the exception's words tell refused, DNS, certificate and a cut apart (errors.md 3.3)."""
    rule = first(profile.transport, facts.words, "loopback" if _LOOPBACK.fullmatch(reply.host) else "remote")
    if rule is None:
        return _Finding(Verdict(_K.TRANSIENT, cause="network"), "transport", Confidence.HEURISTIC)
    return _Finding(rule.verdict, f"transport:{rule.name}", Confidence.TEXT)


def _page(facts: Facts, profile: Profile) -> _Finding | None:
    rule = first(profile.pages, facts.words, str(facts.status)) if facts.page else None
    return _Finding(rule.verdict, f"page:{rule.name}", Confidence.TEXT) if rule else None


def _lookup(facts: Facts, codes: dict[str, Verdict], sign: str) -> _Finding | None:
    for code in facts.tokens:
        verdict = codes.get(f"{code}@{facts.status}") or codes.get(code)
        if verdict is not None:
            return _Finding(verdict, f"{sign}:{code}", Confidence.CODE)
    return None


def _own_code(facts: Facts, profile: Profile) -> _Finding | None:
    return _lookup(facts, profile.own, profile.name)


def _code(facts: Facts, profile: Profile) -> _Finding | None:
    return _lookup(facts, profile.codes, "code")


def _own_phrase(facts: Facts, profile: Profile) -> _Finding | None:
    rule = first(profile.phrases, _all_words(facts, profile), str(facts.status))
    return _Finding(rule.verdict, f"{profile.name}:{rule.name}", Confidence.TEXT) if rule else None


def _never_fits(facts: Facts, profile: Profile) -> _Finding | None:
    """`Limit 30000, Requested 30601`: larger than the whole window, so no waiting helps."""
    match = _NEVER_FITS.search(facts.message)
    if match is None or int(match.group(2).replace(",", "")[:18]) <= int(match.group(1).replace(",", "")[:18]):
        return None
    return _Finding(Verdict(_K.CONTEXT_OVERFLOW, cause="never_fits"), "requested > limit", Confidence.TEXT)


def _header(facts: Facts, profile: Profile) -> _Finding | None:
    if facts.status == 429 and unified_reset(facts.headers, 0.0) is not None:
        return _Finding(Verdict(_K.QUOTA_WINDOW), "header:unified-status", Confidence.HEADER)
    return None


def _words(facts: Facts, profile: Profile) -> _Finding | None:
    """The words, read in the order that the type or else the status gives: the same word means different things on a 403 and a 429."""
    name, confidence = _row(facts, profile)
    rules = profile.rows[name] if name in profile.rows else profile.rows.get(f"{name[:1]}xx", ())
    rule = first(rules, _all_words(facts, profile), str(facts.status))
    if rule is not None:
        return _Finding(rule.verdict, f"words:{rule.name}", max(confidence, Confidence.TEXT))
    if confidence is Confidence.TYPE and name in profile.statuses:
        return _Finding(profile.statuses[name], f"type:{name}", confidence)
    return None


def _row(facts: Facts, profile: Profile) -> tuple[str, Confidence]:
    for code in facts.tokens:
        row = profile.types.get(code)
        if row is not None and not (facts.status >= 500 and row in _UNKEYED_ROWS):
            return row, Confidence.TYPE
    if facts.status < 300:
        return next((profile.vague[code] for code in facts.tokens if code in profile.vague), "200"), Confidence.STATUS
    return str(facts.status), Confidence.STATUS


def _all_words(facts: Facts, profile: Profile) -> str:
    """The sentences, and those codes that nobody knows, as words: an unknown `plan_quota_exhausted` still says what it is."""
    spoken = [code for code in facts.tokens if code not in profile.types and code not in profile.vague]
    return facts.words + words(" ".join(spoken)) if spoken else facts.words


def _success(reply: Reply, facts: Facts) -> _Finding:
    """HTTP 200 and no error in it: a stream that stopped or said nothing, an empty body, or something that is no API."""
    if facts.stream:
        cause = "empty" if facts.ended else "truncated"
        return _Finding(Verdict(_K.TRANSIENT, cause=cause), f"stream:{cause}", Confidence.HEURISTIC)
    if facts.empty:
        return _Finding(Verdict(_K.TRANSIENT, cause="empty"), "body:empty", Confidence.HEURISTIC)
    return _Finding(Verdict(_K.UNKNOWN), "status:200", Confidence.HEURISTIC)


def _status(facts: Facts, profile: Profile) -> _Finding:
    status = str(facts.status)
    verdict = profile.statuses.get(status) or profile.statuses.get(f"{status[:1]}xx") or Verdict(_K.UNKNOWN)
    return _Finding(verdict, f"status:{status}", Confidence.STATUS)


def _origin(reply: Reply, facts: Facts, kind: FaultClass) -> Origin:
    if facts.relayed:
        return Origin.UPSTREAM
    if reply.status is None:
        return Origin.NETWORK
    return Origin.US if kind in (_K.BAD_REQUEST, _K.CONTEXT_OVERFLOW) else Origin.ENDPOINT


def _maybe_processed(reply: Reply, kind: FaultClass) -> bool:
    if kind is not _K.TRANSIENT or reply.phase is Phase.CONNECT or not reply.request_written:
        return False
    return reply.status is None or reply.status < 300 or str(reply.status) in _MAYBE_PROCESSED


def _request_id(facts: Facts) -> str | None:
    found = next((facts.headers[name] for name in _REQUEST_IDS if name in facts.headers), None) or facts.fields.get("request_id")
    return redact(str(found), limit=80) if found else None


def _excerpt(reply: Reply, facts: Facts | None = None) -> str:
    """The provider's own words, redacted before they are cut, so that no secret is cut into something that no shape matches."""
    text = facts.message if facts else reply.body[:LONGEST_BODY].decode("utf-8", "replace")
    return redact(" ".join(text[:2_000].split()), limit=_EXCERPT)


def weigh(fault: Fault, *, worked_here: bool, worked_elsewhere: str | None = None, key_prefix_host: str | None = None) -> Fault:
    """`fault` read again in the light of what this key last did (errors.md 4.2).

    `worked_elsewhere` is another host of the same provider on which this key worked; `key_prefix_host` is the host that
    the profile knows for keys of this prefix, when it is not the one called. A key that works elsewhere and never worked
    here is at the wrong door, not wrong. A prefix alone proves nothing: it only adds a hint. A structured code that is
    final, and a key that was never sent, stay as they are.
    """
    refused = fault.kind in (_K.AUTH_REJECTED, _K.AUTH_EXPIRED)
    if worked_here or fault.terminal or not fault.sent or fault.phase is Phase.REFRESH:
        return fault
    if refused and worked_elsewhere is not None:
        return replace(
            fault, kind=_K.ENDPOINT_MISMATCH, scope=Scope.ENDPOINT, hint=worked_elsewhere, cause="key_works_elsewhere", signs=(*fault.signs, "evidence:worked elsewhere")
        )
    host = worked_elsewhere or key_prefix_host
    if host is not None and (refused or fault.kind is _K.ENDPOINT_MISMATCH or fault.cause == "wrong_door"):
        return replace(fault, hint=host, signs=(*fault.signs, "hint:host"))
    return fault


_FAULT_KEY = re.compile(rb'(?<!\\)"(?:error|base_resp)"\s*+:\s*+(?!null|\s)')


def looks_ok(status: int, content_type: str, body: bytes, profile: Profile) -> bool:
    """Whether an answer that says success is one: a cheap screen, under a microsecond for an ordinary body.

    HTTP 200 is a fault when the body is empty, an empty object, a page, or holds an error at its top level (LM Studio
    answers `{"error": …}`, MiniMax `base_resp` with a code that is not 0). A stream is judged by its events, not here.
    """
    if not 200 <= status < 300:
        return False
    if "event-stream" in content_type:
        return True
    if b'"error"' not in body and not any(marker in body for marker in profile.ok_markers):
        return len(body) > 2 and body[:1] != b"<" and "html" not in content_type
    if not _FAULT_KEY.search(body):
        return True
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if not isinstance(document, dict):
        return True
    base = document.get("base_resp")
    return not document.get("error") and not (isinstance(base, dict) and base.get("status_code"))
