"""What an answer means: the rules that put a failed answer into a class, and how wide its verdict is.

The body speaks before the status, codes before words; our own evidence comes last, and never changes a
structured code that is final."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from ..values.addresses import is_loopback
from ..values.secret import redact
from .faults import AUTH_FAULTS, Confidence, Fault, FaultClass, Flaw, Origin, Phase, Reply, Scope
from .response_parser import Facts, read, words
from .retry_hints import hint_seconds, of_one_model, unified_reset
from .vocabulary import Profile, Rule, Verdict

_K = FaultClass
LONGEST_WAIT = 120.0
"""Seconds: a longer hint is a window that opens later, not a wait in line."""
_SCOPES = {
    **dict.fromkeys(AUTH_FAULTS, Scope.KEY),
    **dict.fromkeys((_K.NOT_ENTITLED, _K.RATE_LIMITED), Scope.KEY_MODEL),
    **dict.fromkeys((_K.QUOTA_EXHAUSTED, _K.QUOTA_WINDOW), Scope.ACCOUNT),
    **dict.fromkeys((_K.PROVIDER_UNAVAILABLE, _K.MODEL_UNAVAILABLE), Scope.MODEL),
    **dict.fromkeys((_K.BLOCKED, _K.ENDPOINT_MISMATCH), Scope.ENDPOINT),
}
"""The scope of each class, where no rule gives one; of the others it is the request."""
_QUOTAS = (_K.QUOTA_EXHAUSTED, _K.QUOTA_WINDOW)
_ORIGINS = {_K.BAD_REQUEST: Origin.US, _K.CONTEXT_OVERFLOW: Origin.US}
_RELAYED = {
    **dict.fromkeys(AUTH_FAULTS, "upstream_credential"),
    **dict.fromkeys((_K.NOT_ENTITLED, _K.QUOTA_EXHAUSTED, _K.BLOCKED), "upstream_credential"),
    **dict.fromkeys((_K.RATE_LIMITED, _K.QUOTA_WINDOW), "upstream_limit"),
}
"""What a relay's supplier says of the relay's own key is not about ours: class -> cause of its outage."""
_NO_ROUTE = frozenset({404, 405, 410, 501})
"""The statuses by which a provider says that it has nothing at a path."""
_NO_KEY_THERE = Verdict(_K.AUTH_REJECTED, origin=Origin.US, sent=False)
_UNREAD = {
    b"SignInEnded": Verdict(_K.AUTH_EXPIRED, origin=Origin.US, sent=False, terminal=True),
    b"SourceSilent": Verdict(_K.TRANSIENT, sent=False, cause="source"),
    b"NotRenewed": Verdict(_K.TRANSIENT, sent=False, cause="renewal"),
    b"Untranslatable": Verdict(_K.BAD_REQUEST, origin=Origin.US, sent=False, cause="untranslatable"),
}
"""Why a key could not be read, by the name of the error; after any other error there is no key."""
_REQUEST_IDS = """
    x-request-id request-id x-amzn-requestid apim-request-id x-litellm-call-id x-trace-id trace-id cf-ray
""".split()
_NEVER_FITS = re.compile(
    r"limit:? *(\d[\d,]{0,17})\b.{0,60}?requested:? *~?(\d[\d,]{0,17})", re.IGNORECASE | re.DOTALL
)
_UNBELIEVED = {5: ("401", "403"), 400: ("401",), 422: ("401",)}
"""The rows that no type may choose at a status (5: all of the server's)."""
_MAYBE_PROCESSED = frozenset({None, 200, 408, 499, 502, 504, 520, 522, 523, 524})
_FLAWED = {
    Flaw.CUT: Verdict(_K.TRANSIENT, cause="cut"),
    Flaw.FOREIGN: Verdict(_K.ENDPOINT_MISMATCH, cause="other_api"),
}
"""What is no answer by its shape alone; its words are a model's, so no rule reads them."""


class _Finding(NamedTuple):
    verdict: Verdict
    sign: str
    confidence: Confidence


def classify(reply: Reply, profile: Profile, *, now: float) -> Fault:
    """Return the fault that `reply` reports, read with `profile`; `now` in epoch seconds. Pure, bounded,
    never raises.

    What is remembered about the key enters later, in `weigh`."""
    facts = read(reply)
    finding = _find(reply, facts, profile)
    verdict = finding.verdict
    if verdict.kind is _K.ENDPOINT_MISMATCH and reply.optional and reply.status in _NO_ROUTE:
        verdict = Verdict(_K.BAD_REQUEST, cause="no_route")
    if facts.relayed and verdict.kind in _RELAYED:
        verdict = Verdict(_K.PROVIDER_UNAVAILABLE, cause=_RELAYED[verdict.kind])
    after, source = hint_seconds(
        facts, now, utc_offset=profile.utc_offset, window=verdict.kind is _K.QUOTA_WINDOW
    )
    verdict = _narrowed(_adjusted(verdict, reply.phase, after or 0.0), facts, profile)
    kind, confidence = verdict.kind, finding.confidence
    if kind is _K.QUOTA_WINDOW and source not in (None, "words"):
        confidence = max(confidence, Confidence.HEADER)  # its end is a field, not a sentence
    return Fault(
        kind=kind,
        scope=verdict.scope or _SCOPES.get(kind, Scope.REQUEST),
        origin=verdict.origin or _origin(kind, reply, facts),
        phase=reply.phase,
        status=reply.status,
        terminal=verdict.terminal,
        sent=verdict.sent,
        retry_after=after,
        reset_at=now + after if after else None,
        confidence=confidence,
        signs=_signs(finding, facts, source),
        cause=verdict.cause,
        provider_code=_label(next(iter(facts.tokens), None)),
        request_id=_label(_request_id(facts) or None),
        # redacted before it is cut, so that no secret is cut into something that no shape matches
        excerpt=redact(" ".join(facts.message[:2_000].split()), limit=160),
        maybe_processed=kind is _K.TRANSIENT
        and reply.phase is not Phase.CONNECT
        and reply.request_written
        and reply.status in _MAYBE_PROCESSED,
    )


def weigh(
    fault: Fault,
    *,
    worked_here: bool,
    worked_elsewhere: str | None = None,
    key_prefix_host: str | None = None,
) -> Fault:
    """Return `fault` judged again with what this key last did.

    `worked_elsewhere` is another host of the same provider on which this key worked; `key_prefix_host` is the
    host that the profile knows for keys of this prefix, when it is not the one called. A key that works
    elsewhere and never worked here was sent to the wrong endpoint. A prefix alone proves nothing, it only
    adds a hint. A structured code that is final, and a key that was never sent, stay as they are."""
    refused = fault.kind in AUTH_FAULTS
    host = worked_elsewhere or key_prefix_host
    if worked_here or host is None or fault.terminal or not fault.sent or fault.phase is Phase.REFRESH:
        return fault
    if worked_elsewhere is not None and (refused or (fault.kind is _K.ENDPOINT_MISMATCH and not fault.cause)):
        fault = replace(fault, kind=_K.ENDPOINT_MISMATCH, scope=Scope.ENDPOINT, cause="key_works_elsewhere")
        return replace(fault, hint=host, signs=(*fault.signs, "evidence:worked elsewhere"))
    if refused or fault.kind is _K.ENDPOINT_MISMATCH or fault.cause == "wrong_door":
        return replace(fault, hint=host, signs=(*fault.signs, "evidence:host"))
    return fault


def _find(reply: Reply, facts: Facts, profile: Profile) -> _Finding:
    """Return what the first rule that applies says."""
    if reply.phase is Phase.UNSENT:
        error = reply.body.partition(b":")[0]
        return _Finding(_UNREAD.get(error, _NO_KEY_THERE), "unsent", Confidence.CODE)
    if reply.flaw in _FLAWED:
        return _Finding(_FLAWED[reply.flaw], f"shape:{reply.flaw}", Confidence.STATUS)
    return next(step for step in _steps(reply, facts, profile) if step is not None)


def _adjusted(verdict: Verdict, phase: Phase, after: float) -> Verdict:
    """Return the verdict after the provider's hint (`after`, in seconds) and the phase are weighed in."""
    if verdict.kind is _K.RATE_LIMITED and after > LONGEST_WAIT:
        return replace(verdict, kind=_K.QUOTA_WINDOW, scope=None)
    if verdict.kind is _K.AUTH_REJECTED and phase is Phase.REFRESH:
        return replace(verdict, kind=_K.AUTH_EXPIRED, terminal=True)
    if verdict.kind is _K.PROVIDER_UNAVAILABLE and verdict.cause is None:
        return replace(verdict, cause="capacity")
    return verdict


def _narrowed(verdict: Verdict, facts: Facts, profile: Profile) -> Verdict:
    """Return a verdict on a used-up quota that is no wider than the provider's word: it may name a model."""
    if verdict.kind not in _QUOTAS or verdict.scope in (Scope.REQUEST, Scope.KEY_MODEL):
        return verdict
    named = any(rule.matches(facts.words, str(facts.status)) for rule in profile.rows.get("scope", ()))
    if named or of_one_model(facts):
        return replace(verdict, scope=Scope.KEY_MODEL)
    return verdict


def _signs(finding: _Finding, facts: Facts, hint_source: str | None) -> tuple[str, ...]:
    """Return what decided: the rule, that a relay passed it on, and where the wait was written."""
    signs = [finding.sign]
    if facts.relayed:
        signs.append("relayed")
    if hint_source:
        signs.append(f"hint:{hint_source}")
    return tuple(signs)


def _request_id(facts: Facts) -> object:
    from_header = next((facts.headers[name] for name in _REQUEST_IDS if name in facts.headers), None)
    return from_header or facts.fields.get("request_id") or facts.fields.get("id")


def _label(value: object) -> str | None:
    """Return a short text of the provider as it may be shown: redacted, at most 80 characters."""
    if value is None:
        return None
    return redact(str(value), limit=80)


def _origin(kind: FaultClass, reply: Reply, facts: Facts) -> Origin:
    """Return who failed, where no rule says it."""
    if facts.relayed:
        return Origin.UPSTREAM
    if reply.status is None:
        return Origin.NETWORK
    return _ORIGINS.get(kind, Origin.ENDPOINT)


def _steps(reply: Reply, facts: Facts, profile: Profile) -> Iterator[_Finding | None]:
    """Give the finding of each rule, in order: the first that is not None decides, and the later rules are
    not run."""
    status = str(facts.status)
    if reply.status is None:
        # Without an answer only the exception's words tell refused, DNS, certificate and a cut apart (3.3).
        side = "loopback" if is_loopback(reply.host) else "remote"
        yield _by_rule(profile.transport, facts.words, side, sign="transport")
        yield _Finding(Verdict(_K.TRANSIENT, cause="network"), "transport", Confidence.HEURISTIC)
    if facts.page:
        yield _by_rule(profile.pages, facts.words, status, sign="page")
    yield _by_code(profile.own, facts, profile.name)
    # Unknown codes are read as words: `plan_quota_exhausted` says what it is also where no rule names it.
    spoken = facts.words + words(
        " ".join(code for code in facts.tokens if code not in profile.types and code not in profile.vague)
    )
    yield _by_rule(profile.phrases, spoken, status, sign=profile.name)
    yield _never_fits(facts)
    yield _by_code(profile.codes, facts, "code")
    if facts.status == 429 and unified_reset(facts.headers, 0.0) is not None:
        yield _Finding(Verdict(_K.QUOTA_WINDOW), "header:unified-status", Confidence.HEADER)
    # The type, else the status, gives the order of the words: one means other things on a 403 than on a 429.
    row, confidence = _row(facts, profile)
    family = f"{row[:1]}xx"
    rules = profile.rows.get(row, profile.rows.get(family, ()))
    verdict = profile.statuses.get(row) or profile.statuses.get(family)
    finding = _by_rule(rules, spoken, status, sign="words")
    if finding and verdict and finding.verdict.kind is verdict.kind and not finding.verdict.terminal:
        # words are as sure as the type where both say the same; that something is final, no type says
        finding = finding._replace(confidence=max(confidence, Confidence.TEXT))
    yield finding
    if verdict is None and facts.status < 300:
        verdict = _without_error(reply, facts)
    yield _Finding(verdict or Verdict(_K.UNKNOWN), f"{confidence.name.lower()}:{row}", confidence)


def _without_error(reply: Reply, facts: Facts) -> Verdict | None:
    """Return the verdict on a good status without an error: a stream that nobody asked for, that stopped or
    held nothing; an empty body or answer; else None."""
    if reply.flaw is Flaw.UNASKED:
        return Verdict(_K.ENDPOINT_MISMATCH, cause="unasked_stream")
    if reply.flaw is Flaw.EMPTY:
        return Verdict(_K.TRANSIENT, cause="empty")
    if facts.stream and not facts.ended:
        return Verdict(_K.TRANSIENT, cause="truncated")
    if facts.stream or facts.empty:
        return Verdict(_K.TRANSIENT, cause="empty")
    return None


def _by_rule(rules: tuple[Rule, ...], spoken: str, status: str, *, sign: str) -> _Finding | None:
    rule = next((rule for rule in rules if rule.matches(spoken, status)), None)
    if rule is None:
        return None
    return _Finding(rule.verdict, f"{sign}:{rule.name}", Confidence.TEXT)


def _by_code(codes: Mapping[str, Verdict], facts: Facts, sign: str) -> _Finding | None:
    for code in facts.tokens:
        verdict = codes.get(f"{code}@{facts.status}") or codes.get(code)
        if verdict is not None:
            return _Finding(verdict, f"{sign}:{code}", Confidence.CODE)
    return None


def _never_fits(facts: Facts) -> _Finding | None:
    """Find `Limit 30000, Requested 30601`: larger than the whole window, so no waiting helps."""
    match = _NEVER_FITS.search(facts.message)
    if match is None or int(match[2].replace(",", "")) <= int(match[1].replace(",", "")):
        return None
    return _Finding(Verdict(_K.CONTEXT_OVERFLOW, cause="never_fits"), "requested > limit", Confidence.TEXT)


def _row(facts: Facts, profile: Profile) -> tuple[str, Confidence]:
    """Return the row of rules that reads the words, and how sure that is. A fault of the server or of the
    request does not become the key's by a type that the server in front of it made up."""
    unbelieved = _UNBELIEVED.get(facts.status // 100 if facts.status >= 500 else facts.status, ())
    rows = [row for row in map(profile.types.get, facts.tokens) if row is not None and row not in unbelieved]
    if "rate" in rows:
        return "rate", Confidence.TYPE
    if rows:
        return rows[0], Confidence.TYPE
    if facts.status < 300:
        vague = (profile.vague[code] for code in facts.tokens if code in profile.vague)
        return next(vague, "200"), Confidence.STATUS
    return str(facts.status), Confidence.STATUS
