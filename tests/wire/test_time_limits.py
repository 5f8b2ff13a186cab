"""The shorter of two limits of time counts: the caller's own, and the user's."""

from __future__ import annotations

import pytest

from holdfast.core.config import Limits
from holdfast.wire.time_limits import TimeLimits, time_limits


@pytest.mark.parametrize(
    ("own", "limits", "connect", "read", "stall"),
    [
        ({}, TimeLimits(), None, None, None),
        ({"connect": 5.0, "read": 600.0}, TimeLimits(), 5.0, 600.0, 600.0),
        ({"connect": None, "read": None}, TimeLimits(1.0, 2.0, 3.0), 1.0, 2.0, 3.0),
        ({"connect": 5.0, "read": 600.0}, TimeLimits(9.0, 60.0, 3.0), 5.0, 60.0, 3.0),
        ({"connect": 5.0, "read": 20.0}, TimeLimits(1.0, 60.0, None), 1.0, 20.0, 20.0),
    ],
)
def test_the_shorter_of_two_limits_counts(
    own: dict[str, float | None],
    limits: TimeLimits,
    connect: float | None,
    read: float | None,
    stall: float | None,
) -> None:
    effective = limits.until_head(own | {"pool": 7.0})
    assert effective == {"connect": connect, "read": read, "pool": 7.0}
    assert limits.after_head(own) == stall


def test_a_user_who_sets_nothing_limits_nothing() -> None:
    assert time_limits(Limits()) == TimeLimits()
    assert time_limits(Limits(connect_timeout=1.0, answer_timeout=2.0, stall_timeout=3.0)) == (1, 2, 3)
