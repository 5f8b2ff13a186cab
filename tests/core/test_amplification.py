"""What recovery costs a provider that is down, and what it saves a lone agent: figures that are promised
(docs/concepts/recovery.md)."""

from __future__ import annotations

from random import Random

import world as w
from holdfast.core.faults import Reply
from holdfast.core.steps import Send


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
