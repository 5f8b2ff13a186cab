"""`python -m bench soak`: our gateway under a steady load for a long time. Its memory must stay flat, and no
request may fail.

The load is plain requests at a fixed rate, by default half of its capacity, and a few streams beside them.
Exits with 1 when a request failed or the memory grew.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import linear_regression

from ..measure import progress
from . import cache, compare, load
from .load import Load
from .peers import PEERS
from .svg import number

_SATURATION = Load("saturation", "128 at once", connections=128, seconds=5.0, warmup=2.0)
_STREAMS = Load("streams", "streams", mode="trickle", connections=20, warmup=0.0, ramp=2.0)
_COLUMNS = ("minute", "memory MB", "home MB", "requests", "chunks", "failed", "p50 µs", "p99 µs", "CPU µs")
_GROWTH = 2.0
"""Megabytes by which the memory may grow, by the regression line through all samples after the first
fifth."""

_FEWEST = 3
"""The samples that it takes to judge growth."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An interval of the soak: the time of its end in seconds, the sizes of the gateway and of its home then,
    and the figures of the requests in it."""

    at: float
    memory_mb: float
    home_mb: float
    ok: int
    chunks: int
    failed: int
    p50: float | None
    p99: float | None
    cpu_us: float


def main(arguments: Sequence[str]) -> int:
    """Soak, print a line for each interval, and print the verdict. Return the exit code."""
    options = _options(arguments)
    try:
        samples = _soak(options.minutes * 60, options.rate, options.every)
    except (cache.NotInstalled, compare.NotStarted) as reason:
        print(f"not measured: {reason}", file=sys.stderr)
        return 1
    text, held = verdict(samples)
    print(f"\n{text}")
    return int(not held)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default 30)")
    parser.add_argument(
        "--rate",
        type=_rate,
        default=0.0,
        help="requests a second, or half: of the gateway's capacity (default)",
    )
    parser.add_argument("--every", type=float, default=30.0, help="seconds of one line (default 30)")
    return parser.parse_args(arguments)


def _rate(text: str) -> float:
    """Read a rate; 0 stands for half of the capacity."""
    if text == "half":
        return 0.0
    return float(text)


def _soak(seconds: float, rate: float, every: float) -> list[Sample]:
    """Soak for `seconds`, and print a line for each interval of `every` seconds."""
    compare.more_files()
    samples: list[Sample] = []
    with (
        load.provider() as (ports, _),
        tempfile.TemporaryDirectory() as home,
        compare.running(PEERS["holdfast"], ports, Path(home)) as gateway,
    ):
        if not rate:
            progress("measuring its capacity")
            saturation = load.send(_SATURATION, gateway.target("json"))
            rate = saturation.ok / saturation.seconds / 2
        plain = Load("plain", "plain", connections=128, rate=rate, seconds=every, warmup=0.0)
        streams = replace(_STREAMS, seconds=every)
        title = f"{number(rate)} requests a second and {streams.connections} streams"
        print(f"{title}, for {seconds / 60:g} minutes\n\n{_line(*_COLUMNS)}")
        began = time.monotonic()
        with ThreadPoolExecutor(1) as beside:
            while (passed := time.monotonic() - began) < seconds:
                progress(f"minute {passed / 60:.0f}")
                sample = _interval(gateway, plain, streams, beside)
                samples.append(replace(sample, at=time.monotonic() - began, home_mb=_size(Path(home))))
                progress("")
                print(_row(samples[-1]), flush=True)
    return samples


def _interval(gateway: compare.Candidate, plain: Load, streams: Load, beside: ThreadPoolExecutor) -> Sample:
    """Put both loads on the gateway once. Return the figures, without time and size of its home."""
    program = gateway.program
    assert program is not None
    before = program.cpu()
    going = beside.submit(load.send, streams, gateway.target(streams.mode))
    seen, streamed = load.send(plain, gateway.target(plain.mode)), going.result()
    return Sample(
        at=0.0,
        memory_mb=program.memory(),
        home_mb=0.0,
        ok=seen.ok,
        chunks=streamed.chunks,
        failed=seen.bad + seen.errors + streamed.bad + streamed.errors,
        p50=seen.p50,
        p99=seen.p99,
        cpu_us=(program.cpu() - before).total * 1e6 / max(1, seen.requests),
    )


def verdict(samples: Sequence[Sample]) -> tuple[str, bool]:
    """Return the verdict as text, and whether no request failed and the memory is flat."""
    served, failed = sum(sample.ok for sample in samples), sum(sample.failed for sample in samples)
    chunks = sum(sample.chunks for sample in samples)
    text = f"{served:,} requests and {chunks:,} chunks served, {failed:,} failed"
    settled = [sample for sample in samples if sample.at >= samples[-1].at / 5]
    if len(settled) < _FEWEST:
        return f"{text}; too short to judge growth", failed == 0
    slope = linear_regression(
        [sample.at for sample in settled], [sample.memory_mb for sample in settled]
    ).slope
    grown = slope * (settled[-1].at - settled[0].at)
    memory = "memory is flat"
    if grown > _GROWTH:
        memory = "memory GREW"
    over = f"over {settled[-1].at / 60:.0f} minutes ({slope * 3_600:+.1f} MB an hour)"
    return f"{text}\n{memory}: {grown:+.1f} MB {over}", grown <= _GROWTH and not failed


def _row(sample: Sample) -> str:
    return _line(
        f"{sample.at / 60:.1f}",
        f"{sample.memory_mb:.1f}",
        f"{sample.home_mb:.1f}",
        f"{sample.ok:,}",
        f"{sample.chunks:,}",
        f"{sample.failed:,}",
        _latency(sample.p50),
        _latency(sample.p99),
        f"{sample.cpu_us:.0f}",
    )


def _latency(value: float | None) -> str:
    if value is None:
        return "–"
    return number(value)


def _line(*cells: str) -> str:
    return " ".join(f"{cell:>10}" for cell in cells)


def _size(folder: Path) -> float:
    """Return the megabytes of all files below a directory."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
