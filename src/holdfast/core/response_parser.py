"""An answer turned into facts: codes, words, numbers, times. It unwraps what providers wrap (arrays, JSON in
a string, SSE, a relay's sentence) and never raises, whatever the bytes are. What the facts mean is decided
elsewhere."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta, timezone
from typing import TYPE_CHECKING, Any

from . import times

if TYPE_CHECKING:
    from .faults import Reply

LONGEST_BODY = 65_536
LONGEST_HINT = 32 * 86_400.0  # the longest allowance anyone sells is a month
_MOST_TEXT = 4_000
_MOST_VALUES = 400

_SPEAKING = frozenset(
    """
    message msg error detail details description error_description error_message error_msg errormessage
    status_msg raw title body
    """.split()
)
_CODING = frozenset(
    """
    code type status reason errorcode errcode errortype quotaid statuscode finishreason blockreason name
    """.split()
)
_STATUS = frozenset({"code", "status", "status_code", "statuscode", "http_code", "error_code"})
_URL = re.compile(r"https?://\S+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NO_WORD = re.compile(r"[\W_]+")
_PAGE = re.compile(r"\s*<(?:!doctype html|html|head|body|center|h1)", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]{0,200}>\s*([^<]*)", re.IGNORECASE)
_BRACKETED = re.compile(r"[\[(](\d{4,5})[\])]")
# LiteLLM names the class of its own error, then relays: "litellm.X: YException - what the supplier said"; its
# postscript is no news.
_OWN_ERROR = re.compile(r"\blitellm\.(\w+):")
_RELAYED = re.compile(
    r"(?is)\blitellm\.\w+: .{0,200}?(?:Exception|Error)\b[\w :]{0,60} - "
    r"|^\w{1,40}Error: \w{1,40}Exception - |\berror from provider ?\("
    r"|^(?=.{0,2000}No fallback model group found)"
)
_POSTSCRIPT = re.compile(
    r"(?:LiteLLM: model group|Received Model Group=|model=\S{1,100} context_window_fallbacks"
    r"|Deployment Info:).*",
    re.DOTALL,
)
_FINISHED = re.compile(r'"(?:finish_?[rR]eason|stop_reason|blockReason)"\s*:\s*"(\w+)"')
_ENDED = re.compile(r'\[DONE\]|message_stop|"response\.(?:completed|failed|incomplete)|"done"\s*:\s*true')
_TROUBLE = re.compile(r"rror|fail|base_resp|xception|incomplete")


def words(text: str) -> str:
    """`text` as the rules read it: lower case, no URLs, every run of punctuation one space, a space at both
    ends."""
    return f" {_NO_WORD.sub(' ', _URL.sub(' ', text).lower()).strip()} "


def token(code: str) -> str:
    """A code in one spelling: `InsufficientQuota`, `insufficient-quota` and `INSUFFICIENT_QUOTA` are the
    same."""
    return _NO_WORD.sub("_", _CAMEL.sub("_", code)).strip("_").lower()


@dataclass(slots=True)
class Facts:
    """What one answer says. `status` is the answer's own where HTTP says 200; `tokens` are its codes and
    types in the order of their appearance; `fields` are hint fields by lower-case name; `headers` hold those
    quoted in the body too."""

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
    facts = Facts(reply.status or 0, dict(reply.headers[:200]))
    exceptions = (
        facts.headers.get(name) for name in ("x-amzn-errortype", ":exception-type", "x-ms-error-code")
    )
    facts.tokens += [token(name.partition(":")[0]) for name in exceptions if name]
    text = reply.body[:LONGEST_BODY].decode("utf-8", "replace").lstrip("\ufeff")
    facts.page = bool(_PAGE.match(text))
    if facts.page:
        title = _TITLE.search(text)
        facts.message = title[1].strip() if title else "an HTML page"
        facts.words = words(text[:_MOST_TEXT])
        return facts
    streams = reply.phase in ("body_pre_output", "body_post_output") or "event-stream" in facts.headers.get(
        "content-type", ""
    )
    facts.stream = streams and 0 < facts.status < 400
    documents = list(_documents(text.lstrip(), facts))
    _walk(documents if documents or facts.stream else [text], facts)
    if facts.stream:
        reasons = _FINISHED.findall(text)
        facts.tokens += map(token, reasons[-1:])
        facts.ended = bool(reasons or _ENDED.search(text))
    facts.relayed = facts.relayed or any(name.startswith("llm_provider-") for name in facts.headers)
    facts.message = "\n".join(facts.texts)[:_MOST_TEXT]
    facts.words = words(facts.message)
    facts.empty = not facts.texts and not facts.tokens
    facts.tokens += _BRACKETED.findall(facts.message)
    facts.status = facts.inner if facts.inner and facts.status < 400 else facts.status
    return facts


def _documents(body: str, facts: Facts) -> Iterator[Any]:
    """The JSON values of a body. Of a stream, only the events that tell of a failure: the others are
    output."""
    if body[:1] in ("{", "[", '"') and not facts.stream:
        document = _decode(body)
        yield from () if document is None else (document,)
        return
    one = (
        body[:1] in ("{", "[") and _decode(body.partition("\n")[0]) is None
    )  # one value over many lines, not a line each
    for line in (body,) if one else body.splitlines():
        data = line.removeprefix("data:").strip().lstrip("[")
        event = _decode(data) if data[:1] == "{" and _TROUBLE.search(data) else None
        if event and (event.get("error") or not event.keys() & {"choices", "delta"}):
            yield event


def _decode(text: str) -> Any:
    """The JSON value at the start of `text`, or None: a tail behind it does not matter."""
    try:
        return json.JSONDecoder(strict=False).raw_decode(text)[0]
    except (ValueError, RecursionError):
        return None


def _walk(documents: list[Any], facts: Facts) -> None:
    """Collect codes, sentences and hint fields, level by level, without recursion."""
    queue: list[tuple[bool, Any]] = [
        (True, documents)
    ]  # (whether a sentence here is the provider's speech, value)
    for count, (spoken, value) in enumerate(queue):
        if count >= _MOST_VALUES:
            return
        if isinstance(value, dict):
            for key, inner in list(value.items())[:_MOST_VALUES]:
                _take(key.lower(), key, inner, facts, queue)
        elif isinstance(value, list):
            queue += [(spoken, inner) for inner in value[:_MOST_VALUES]]
        elif isinstance(value, str) and spoken:
            _say(value, facts, queue)


def _take(name: str, key: str, value: Any, facts: Facts, queue: list[tuple[bool, Any]]) -> None:
    if name == "headers" and isinstance(value, dict):
        facts.headers.update(
            {
                header.lower(): str(content)
                for header, content in value.items()
                if header.lower() not in facts.headers
            }
        )
    elif isinstance(value, dict | list):
        if name.endswith("exception"):  # Bedrock: the only key of an event is the exception's name
            facts.tokens.append(token(key))
        queue.append((name in _SPEAKING, value))
    elif name.replace("_", "") in _CODING and isinstance(value, str | int) and not isinstance(value, bool):
        _code(name, str(value), facts)
    elif name in _SPEAKING or (name == "param" and isinstance(value, str) and " " in value):
        if name == "error" and isinstance(value, str) and value.isidentifier():
            facts.tokens.append(token(value))
        queue.append((True, value))
    else:
        facts.relayed = facts.relayed or (name == "provider_name" and bool(value))
        facts.fields.setdefault(name, value)


def _code(name: str, value: str, facts: Facts) -> None:
    """A code is a token; a sentence in its place (xAI) is speech; the status as text (Azure) is a status."""
    if " " in value:
        facts.texts.append(value[:_MOST_TEXT])
    elif name in _STATUS and len(value) == 3 and value.isdecimal():
        facts.inner = facts.inner or (int(value) if 400 <= int(value) <= 599 else None)
    elif 0 < len(value) <= 120:
        facts.tokens.append(token(value))


def _say(text: str, facts: Facts, queue: list[tuple[bool, Any]]) -> None:
    """Keep a sentence without a relay's framing; a JSON value inside it is walked instead of being read as
    text."""
    text = _POSTSCRIPT.sub("", text[:LONGEST_BODY])
    facts.tokens += map(token, _OWN_ERROR.findall(text, 0, _MOST_TEXT)[:1])
    relayed = _RELAYED.search(text, 0, _MOST_TEXT)
    if relayed:
        facts.relayed, text = True, text[relayed.end() :]
    start = text.find("{")
    inner = _decode(text[start:]) if start >= 0 else None
    if inner:
        queue.append((True, inner))
        text = text[:start]
    if text.strip():
        facts.texts.append(text.strip()[:_MOST_TEXT])


_AGAIN = re.compile(
    r"(?:try again|retry|resets?|wait|available)(?: again)? (?:in|after)"
    rf" ({times.WRITTEN}|\d{{1,15}}(?:\.\d{{1,15}})?(?!\d|\.\d| ?[a-z]))",
    re.ASCII | re.IGNORECASE,
)
_MOMENT = re.compile(
    r"reset[a-z]*(?: at)?:? (\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?) ?(UTC|Z|GMT)?", re.IGNORECASE
)
# The headers (with hyphens) and body fields that say when to come back, the most exact first.
_HINTS = """
    retry-after-ms x-ms-retry-after-ms llm_provider-retry-after-ms retry-after llm_provider-retry-after
    retrydelay quotaresetdelay resets_in_seconds reset_seconds retry_after_seconds retry_after resets_at
    reset_at reset_time
    anthropic-ratelimit-unified-reset x-ratelimit-reset
""".split()


def hint_seconds(
    facts: Facts, now: float, *, utc_offset: float | None = None, window: bool = False
) -> tuple[float | None, str | None]:
    """(seconds until the provider wants to see us again, the header or field that says so), or (None, None).

    Never raises. Values that are negative, infinite or no number are not believed; longer ones than 32 days
    are cut. In a `window`, the header of the rejected subscription window speaks first and RetryInfo not at
    all: Gemini says 37 s of a day."""
    rejected = unified_reset(facts.headers, now) if window else None
    if rejected:
        return rejected, "anthropic-ratelimit-unified"
    for after, source in _hints(facts, now, utc_offset):
        if after is not None and 0 <= after < math.inf and not (window and source == "retrydelay"):
            return min(after, LONGEST_HINT), source
    return None, None


def _hints(facts: Facts, now: float, utc_offset: float | None) -> Iterator[tuple[float | None, str]]:
    headers = facts.headers
    sent = times.moment(headers.get("date", "")) or now
    for name in _HINTS:
        value = headers.get(name) if "-" in name else facts.fields.get(name)
        if name.endswith("-ms"):
            milliseconds = times.number(value)
            yield (None if milliseconds is None else milliseconds / 1000), name
        else:
            yield times.wait(value, sent if name.endswith("retry-after") else now), name
    moment = _MOMENT.search(facts.message)
    if moment and (moment[2] or utc_offset is not None):
        at = times.moment(moment[1], UTC if moment[2] else timezone(timedelta(hours=utc_offset or 0)))
        yield (None if at is None else at - now), "words"
    again = _AGAIN.search(facts.message)
    yield (times.wait(again[1], now) if again else None), "words"
    yield _bucket(headers, now), "x-ratelimit-reset-*"


def _bucket(headers: Mapping[str, str], now: float) -> float | None:
    """The shortest reset among the used-up buckets of a rate limiter, or among all when it does not say which
    is used up."""
    names = [
        name
        for name in headers
        if name.startswith(("x-ratelimit-reset-", "anthropic-ratelimit-"))
        and "reset" in name
        and "unified" not in name
    ]
    used_up = [name for name in names if headers.get(name.replace("reset", "remaining")) == "0"]
    return min(
        (span for span in (times.wait(headers[name], now) for name in used_up or names) if span is not None),
        default=None,
    )


def unified_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until the rejected window of an Anthropic subscription opens (0.0: not said); None when none is
    rejected."""
    family = "anthropic-ratelimit-unified"
    if headers.get(f"{family}-status") != "rejected":
        return None
    # "overage" is money for more than the allowance: it is rejected for everybody who has not bought it
    rejected = [
        name.removesuffix("-status")
        for name, value in headers.items()
        if name.startswith(family) and value == "rejected" and "overage" not in name
    ]
    spans = (times.wait(headers.get(f"{name}-reset"), now) for name in rejected)
    return min(
        max((span for span in spans if span is not None and 0 <= span < math.inf), default=0.0), LONGEST_HINT
    )
