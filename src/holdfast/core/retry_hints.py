"""When a provider wants to be asked again, as its headers, fields and sentences say it.

Nothing here raises, whatever an answer holds. Times are seconds from now."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta, timezone

from ..values import times
from .response_parser import Facts

LONGEST_HINT = 32 * 86_400.0
"""Seconds: the longest allowance that anyone sells is a month."""
_AGAIN = re.compile(
    r"(?:try again|retry|resets?|wait|available)(?: again)? (?:in|after)"
    rf" ({times.WRITTEN}|\d{{1,15}}(?:\.\d{{1,15}})?(?!\d|\.\d| ?[a-z]))",
    re.ASCII | re.IGNORECASE,
)
_MOMENT = re.compile(
    r"reset[a-z]*(?: at)?:? (\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d)?) ?(UTC|Z|GMT)?", re.IGNORECASE
)
_HINTS = """
    retry-after-ms x-ms-retry-after-ms llm_provider-retry-after-ms retry-after llm_provider-retry-after
    retrydelay quotaresetdelay resets_in_seconds reset_seconds retry_after_seconds retry_after_s retry_after
    resets_at reset_at reset_time
    anthropic-ratelimit-unified-reset x-ratelimit-reset
""".split()
"""The headers (with hyphens) and body fields that say when to come back, the most exact first."""
_BUCKET_RESET = re.compile(r"(?!.*unified)(?:x-ratelimit-reset-|anthropic-ratelimit-.*reset)")
_SUBSCRIPTION = "anthropic-ratelimit-unified"
_MODEL_WINDOW = re.compile(r"(?:hour|day|week|month|\d[hdw])_(?!overage)[a-z]")


def hint_seconds(
    facts: Facts, now: float, *, utc_offset: float | None = None, window: bool = False
) -> tuple[float | None, str | None]:
    """Return (seconds until the provider wants to be asked again, the header or field that says so), or
    (None, None).

    Values that are negative, infinite or no number are not believed; those over 32 days are cut. In a
    `window`, the header of the rejected subscription window speaks first and RetryInfo not at all: Gemini
    says 37 s of a day. `utc_offset` (hours) holds for times without a zone."""
    rejected = window and unified_reset(facts.headers, now)
    if rejected:
        return rejected, _SUBSCRIPTION
    for after, source in _hints(facts, now, utc_offset):
        if window and source == "retrydelay":
            continue
        if after is not None and 0 <= after < math.inf:
            return min(after, LONGEST_HINT), source
    return None, None


def unified_reset(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds until the rejected window of an Anthropic subscription opens, 0.0 where that is not
    said; None when no window is rejected."""
    if headers.get(f"{_SUBSCRIPTION}-status") != "rejected":
        return None
    opens = 0.0
    for name, value in headers.items():
        # "overage" is paid use beyond the allowance: it is rejected for every account that has not bought it
        if value != "rejected" or not name.startswith(_SUBSCRIPTION) or "overage" in name:
            continue
        span = times.wait(headers.get(f"{name.removesuffix('-status')}-reset"), now)
        if span is not None and span < math.inf:
            opens = max(opens, span)
    return min(opens, LONGEST_HINT)


def of_one_model(facts: Facts) -> bool:
    """Return whether the limit that an answer reports is one model's, as its fields say: the dimensions or
    the name of a quota, or the window that a subscription's headers claim (`seven_day_opus`)."""
    claim = facts.headers.get(f"{_SUBSCRIPTION}-representative-claim") or facts.fields.get("claim")
    rejected = [
        name
        for name, value in facts.headers.items()
        if value == "rejected" and name.startswith(_SUBSCRIPTION) and "overage" not in name
    ]
    windows = [str(claim)] if claim else [name for name in rejected if name != f"{_SUBSCRIPTION}-status"]
    if windows and all(map(_MODEL_WINDOW.search, windows)):
        return True
    return facts.of_a_model or any("per_model" in code or "per_base_model" in code for code in facts.tokens)


def _hints(facts: Facts, now: float, utc_offset: float | None) -> Iterator[tuple[float | None, str]]:
    """Give (seconds or None, source) of every place that may hold a hint, the most exact first."""
    sent = times.moment(facts.headers.get("date", "")) or now
    for name in _HINTS:
        if name in facts.headers or name in facts.fields:
            yield _named_hint(name, facts, now, sent), name
    reset = _MOMENT.search(facts.message)
    if reset and reset[2]:
        yield times.wait(reset[1], now), "words"
    elif reset and utc_offset is not None:
        yield times.wait(reset[1], now, timezone(timedelta(hours=utc_offset))), "words"
    again = _AGAIN.search(facts.message)
    if again:
        yield times.wait(again[1], now), "words"
    yield _bucket(facts.headers, now), "x-ratelimit-reset-*"


def _named_hint(name: str, facts: Facts, now: float, sent: float) -> float | None:
    """Return the seconds that one header or field names; `retry-after` counts from when the answer was
    `sent`."""
    if name.endswith("-ms"):
        milliseconds = times.number(facts.headers.get(name))
        if milliseconds is None:
            return None
        return milliseconds / 1000
    if name.endswith("retry-after"):
        return times.wait(facts.headers.get(name), sent)
    if "-" in name:
        return times.wait(facts.headers.get(name), now)
    return times.wait(facts.fields.get(name), now)


def _bucket(headers: Mapping[str, str], now: float) -> float | None:
    """Return the shortest reset among the used-up buckets of a rate limiter, or among all when it does not
    say which is used up."""
    names = [name for name in headers if _BUCKET_RESET.match(name)]
    used_up = [name for name in names if headers.get(name.replace("reset", "remaining")) == "0"]
    spans = (times.wait(headers[name], now) for name in used_up or names)
    return min((span for span in spans if span is not None), default=None)
