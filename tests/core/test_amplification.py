"""What recovery costs a provider that is down, and what it saves a lone agent: figures that are promised
(docs/concepts/recovery.md)."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random

import pytest

import world as w
from holdfast.core.faults import Reply
from holdfast.core.request_flow import Flow, flow
from holdfast.core.steps import Answer, Send


def test_an_outage_of_a_minute_at_fifty_requests_a_second_is_amplified_by_at_most_a_tenth() -> None:
    sim = w.Sim()
    route = w.route(w.provider("plan", "a", "b"))
    begun, ended, requests, failed = sim.now + 5, sim.now + 65, 0, 0

    def script(send: Send, now: float) -> Reply | None:
        return w.BROKEN if begun <= now < ended else None

    start = sim.now
    for number in range(70 * 50):
        sim.now = start + number / 50  # each request at its own time, however long the one before it took
        sends = len(sim.sends)
        down = begun <= sim.now < ended
        outcome = sim.run(w.call(route), script)
        requests += down
        failed += (len(sim.sends) - sends) * down
        assert down or outcome.fault is None, "before and after it every request is answered"
    assert requests == 3000
    assert failed / requests <= 1.1


def test_a_lone_agent_among_five_percent_of_noise_loses_no_turn() -> None:
    jitter, sim = Random(4), w.Sim()
    route = w.route(w.provider("plan", "a"))
    noise = (w.BROKEN, w.OVERLOADED, w.REFUSED_LINE)
    faults = 0
    for _ in range(2000):  # one request every five seconds, for nearly three hours
        outcome = sim.run(
            w.call(route), lambda send, now: jitter.choice(noise) if jitter.random() < 0.05 else None
        )
        assert outcome.fault is None
        faults += len(outcome.attempts) - 1
        sim.now += 5
    assert faults > 80, "there was noise"


def at_once(
    sim: w.Sim, requests: int, threads: int, script: Callable[[float], Reply | None]
) -> tuple[int, int]:
    """Run requests as so many threads do, each beginning its next when one has ended; a send takes a tenth of
    a second. Return how many failed, and how many sends there were."""
    route = w.route(w.provider("plan", "a"))
    sim.run(w.call(route), [None])  # the key is known to be good
    waiting: list[tuple[float, int, Flow, float]] = []
    begun = failed = sends = 0

    def go_on(number: int, going: Flow, answer: Answer | None, now: float) -> None:
        nonlocal failed
        try:
            step = going.send(answer) if answer else next(going)
        except StopIteration as end:
            failed += end.value.fault is not None
            begin(now)
            return
        assert isinstance(step, Send)
        heappush(waiting, (now + step.after + 0.1, number, going, now + step.after))

    def begin(now: float) -> None:
        nonlocal begun
        if begun < requests:
            begun += 1
            go_on(begun, flow(w.call(route), sim.context(), now), None, now)

    for number in range(threads):
        begin(sim.now + number / 1000)
    while waiting:
        now, number, going, sent_at = heappop(waiting)
        sends += 1
        go_on(number, going, Answer(now, script(now), sent_at=sent_at), now)
    return failed, sends


@pytest.mark.parametrize(("requests", "threads"), [(600, 1), (600, 50), (1000, 200)])
def test_a_steady_fifth_of_refusals_costs_no_more_turns_than_an_sdk_without_a_reserve_loses(
    requests: int, threads: int
) -> None:
    dice, sim = Random(7), w.Sim()
    script = lambda now: w.UNAVAILABLE if dice.random() < 0.2 else None  # noqa: E731
    failed, _ = at_once(sim, requests, threads, script)
    lost_by_chance = requests * 0.2**3
    assert failed <= lost_by_chance + 2 * lost_by_chance**0.5


def test_a_pause_of_a_busy_provider_costs_no_turn_once_it_has_answered_for_a_while() -> None:
    sim = w.Sim()
    assert at_once(sim, 400, 50, lambda now: None) == (0, 400)
    begun = sim.now = sim.now + 10
    failed, _ = at_once(sim, 200, 50, lambda now: w.UNAVAILABLE if now < begun + 0.2 else None)
    assert failed == 0


@pytest.mark.parametrize(("share", "most"), [(0.5, 1.34), (0.8, 1.12), (0.95, 1.03), (1.0, 1.0)])
def test_the_worse_a_provider_answers_the_fewer_retries_it_is_sent(share: float, most: float) -> None:
    dice, sim = Random(3), w.Sim()
    script = lambda now: w.UNAVAILABLE if dice.random() < share else None  # noqa: E731
    _, sends = at_once(sim, 1000, 50, script)
    assert sends <= 1000 * most + 30
