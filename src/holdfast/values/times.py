"""Durations and times as people and programs write them, read in one place.

Nothing here raises: what is no number, not finite or beyond the calendar is None. The caller decides whether
a value may be negative, and how long it may be."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timezone

_LONGEST_TEXT = 100
_FIRST_EPOCH = 1e9
"""A number above this is no span of seconds but a time (2001 or later) ..."""
_FIRST_MILLISECONDS = 1e11
"""... and above this a time in milliseconds."""
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?", re.ASCII | re.IGNORECASE)
_UNITS = {
    "ns nanosecond nanoseconds": 1e-9,
    "us µs μs microsecond microseconds": 1e-6,
    "ms msec msecs milli millis millisecond milliseconds": 0.001,
    "s sec secs second seconds": 1.0,
    "m min mins minute minutes": 60.0,
    "h hr hrs hour hours": 3_600.0,
    "d day days": 86_400.0,
    "w week weeks": 604_800.0,
}
_SECONDS = {name: seconds for names, seconds in _UNITS.items() for name in names.split()}
_AMOUNT = r"\d{1,15}(?:\.\d{1,15})?"
_UNIT = rf"(?:{'|'.join(sorted(_SECONDS, key=len, reverse=True))})(?![a-zµμ])"
_PARTS = re.compile(rf"({_AMOUNT}) ?({_UNIT})", re.ASCII | re.IGNORECASE)
WRITTEN = rf"{_AMOUNT} ?{_UNIT}(?: ?(?:, ?|and )?{_AMOUNT} ?{_UNIT}){{0,5}}"
"""The pattern of a duration that is written with units, such as `1h30m` or `1 minute, 10 seconds`; without
groups."""
_WRITTEN = re.compile(WRITTEN, re.ASCII | re.IGNORECASE)
_ISO_DURATION = re.compile(
    rf"p(?:({_AMOUNT})w)?(?:({_AMOUNT})d)?(?:t(?:({_AMOUNT})h)?(?:({_AMOUNT})m)?(?:({_AMOUNT})s)?)?",
    re.ASCII | re.IGNORECASE,
)
_ISO_SECONDS = (604_800.0, 86_400.0, 3_600.0, 60.0, 1.0)
_ZONE_WORD = re.compile(r"(\d) ?(?:UTC|GMT|Z)$", re.IGNORECASE)


def number(value: object) -> float | None:
    """Return a finite number, also one that is written as text in decimal digits. A boolean is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        value = value.strip()
        if len(value) > _LONGEST_TEXT or _NUMBER.fullmatch(value) is None:
            return None
    try:
        result = float(value)
    except OverflowError:
        return None
    if not math.isfinite(result):
        return None
    return result


def duration(value: object) -> float | None:
    """Return the seconds of a number of seconds (also as text) or of a text such as `500ms`, `1h30m` or
    `PT30S`."""
    seconds = number(value)
    if seconds is not None or not isinstance(value, str):
        return seconds
    text = value.strip()
    if len(text) > _LONGEST_TEXT:
        return None
    if _WRITTEN.fullmatch(text):
        return sum(float(amount) * _SECONDS[unit.lower()] for amount, unit in _PARTS.findall(text))
    iso = _ISO_DURATION.fullmatch(text)
    if iso is None or not any(iso.groups()):
        return None
    return sum(float(amount) * unit for amount, unit in zip(iso.groups("0"), _ISO_SECONDS, strict=True))


def moment(value: object, zone: timezone = UTC) -> float | None:
    """Return the epoch seconds of a number (seconds, or milliseconds where it can be nothing else), an ISO
    8601 time or an HTTP date (RFC 9110). A time that names no zone is read in `zone`."""
    seconds = number(value)
    if seconds is not None and seconds > _FIRST_MILLISECONDS:
        return seconds / 1000
    if seconds is not None:
        return seconds
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        return None
    from email.utils import parsedate_to_datetime  # costs 7 ms, and few answers need it

    text = value.strip()
    for parse, written in (
        (datetime.fromisoformat, _ZONE_WORD.sub(r"\1+00:00", text)),
        (parsedate_to_datetime, text),
    ):
        try:
            result = parse(written)
            if result.tzinfo is None:
                result = result.replace(tzinfo=zone)
            return result.timestamp()
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def wait(value: object, now: float, zone: timezone = UTC) -> float | None:
    """Return the seconds from `now` to what a provider names: a duration, or a time in any form that
    `moment` reads, in `zone` where it names none."""
    seconds = duration(value)
    if seconds is not None and seconds <= _FIRST_EPOCH:
        return seconds
    at = moment(value, zone)
    if at is None:
        return None
    return at - now
