"""`python -m bench soak`: our gateway under a steady load for a long time. Its memory must stay flat and
nothing may fail.

The load is plain requests at a fixed rate, half of what it can do unless told otherwise, and a few streams
beside them. Ends with 1 when a request failed or the memory grew."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression

from ..measure import progress
from . import cache, compare, load
from .load import Load
from .peers import EVERYBODY
from .svg import number

_SATURATION = Load("saturation", "128 at once", connections=128, seconds=5.0, warmup=2.0)
_GROWTH = 2.0
"""Megabytes that the memory may grow over the run, by the line through all samples after the first fifth."""

_RATHER_SMALL = 3
"""Fewer samples than these say nothing about growth."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One stretch of the soak: when it ended (seconds), how large the gateway and its home were then, and
    what was served meanwhile."""

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
    """Soak, print a line for each stretch, and say whether the gateway held."""
    options = _options(arguments)
    try:
        samples = _soak(options.minutes * 60, options.rate, options.every)
    except (cache.NotInstalled, compare.NotStarted) as reason:
        print(f"not measured: {reason}", file=sys.stderr)
        return 1
    said, held = verdict(samples)
    print(f"\n{said}")
    return 0 if held else 1


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default 30)")
    parser.add_argument(
        "--rate",
        type=_rate,
        default=0.0,
        help="requests a second, or half: of what the gateway can do (default)",
    )
    parser.add_argument("--every", type=float, default=30.0, help="seconds of one line (default 30)")
    return parser.parse_args(arguments)


def _rate(text: str) -> float:
    return 0.0 if text == "half" else float(text)


def _soak(seconds: float, rate: float, every: float) -> list[Sample]:
    compare.more_files()
    samples: list[Sample] = []
    with (
        load.provider() as (ports, _),
        tempfile.TemporaryDirectory() as home,
        compare.running(EVERYBODY["holdfast"], ports, Path(home)) as gateway,
    ):
        if not rate:
            progress("measuring: how much it can do")
            saturation = load.send(_SATURATION, gateway.target("json"))
            rate = saturation.ok / saturation.seconds / 2
        plain = Load("plain", "plain", connections=128, rate=rate, seconds=every, warmup=0.0)
        streams = Load(
            "streams", "streams", mode="trickle", connections=20, seconds=every, warmup=0.0, ramp=2.0
        )
        print(
            f"{number(rate)} requests a second and {streams.connections} streams, for {seconds / 60:g} minutes\n"
        )
        print(
            _line(
                "minute", "memory MB", "home MB", "requests", "chunks", "failed", "p50 µs", "p99 µs", "CPU µs"
            )
        )
        program, began = gateway.program, time.monotonic()
        assert program is not None
        with ThreadPoolExecutor(1) as beside:
            while (passed := time.monotonic() - began) < seconds:
                progress(f"minute {passed / 60:.0f}")
                cpu = program.cpu()
                going = beside.submit(load.send, streams, gateway.target("trickle"))
                seen, streamed = load.send(plain, gateway.target("json")), going.result()
                used = (program.cpu() - cpu).total * 1e6 / max(1, seen.requests)
                failed = seen.bad + seen.errors + streamed.bad + streamed.errors
                at = time.monotonic() - began
                samples.append(
                    Sample(
                        at,
                        program.memory(),
                        _size(Path(home)),
                        seen.ok,
                        streamed.chunks,
                        failed,
                        seen.p50,
                        seen.p99,
                        used,
                    )
                )
                progress("")
                print(_row(samples[-1]), flush=True)
    return samples


def verdict(samples: Sequence[Sample]) -> tuple[str, bool]:
    """What the samples say: how many requests failed, and how much the memory grew; and whether both are as
    they should be."""
    failed, served = sum(one.failed for one in samples), sum(one.ok for one in samples)
    said = f"{served:,} requests and {sum(one.chunks for one in samples):,} chunks served, {failed:,} failed"
    settled = [one for one in samples if one.at >= samples[-1].at / 5] if samples else []
    if len(settled) < _RATHER_SMALL:
        return f"{said}; too short to speak of growth", failed == 0
    slope = linear_regression([one.at for one in settled], [one.memory_mb for one in settled]).slope
    grown = slope * (settled[-1].at - settled[0].at)
    flat = grown <= _GROWTH
    return (
        f"{said}\nmemory {'is flat' if flat else 'GREW'}: {grown:+.1f} MB over {settled[-1].at / 60:.0f} minutes ({slope * 3_600:+.1f} MB an hour)",
        flat and not failed,
    )


def _row(one: Sample) -> str:
    latencies = [number(value) if value is not None else "–" for value in (one.p50, one.p99)]
    return _line(
        f"{one.at / 60:.1f}",
        f"{one.memory_mb:.1f}",
        f"{one.home_mb:.1f}",
        f"{one.ok:,}",
        f"{one.chunks:,}",
        f"{one.failed:,}",
        *latencies,
        f"{one.cpu_us:.0f}",
    )


def _line(*cells: str) -> str:
    return " ".join(f"{cell:>10}" for cell in cells)


def _size(place: Path) -> float:
    """Megabytes below a directory."""
    return sum(Path(where, name).stat().st_size for where, _, names in os.walk(place) for name in names) / 1e6
