"""One reader of durations and times: what providers, control planes, programs and users write, and what must
not be believed."""

from __future__ import annotations

from datetime import timedelta, timezone
from math import inf, isfinite, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.values import times
from tables import rows

NOW = 1_794_900_000.0  # 2026-11-17 07:20:00 UTC
HOSTILE: list[object] = [
    None, True, False, [], {}, b"5", nan, inf, -inf, 10**400,
    "", " ", "nan", "inf", "-inf", "1e309", "9" * 500, "0x10", "1_000", "1;2", "\x00", "٣", "soon", "-",
    "e5", ".", "p", "pt", "T", "-5s", "5 s -", "x" * 500, "5d" * 200, "99999-12-31", "2026-13-45T99:99:99Z",
]  # fmt: skip


@rows("value", HOSTILE, ids=lambda value: repr(value)[:20])
def test_what_says_no_time_is_not_believed(value: object) -> None:
    results = [times.number(value), times.duration(value), times.moment(value), times.wait(value, NOW)]
    assert results == [None] * 4


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (0, 0),
        (12, 12),
        (-5, -5),
        (2.5, 2.5),
        ("12", 12),
        (" 12 ", 12),
        ("-1", -1),
        ("+3", 3),
        ("1.", 1),
        (".5", 0.5),
        ("1e12", 1e12),
        ("1E-3", 0.001),
    ],
)
def test_a_number_is_read_with_its_sign(value: object, result: float) -> None:
    assert times.number(value) == result
    assert times.duration(value) == result


@rows(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("479 ms", 0.479),
        ("250µs", 0.00025),
        ("250us", 0.00025),
        ("3ns", 3e-9),
        ("90s", 90),
        ("7.66s", 7.66),
        ("7 seconds", 7),
        ("1 second", 1),
        ("2m59.56s", 179.56),
        ("10m", 600),
        ("36 minutes", 2_160),
        ("1h30m", 5_400),
        ("3hr 2min", 10_920),
        ("2H", 7_200),
        ("71h15m27s", 256_527),
        ("1 minute 10 seconds", 70),
        ("1 minute, 10 seconds", 70),
        ("1 hour and 5 minutes", 3_900),
        ("7d", 604_800),
        ("3 days", 259_200),
        ("2 weeks", 1_209_600),
        ("PT30S", 30),
        ("PT1.5M", 90),
        ("P1DT2H", 93_600),
        ("P2W", 1_209_600),
    ],
)
def test_a_duration_is_read_in_every_spelling(text: str, seconds: float) -> None:
    assert times.duration(text) == pytest.approx(seconds)
    assert times.wait(text, NOW) == pytest.approx(seconds)


HALF_UNDERSTOOD = [
    "1 month",
    "P1M",
    "2 years",
    "30 requests",
    "5 mistakes",
    "1h 30",
    "h",
    "1.s",
    "1..2s",
    "120, 60",
    "00:05:00",
]


@pytest.mark.parametrize("text", HALF_UNDERSTOOD)
def test_a_duration_that_is_only_half_understood_is_none(text: str) -> None:
    assert times.duration(text) is None


@rows(
    ("value", "at"),
    [
        (NOW, NOW),
        (str(int(NOW)), NOW),
        (NOW * 1000, NOW),
        (str(int(NOW) * 1000), NOW),
        (5, 5),
        ("2026-11-17T07:20:00Z", NOW),
        ("2026-11-17t07:20:00z", NOW),
        (" 2026-11-17 07:20:00 UTC ", NOW),
        ("2026-11-17T09:20:00+02:00", NOW),
        ("2026-11-17T07:20:00.25Z", NOW + 0.25),
        ("2026-11-17T07:20:00.123456789+00:00", NOW + 0.123456),
        ("2026-11-17T07:20:00", NOW),
        ("2026-11-17T07:20", NOW),
        ("2026-11-17", NOW - 7 * 3_600 - 20 * 60),
        ("Tue, 17 Nov 2026 07:20:00 GMT", NOW),
        ("Tuesday, 17-Nov-26 07:20:00 GMT", NOW),
        ("Tue Nov 17 07:20:00 2026", NOW),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("0001-01-01T00:00:00", -62_135_596_800),
    ],
)
def test_a_time_is_read_in_every_spelling(value: object, at: float) -> None:
    assert times.moment(value) == pytest.approx(at, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-17T07:20:00", NOW - 8 * 3_600),
        ("Tue Nov 17 07:20:00 2026", NOW - 8 * 3_600),
        ("2026-11-17T07:20:00Z", NOW),
        ("2026-11-17 07:20:00 GMT", NOW),
        ("Tue, 17 Nov 2026 07:20:00 GMT", NOW),
    ],
)
def test_only_a_time_without_a_zone_is_read_in_the_zone_that_is_given(text: str, at: float) -> None:
    assert times.moment(text, timezone(timedelta(hours=8))) == at


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (30, 30),
        ("30", 30),
        (-5, -5),
        (NOW + 44, 44),
        (str(int(NOW + 44) * 1000), 44),
        ("2026-11-17T07:20:09Z", 9),
        ("Tue, 17 Nov 2026 07:20:30 GMT", 30),
        ("Tue, 17 Nov 2026 07:19:30 GMT", -30),
    ],
)
def test_a_wait_is_counted_from_now_to_a_time_and_taken_from_a_duration(
    value: object, seconds: float
) -> None:
    assert times.wait(value, NOW) == pytest.approx(seconds)


_written = st.from_regex(times.WRITTEN, fullmatch=True)


@given(st.one_of(st.text(max_size=120), st.floats(), st.integers(), _written, st.datetimes().map(str)))
def test_whatever_is_read_is_a_finite_number_or_none(value: object) -> None:
    for result in (times.number(value), times.duration(value), times.moment(value), times.wait(value, NOW)):
        assert result is None or isfinite(result)
