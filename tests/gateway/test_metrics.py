"""What is counted, by whom, and what a scrape shows of it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from holdfast.core.faults import Fault, FaultClass, Phase
from holdfast.core.identity import Connection, Dialect, Endpoint, Key, Provider, ProviderName
from holdfast.core.steps import Attempt, Outcome
from holdfast.gateway.telemetry.metrics import Metrics
from holdfast.gateway.telemetry.shared_counters import Gauge, Shared

NAME = ProviderName("mimo")
KEYS = (Key(NAME, "a", "env:A"), Key(NAME, "b", "env:B"))
PROVIDER = Provider(NAME, (Endpoint("https://mimo.example/v1", Dialect.OPENAI_CHAT),), KEYS)
ON = [Connection(PROVIDER, Dialect.OPENAI_CHAT, key, "m") for key in KEYS]
BUSY = Fault(FaultClass.RATE_LIMITED, status=429)
UNREAD = Fault(FaultClass.AUTH_REJECTED, phase=Phase.UNSENT)
LINE = re.compile(r"(holdfast_\w+)(?:\{(.*)\})? (\S+)")


@dataclass
class Done:
    outcome: Outcome | None
    status: int = 200
    seconds: float = 0.2
    first: float | None = None
    route: str = "chat/completions"
    usage: Mapping[str, int] = field(default_factory=dict)
    size: int = 0
    chunks: int = 0
    streamed: bool = False
    session: str = "s"
    request_id: str = "r"
    client_left: bool = False
    broken: Fault | None = None


def attempt(
    number: int, on: Connection = ON[0], fault: Fault | None = None, *, probe: bool = False
) -> Attempt:
    return Attempt(number, on, 1.0, 2.0, fault, probe)


GOOD = Outcome(ON[0], (attempt(1),))


def scraped(metrics: Metrics) -> dict[str, float]:
    """Every line of a scrape: `name{labels}` to its value. Each must be well-formed, each family have its
    type."""
    samples: dict[str, float] = {}
    for line in metrics.render("1.2").decode().splitlines():
        if not line.startswith("# "):
            match = LINE.fullmatch(line)
            assert match, line
            name = (
                f"{match[1].removeprefix('holdfast_')}{{{match[2]}}}"
                if match[2]
                else match[1].removeprefix("holdfast_")
            )
            assert name not in samples, f"{name} is listed twice"
            samples[name] = float(match[3])
    return samples


def test_a_good_request_is_counted_with_its_times_and_tokens() -> None:
    metrics = Metrics()
    metrics.finished(
        Done(GOOD, seconds=0.2, first=0.03, streamed=True, usage={"prompt_tokens": 3, "completion_tokens": 7})
    )
    metrics.finished(Done(GOOD, seconds=400.0, usage={"input_tokens": 10, "output_tokens": 1}))
    samples = scraped(metrics)
    assert samples['requests_total{provider="mimo",dialect="openai-chat",status="200"}'] == 2
    assert samples['request_seconds_bucket{provider="mimo",le="0.1"}'] == 0
    assert samples['request_seconds_bucket{provider="mimo",le="0.25"}'] == 1
    assert samples['request_seconds_bucket{provider="mimo",le="300"}'] == 1
    assert (
        samples['request_seconds_bucket{provider="mimo",le="+Inf"}']
        == samples['request_seconds_count{provider="mimo"}']
        == 2
    )
    assert samples['request_seconds_sum{provider="mimo"}'] == pytest.approx(400.2)
    assert (
        samples['first_byte_seconds_count{provider="mimo"}'],
        samples['first_byte_seconds_bucket{provider="mimo",le="0.05"}'],
    ) == (2, 1)
    assert (
        samples['tokens_total{provider="mimo",direction="in"}'],
        samples['tokens_total{provider="mimo",direction="out"}'],
    ) == (13, 8)
    assert samples['build_info{version="1.2"}'] == 1


RECOVERED = [
    (
        Outcome(ON[1], (attempt(1, fault=BUSY), attempt(2, ON[1]))),
        {
            'faults_total{provider="mimo",class="rate_limited"}': 1,
            'retries_total{provider="mimo"}': 1,
            'rotations_total{provider="mimo"}': 1,
        },
    ),
    (
        Outcome(ON[0], (attempt(1, fault=BUSY), attempt(2))),
        {'retries_total{provider="mimo"}': 1, 'rotations_total{provider="mimo"}': None},
    ),
    (
        Outcome(ON[0], (attempt(1, fault=BUSY), attempt(2, probe=True))),
        {'probes_total{provider="mimo",verdict="good"}': 1},
    ),
    (
        Outcome(ON[0], (attempt(1, probe=True, fault=BUSY),), BUSY),
        {'probes_total{provider="mimo",verdict="rate_limited"}': 1},
    ),
    (
        Outcome(ON[1], (attempt(1, fault=UNREAD), attempt(2, ON[1]))),
        {'retries_total{provider="mimo"}': None, 'rotations_total{provider="mimo"}': 1},
    ),
    (Outcome(ON[0], (attempt(1),), active_fallback=True), {'fallbacks_total{provider="mimo"}': 1}),
    (
        Outcome(ON[0], (), BUSY, from_memory=True),
        {'from_memory_total{provider="mimo"}': 1, 'faults_total{provider="mimo",class="rate_limited"}': None},
    ),
]


@pytest.mark.parametrize(("outcome", "expected"), RECOVERED)
def test_what_recovery_did_is_counted(outcome: Outcome, expected: dict[str, int | None]) -> None:
    metrics = Metrics()
    metrics.finished(Done(outcome))
    samples = scraped(metrics)
    assert {name: samples.get(name) for name in expected} == expected


def test_what_clients_make_up_becomes_no_label() -> None:
    metrics = Metrics()
    for number in range(5000):
        metrics.finished(Done(None, 404, route=f"made/up/{number}"))
    samples = scraped(metrics)
    assert samples['local_responses_total{status="404",route="other"}'] == 5000
    assert samples["metrics_dropped_total"] == 0


def test_labels_without_room_are_counted_and_disturb_no_other_number() -> None:
    metrics = Metrics()
    metrics.finished(Done(GOOD))
    for number in range(4_000):
        metrics.count("faults", f"provider-{number}", "transient")
    for _ in range(3):
        metrics.finished(Done(GOOD, 503))
    samples = scraped(metrics)
    assert samples["metrics_dropped_total"] > 0
    assert samples['requests_total{provider="mimo",dialect="openai-chat",status="200"}'] == 1


def test_whoever_is_asked_answers_for_all_workers() -> None:
    shared = Shared(3)
    first, second = Metrics(shared, 0), Metrics(shared, 1)
    first.finished(Done(GOOD))
    second.finished(Done(GOOD))
    second.count("faults", "mimo", "transient")
    first.slot[Gauge.OPEN_STREAMS] = 2
    second.slot[Gauge.OPEN_STREAMS] = 1
    assert scraped(first) == scraped(second)
    samples = scraped(first)
    assert samples['requests_total{provider="mimo",dialect="openai-chat",status="200"}'] == 2
    assert samples["open_streams"] == 3


def test_a_killed_worker_leaves_its_counts_and_its_successor_counts_on() -> None:
    shared = Shared(2)
    survivor = Metrics(shared, 0)
    survivor.finished(Done(GOOD))
    pid = os.fork()
    if pid == 0:
        metrics = Metrics(shared, 1)
        metrics.slot[Gauge.OPEN_STREAMS] = 4
        for _ in range(5):
            metrics.finished(Done(GOOD))
        os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
    name = 'requests_total{provider="mimo",dialect="openai-chat",status="200"}'
    assert (scraped(survivor)[name], scraped(survivor)["open_streams"]) == (6, 4)
    shared.ended(1)
    assert (scraped(survivor)[name], scraped(survivor)["open_streams"]) == (6, 0)
    successor = Metrics(shared, 1)
    successor.finished(Done(GOOD))
    successor.count("faults", "mimo", "transient")
    assert scraped(survivor)[name] == 7
    assert scraped(survivor)['faults_total{provider="mimo",class="transient"}'] == 1


def test_a_label_cannot_break_out_of_its_quotes() -> None:
    metrics = Metrics()
    metrics.count("faults", 'a"b\\c\nd', "x")
    assert r'holdfast_faults_total{provider="a\"b\\c d",class="x"} 1' in metrics.render("1").decode()
