"""A caller's deadline: within it a request is recovered as ever, and at its end nothing is sent, waited for
or concluded any more."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

import world as w
from holdfast.core.faults import FaultClass, Reply
from holdfast.core.steps import Probe, Send

F = FaultClass
PIN = w.route(w.provider("plan", "a"))
TWO = w.route(w.provider("plan", "a", "b"))
SPARE = w.route(w.provider("spare", "s"))


def slow_down(seconds: float) -> Reply:
    return w.reply(429, "rate_limit_exceeded", "Rate limit", {"retry-after": f"{seconds:g}"})


def test_a_wait_that_is_longer_than_the_deadline_is_not_begun() -> None:
    sim = w.Sim()
    began = sim.now
    outcome = sim.run(w.call(PIN, ends=sim.now + 2), lambda send, now: slow_down(8))
    assert outcome.fault is not None
    assert (outcome.fault.kind, outcome.fault.retry_after) == (F.RATE_LIMITED, 8)
    assert sim.now - began < 0.2
    assert outcome.attempts[-1].then == "not tried again: the deadline of the call comes first"


def test_a_wait_that_ends_before_the_deadline_is_waited_for() -> None:
    sim = w.Sim()
    outcome = sim.run(w.call(PIN, ends=sim.now + 2), [slow_down(1.5), None])
    assert outcome.fault is None
    assert [send.after for send in sim.sends] == [0.0, 1.5]


def test_the_time_that_the_sends_took_is_counted() -> None:
    sim = w.Sim()

    def slowly(send: Send, now: float) -> Reply:
        sim.now += 1.5
        return slow_down(1)

    assert sim.run(w.call(PIN, ends=sim.now + 2), slowly).sends == 1


def test_neither_a_spare_key_nor_a_fallback_is_asked_after_the_deadline() -> None:
    def slowly(send: Send, now: float) -> Reply:
        sim.now += 1.5
        return w.BROKE

    for ends, labels in ((1.0, ["a"]), (2.0, ["a", "b"]), (inf, ["a", "b", "s"])):
        sim = w.Sim()
        sim.run(w.call(TWO, SPARE, ends=sim.now + ends), slowly)
        assert sim.labels == labels


def test_a_key_that_could_not_be_tested_in_time_is_not_taken_for_a_bad_one() -> None:
    sim = w.Sim()
    sim.run(w.call(PIN), [None])
    sim.steps.clear()
    sim.now += 60
    outcome = sim.run(w.call(PIN, ends=sim.now + 1.2), lambda send, now: w.BAD_KEY)
    assert outcome.fault is not None
    assert outcome.fault.kind is F.AUTH_REJECTED
    assert [send.after for send in sim.sends] == [0.0, 0.5], "the tests after 1 s and 2 s come too late"
    assert not sim.cooled
    assert sim.run(w.call(PIN), [w.BAD_KEY, None]).fault is None, "the next request tests it"


ANSWERS = [w.BAD_KEY, w.THROTTLED, w.OVERLOADED, w.UNAVAILABLE, w.BROKEN, w.REFUSED_LINE, w.BROKE, w.NO_MODEL]
ANSWERS += [slow_down(1), slow_down(3), slow_down(8)]


@given(
    ends=st.floats(0.05, 12),
    took=st.lists(st.floats(0, 4), min_size=8, max_size=8),
    answers=st.lists(st.sampled_from([None, *ANSWERS]), min_size=8, max_size=8),
    known=st.booleans(),
)
def test_nothing_is_sent_or_begun_after_the_deadline(
    ends: float, took: list[float], answers: list[Reply | None], known: bool
) -> None:
    sim = w.Sim()
    if known:
        sim.run(w.call(PIN), [None])
    sim.steps.clear()
    end = sim.now + ends
    sent_at: list[float] = []

    def script(send: Send, now: float) -> Reply | None:
        sent_at.append(now)
        sim.now += took[len(sent_at) - 1]
        return answers[len(sent_at) - 1]

    outcome = sim.run(w.call(TWO, SPARE, ends=end), script)
    assert all(at < end for at in sent_at)
    assert outcome.fault is None or outcome.sends == len(sent_at)


@pytest.mark.parametrize("ends", [inf, 5.0])
def test_a_deadline_bounds_how_long_another_request_is_waited_for(ends: float) -> None:
    sim = w.Sim(busy_probes=[lambda sim: setattr(sim, "now", sim.now + 4)] * 9)
    sim.run(w.call(PIN), [None])
    sim.steps.clear()
    sim.run(w.call(PIN, ends=sim.now + ends), lambda send, now: w.BAD_KEY)
    probes = [step for step in sim.steps if isinstance(step, Probe)]
    assert len(probes) <= (2 if ends == 5.0 else 16)
