"""The shorter of two limits of time counts: the caller's own, and the user's."""

from __future__ import annotations

import pytest

from holdfast.core.config import Limits
from holdfast.wire.time_limits import Deadline, TimeLimits, seconds_of, time_limits, within_deadline


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


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_deadline_shortens_every_limit_to_what_is_left_of_the_call() -> None:
    clock = Clock()
    deadline = Deadline(5, clock)
    for now, limit, shortened in (
        (1000, None, 5),
        (1000, 60, 5),
        (1000, 2, 2),
        (1003, 60, 2),
        (1003, 0.5, 0.5),
    ):
        clock.now = now
        assert deadline.shortened(limit) == pytest.approx(shortened)
        assert not deadline.over
    timeout: dict[str, float | None] = {"connect": 1.0, "read": None}
    deadline.limit(timeout)
    assert timeout == {"connect": 1.0, "read": 2.0, "write": 2.0, "pool": 2.0}
    clock.now = 1004.999
    assert deadline.over, "clocks differ by a little"
    clock.now = 2000
    assert deadline.shortened(None) > 0, "0 would not wait at all"
    assert str(deadline) == "timed out: the deadline of 5 s for this call is over"


def test_a_deadline_is_in_force_only_while_its_call_reads() -> None:
    assert within_deadline(60) == 60
    with Deadline(5, Clock()).in_force():
        assert within_deadline(60) == 5
        with Deadline(2, Clock()).in_force():
            assert within_deadline(None) == 2
        assert within_deadline(None) == 5
    assert within_deadline(None) is None


@pytest.mark.parametrize("text", [b"5", b" 0.5 ", b"1e2"])
def test_a_header_names_seconds(text: bytes) -> None:
    assert seconds_of(text) == float(text)


@pytest.mark.parametrize("text", [b"", b"0", b"-1", b"nan", b"inf", b"5s", b"1,2"])
def test_what_is_no_positive_number_of_seconds_is_no_deadline(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"float|positive"):
        seconds_of(text)
