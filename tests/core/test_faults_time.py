"""When to come back: the many ways of saying it, and the values that must not be believed."""

from __future__ import annotations

import json

import pytest

from holdfast.core.classify import classify
from holdfast.core.faults import FaultClass, Reply
from holdfast.providers import profiles

NOW = 1_794_900_000.0  # 2026-11-17 07:20:00 UTC
LONGEST = 32 * 86_400


def after(
    headers: dict[str, str], body: object = None, *, provider: str | None = None, status: int = 429
) -> tuple[str, float | None]:
    raw = json.dumps(body if body is not None else {"message": "Too many requests"}).encode()
    fault = classify(Reply(status, tuple(headers.items()), raw), profiles.load(provider), now=NOW)
    return str(fault.kind), None if fault.retry_after is None else round(fault.retry_after, 3)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12),
        ({"retry-after": "0"}, 0),
        ({"retry-after-ms": "1500", "retry-after": "99"}, 1.5),
        ({"x-ms-retry-after-ms": "250"}, 0.25),
        ({"llm_provider-retry-after": "7"}, 7),
        ({"retry-after": "Tue, 17 Nov 2026 07:20:30 GMT"}, 30),
        ({"retry-after": "Tue, 17 Nov 2026 09:00:20 GMT", "date": "Tue, 17 Nov 2026 09:00:00 GMT"}, 20),
        ({"x-ratelimit-reset-requests": "2m59.56s", "x-ratelimit-reset-tokens": "7.66s"}, 7.66),
        (
            {
                "x-ratelimit-reset-requests": "1m30s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "2s",
            },
            90,
        ),
        ({"x-ratelimit-reset-tokens": "479ms"}, 0.479),
        ({"x-ratelimit-reset": str(int(NOW) + 50)}, 50),
        ({"x-ratelimit-reset": str((int(NOW) + 50) * 1000)}, 50),
        (
            {
                "anthropic-ratelimit-requests-reset": "2026-11-17T07:20:09Z",
                "anthropic-ratelimit-requests-remaining": "0",
            },
            9,
        ),
    ],
)
def test_a_hint_is_read_from_headers(headers, seconds):
    kind, got = after(headers)
    assert got == pytest.approx(seconds)
    assert kind in ("rate_limited", "provider_unavailable")


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"error": {"message": "x", "details": [{"@type": "RetryInfo", "retryDelay": "20s"}]}}, 20),
        ({"error": {"message": "x", "resets_in_seconds": 33}}, 33),
        ({"error": {"message": "x", "resets_at": NOW + 44}}, 44),
        ({"error": {"message": "Please try again in 11.455s. Need more?"}}, 11.455),
        ({"error": {"message": "Rate limit is exceeded. Try again in 2 seconds."}}, 2),
        ({"error": {"message": "retry after 1 minute 10 seconds please"}}, 70),
        ({"error": {"message": "Limit resets at: 2026-11-17 07:20:25 UTC"}}, 25),
        (
            {
                "error": {
                    "message": "slow down",
                    "metadata": {"headers": {"X-RateLimit-Reset": str(int(NOW + 9) * 1000)}},
                }
            },
            9,
        ),
        ({"error": {"message": "resets at 2026-11-17 07:20:25"}}, None),  # no zone: the moment is unknown
        ({"error": {"message": "slow down", "retry_after": True}}, None),
        ({"error": {"message": "slow down", "retry_after": [1]}}, None),
        ({"error": {"message": "slow down", "retry_after": "soon"}}, None),
        ({"error": {"message": "slow down", "retry_after": "-5s"}}, None),
    ],
)
def test_a_hint_is_read_from_the_body(body, seconds):
    assert after({}, body)[1] == (seconds if seconds is None else pytest.approx(seconds))


def test_a_moment_without_a_zone_is_read_in_the_zone_of_its_provider():
    body = {
        "error": {
            "code": "1308",
            "message": "Usage limit reached for 5 hour. Your limit will reset at 2026-11-17 17:20:00",
        }
    }
    assert after({}, body, provider="zai") == ("quota_window", 7_200)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("504641000", 504_641),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("1e999", None),
        ("1e12", LONGEST),
        ("", None),
        ("abc", None),
        ("9" * 500, None),
    ],
)
def test_hostile_milliseconds_are_cut_or_not_believed(value, wanted):
    kind, got = after({"retry-after-ms": value})
    assert got == wanted
    assert kind == ("rate_limited" if wanted is None else "quota_window")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("Thu, 31 Dec 2099 23:59:59 GMT", LONGEST),
        ("Mon, 01 Jan 1990 00:00:00 GMT", None),
        ("0001-01-01T00:00:00", None),
        ("99999-12-31", None),
        ("2026-13-45T99:99:99Z", None),
        ("x" * 500, None),
    ],
)
def test_a_hostile_date_is_cut_or_not_believed(value, wanted):
    assert after({"retry-after": value})[1] == wanted


def test_a_throttle_of_more_than_two_minutes_is_a_window_that_no_request_waits_for():
    assert after({"retry-after": "120"})[0] == "rate_limited"
    assert after({"retry-after": "121"})[0] == "quota_window"


def test_the_retry_info_of_a_daily_allowance_is_not_believed():
    body = {
        "error": {
            "message": "quota",
            "details": [
                {"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]},
                {"retryDelay": "37s"},
            ],
        }
    }
    assert after({}, body, provider="gemini") == ("quota_window", None)


def test_a_rejected_window_without_its_reset_is_still_a_window():
    assert after({"anthropic-ratelimit-unified-status": "rejected"}) == ("quota_window", None)


def test_the_moment_is_given_beside_the_span():
    fault = classify(Reply(429, (("retry-after", "30"),), b"{}"), profiles.load(None), now=NOW)
    assert (fault.kind, fault.reset_at) == (FaultClass.RATE_LIMITED, NOW + 30)
    assert "hint:retry-after" in fault.signs
