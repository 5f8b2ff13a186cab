"""An answer turned into facts: codes, words, numbers, times. It unwraps what providers wrap (arrays, JSON in a string, SSE,
a relay's sentence) and never raises, whatever the bytes are. What the facts mean is decided elsewhere (errors.md 4.1 step 0)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .faults import Reply

LONGEST_BODY = 65_536
LONGEST_HINT = 32 * 86_400.0  # the longest allowance anyone sells is a month
_MOST_TEXT = 4_000
_MOST_NODES = 400

_SPEAKING = frozenset(
    "message msg error detail details description error_description error_message error_msg errormsg errormessage status_msg raw title body".split()
)
_CODING = frozenset("code type __type status reason error_code errorcode err_code error_type errortype quotaid status_code finish_reason name".split())
_STATUS = frozenset({"code", "status", "status_code", "error_code"})
_URL = re.compile(r"https?://\S+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_WORD = re.compile(r"[\W_]+")
_PAGE = re.compile(r"\s*<(?:!doctype html|html|head|body|\?xml[^>]*>\s*<!doctype html|center|h1)", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>\s*([^<]*)", re.IGNORECASE)
_BRACKETED = re.compile(r"[\[(](\d{4,5})[\])]")
# LiteLLM names the class of its own error, then relays: "litellm.X: YException - what the supplier said".
_RELAYED = re.compile(r"\blitellm\.(\w+): .{0,200}?\b\w+(?:Exception|Error) - |^\w+Error: \w+Exception - |\berror from provider ?\(", re.IGNORECASE | re.DOTALL)
_OWN_ERROR = re.compile(r"\blitellm\.(\w+):")
_POSTSCRIPT = re.compile(r"\s*(?:LiteLLM: model group|Received Model Group=|model=\S+ context_window_fallbacks|Deployment Info:).*", re.DOTALL)
_FINISHED = re.compile(r'"(?:finish_reason|stop_reason)"\s*:\s*"(\w+)"')
_ENDED = re.compile(r'\[DONE\]|message_stop|"response\.(?:completed|failed|incomplete)|"done"\s*:\s*true')


def words(text: str) -> str:
    """`text` as the rules read it: lower case, no URLs, every run of punctuation one space, a space at both ends."""
    return " " + _NO_WORD.sub(" ", _URL.sub(" ", text).replace("İ", "i").lower()).strip() + " "


def token(code: str) -> str:
    """A code in one spelling: `InsufficientQuota`, `insufficient-quota` and `INSUFFICIENT_QUOTA` are the same."""
    return _NO_WORD.sub("_", _CAMEL.sub("_", code)).strip("_").lower()


@dataclass(slots=True)
class Facts:
    """What one answer says. `status` is the answer's own status where HTTP says 200; `tokens` are its codes and types in
    the order of their appearance; `fields` are hint fields by lower-case name; `headers` hold those quoted in the body too."""

    status: int
    headers: dict[str, str]
    tokens: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    inner: int | None = None
    page: bool = False
    stream: bool = False
    ended: bool = False
    relayed: bool = False
    empty: bool = False
    message: str = ""
    words: str = ""


def read(reply: Reply) -> Facts:
    """The facts of `reply`. Never raises; looks at 64 KiB of the body and 400 of its values at most."""
    facts = Facts(reply.status or 0, {name: value for name, value in reply.headers[:200]})
    for name in ("x-amzn-errortype", ":exception-type", "x-ms-error-code"):
        if name in facts.headers:
            facts.tokens.append(token(facts.headers[name].partition(":")[0]))
    text = reply.body[:LONGEST_BODY].decode("utf-8", "replace").lstrip("\ufeff")
    if _PAGE.match(text):
        facts.page = True
        title = _TITLE.search(text)
        facts.message = title.group(1).strip() if title else "an HTML page"
        facts.words = words(text[:_MOST_TEXT])
        return facts
    facts.stream = "event-stream" in facts.headers.get("content-type", "") or reply.phase in ("body_pre_output", "body_post_output")
    documents = list(_documents(text, facts))
    for document in documents:
        _walk(document, facts)
    if not documents and not facts.stream:
        _say(text, facts)
    if facts.stream:
        facts.tokens += [token(reason) for reason in _FINISHED.findall(text)[-1:]]
        facts.ended = bool(_ENDED.search(text) or _FINISHED.search(text))
    facts.relayed = facts.relayed or any(name.startswith("llm_provider-") for name in facts.headers)
    facts.message = "\n".join(facts.texts)[:_MOST_TEXT]
    facts.words = words(facts.message)
    facts.empty = not facts.texts and not facts.tokens
    facts.tokens += _BRACKETED.findall(facts.message)
    facts.status = facts.inner if facts.inner and facts.status < 400 else facts.status
    return facts


def _documents(text: str, facts: Facts) -> Iterator[Any]:
    """The JSON values of a body. Of a stream, only the events that tell of a failure: the others are output."""
    body = text.lstrip()
    if body[:1] in ("{", "[", '"') and not facts.stream:
        document, _ = _decode(body)
        if document is not None:
            yield document
        return
    for line in body.splitlines():
        data = line.removeprefix("data:").strip()
        if data[:1] != "{" or not any(mark in data for mark in ("rror", "fail", "base_resp", "xception", "incomplete")):
            continue
        event, _ = _decode(data)
        if isinstance(event, dict) and (event.get("error") or "choices" not in event and "delta" not in event):
            facts.stream = facts.stream or facts.status < 400
            yield event


def _decode(text: str) -> tuple[Any, int]:
    """The JSON value at the start of `text` and where it ends, or (None, 0): a tail after it does not matter."""
    try:
        return json.JSONDecoder(strict=False).raw_decode(text)
    except (ValueError, RecursionError):
        return None, 0


def _walk(document: Any, facts: Facts) -> None:
    """Collect codes, sentences and hint fields, level by level, without recursion."""
    queue: list[tuple[str, Any]] = [("message", document)]
    for count, (name, value) in enumerate(queue):
        if count >= _MOST_NODES:
            return
        if isinstance(value, dict):
            for key, inner in list(value.items())[:_MOST_NODES]:
                _take(str(key), inner, facts, queue)
        elif isinstance(value, list):
            queue += [(name, inner) for inner in value[:_MOST_NODES]]
        elif isinstance(value, str) and name in _SPEAKING:
            inner = _say(value, facts)
            if inner is not None:
                queue.append((name, inner))


def _take(key: str, value: Any, facts: Facts, queue: list[tuple[str, Any]]) -> None:
    name = key.lower()
    if name == "headers" and isinstance(value, dict):
        for header, content in value.items():
            facts.headers.setdefault(str(header).lower(), str(content))
    elif isinstance(value, dict | list):
        if name.endswith(("exception", "_error")):
            facts.tokens.append(token(key))
        queue.append((name if name in _SPEAKING else "", value))
    elif name in _CODING and isinstance(value, str | int) and not isinstance(value, bool):
        _code(name, str(value), facts)
    elif name == "error" and isinstance(value, str) and value.isidentifier():
        facts.tokens.append(token(value))
        facts.texts.append(value)
    elif name in _SPEAKING or (name == "param" and isinstance(value, str) and " " in value):
        queue.append(("message", value))
    elif isinstance(value, str | int | float):
        facts.relayed = facts.relayed or (name == "provider_name" and bool(value))
        facts.fields.setdefault(name, value)


def _code(name: str, value: str, facts: Facts) -> None:
    if " " in value:
        facts.texts.append(value)
    elif name in _STATUS and value.isascii() and value.isdigit() and len(value) == 3:
        facts.inner = int(value) if facts.inner is None and 400 <= int(value) <= 599 else facts.inner
    elif value and len(value) <= 120:
        facts.tokens.append(token(value))


def _say(text: str, facts: Facts) -> Any:
    """Keep a sentence; a relay's framing comes off, and a JSON value inside the sentence is returned instead of its text."""
    text = _POSTSCRIPT.sub("", text[:LONGEST_BODY])
    own = _OWN_ERROR.search(text)
    if own:
        facts.tokens.append(token(own.group(1)))
    relayed = _RELAYED.search(text)
    if relayed:
        facts.relayed = True
        text = text[relayed.end() :]
    start = text.find("{")
    inner = _decode(text[start:])[0] if start >= 0 else None
    text = text[:start] if inner else text
    if text.strip():
        facts.texts.append(text.strip()[:_MOST_TEXT])
    return inner


# --- times -----------------------------------------------------------------------------------------------------------

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|d|days?|h|hours?|m|min|minutes?|s|secs?|seconds?)?(?![a-z])")
_SECONDS = {"ms": 0.001, "mi": 0.001, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_AGAIN = re.compile(r"(?:try again|retry|reset|resets|wait|available)\s+(?:again\s+)?(?:in|after)\s+((?:\d+(?:\.\d+)?\s*[a-z]*\s*)+)", re.IGNORECASE)
_MOMENT = re.compile(r"reset[a-z]*(?: at)?:?\s+(\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?)\s*(UTC|Z|GMT)?", re.IGNORECASE)
_MS_HEADERS = ("retry-after-ms", "x-ms-retry-after-ms", "llm_provider-retry-after-ms")
_HEADERS = ("retry-after", "llm_provider-retry-after")
_DELAYS = ("retrydelay", "quotaresetdelay", "resets_in_seconds", "reset_seconds", "retry_after_seconds", "retry_after", "resets_at", "reset_at", "reset_time")
_BUCKETS = ("x-ratelimit-reset-", "anthropic-ratelimit-")


@dataclass(frozen=True, slots=True)
class Hint:
    """When to come back: `after` in seconds from now, and the header or field that said so."""

    after: float
    source: str


def hint_seconds(headers: Mapping[str, str], body: Facts, now: float, *, utc_offset: float | None = None, daily: bool = False) -> Hint | None:
    """The provider's word on when to come back, in the order of errors.md 2.4.5, or None. Never raises. Values that are
    negative, infinite or no number are not believed; longer ones than 32 days are cut. With `daily` the RetryInfo of an
    allowance is passed over (Gemini says 37 s of a day). Dates count from the answer's own `Date`, where it has one."""
    base = _moment(headers.get("date", "")) or now
    for after, source in _hints(headers, body, base, now, utc_offset):
        if after is not None and after >= 0 and not math.isnan(after) and not (daily and source == "retrydelay"):
            return Hint(min(after, LONGEST_HINT), source) if after != math.inf else None
    return None


def _hints(headers: Mapping[str, str], body: Facts, base: float, now: float, utc_offset: float | None) -> Iterator[tuple[float | None, str]]:
    for name in _MS_HEADERS:
        value = _number(headers.get(name))
        yield (None if value is None else value / 1000), name
    for name in _HEADERS:
        yield _span(headers.get(name), base), name
    for name in _DELAYS:
        yield _span(body.fields.get(name), now), name
    yield _span(headers.get("anthropic-ratelimit-unified-reset"), now), "anthropic-ratelimit-unified-reset"
    yield _span(headers.get("x-ratelimit-reset"), now), "x-ratelimit-reset"
    moment = _MOMENT.search(body.message)
    if moment and (moment.group(2) or utc_offset is not None):
        zone = UTC if moment.group(2) else timezone(timedelta(hours=utc_offset or 0))
        at = _moment(moment.group(1), zone)
        yield (None if at is None else at - now), "words"
    again = _AGAIN.search(body.message)
    yield (_span(again.group(1), now) if again else None), "words"
    yield _bucket(headers, now), "x-ratelimit-reset"


def _bucket(headers: Mapping[str, str], now: float) -> float | None:
    """The shortest reset among the used-up buckets of a rate limiter, or among all when it does not say which is used up."""
    spans: dict[str, float] = {}
    for name, value in headers.items():
        if name.startswith(_BUCKETS) and "reset" in name and "unified" not in name:
            span = _span(value, now)
            if span is not None:
                spans[name] = span
    empty = [span for name, span in spans.items() if headers.get(name.replace("reset", "remaining")) == "0"]
    return min(empty or spans.values(), default=None)


def unified_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until the rejected window of an Anthropic subscription opens, or None when none is rejected."""
    if headers.get("anthropic-ratelimit-unified-status") != "rejected":
        return None
    rejected = [n.removesuffix("-status") for n, v in headers.items() if n.startswith("anthropic-ratelimit-unified-") and n.endswith("-status") and v == "rejected"]
    resets = [_span(headers.get(f"{name}-reset"), now) for name in (*rejected, "anthropic-ratelimit-unified")]
    return min(max((span for span in resets if span is not None and span >= 0), default=0.0), LONGEST_HINT)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return None if isinstance(value, bool) or math.isnan(number) else number


def _span(value: Any, now: float) -> float | None:
    """Seconds from now: of a number of seconds, an epoch time in s or ms, a duration (`2m59.56s`, `7 seconds`) or a date."""
    number = _number(value)
    if number is not None:
        if number > 1e11:
            number /= 1000
        return number - now if number > 1e9 else number
    if not isinstance(value, str) or len(value) > 100:
        return None
    moment = _moment(value)
    if moment is not None:
        return moment - now
    parts = _DURATION.findall(value.lower())
    if not parts or value.lstrip().startswith("-"):
        return None
    return sum(float(amount) * (_SECONDS["ms"] if unit[:2] in ("ms", "mi") and not unit.startswith("min") else _SECONDS[unit[:1] or "s"]) for amount, unit in parts)


def _moment(value: str, zone: timezone = UTC) -> float | None:
    """Epoch seconds of an HTTP date or an ISO 8601 one; a date without a zone is read in `zone`."""
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None
