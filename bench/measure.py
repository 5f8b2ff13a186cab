"""How figures are taken: CPU time of this process (all its threads), several rounds, variants in turn so that
a slow moment of the machine meets all of them; reported as median and range."""

from __future__ import annotations

import gc
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

PACKAGES = ("holdfast-llm", "httpx2", "httpcore2", "httpx", "httpcore", "h11", "openai", "anthropic")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number: the median of its rounds, with the lowest and the highest. `budget` is the most it
    may be."""

    group: str
    name: str
    unit: str
    value: float
    low: float
    high: float
    budget: float | None = None

    @property
    def verdict(self) -> str:
        """`ok`, `over`, or nothing where no budget was promised."""
        return "" if self.budget is None else "ok" if self.value <= self.budget else "over"

    def row(self) -> dict[str, object]:
        """As JSON values."""
        return asdict(self) | {"verdict": self.verdict}


def figure(
    group: str, name: str, samples: Sequence[float], unit: str = "µs", budget: float | None = None
) -> Figure:
    """The figure that these samples give."""
    return Figure(
        group, name, unit, round(median(samples), 2), round(min(samples), 2), round(max(samples), 2), budget
    )


def cpu(work: Callable[[int], object], count: int) -> float:
    """CPU microseconds for each of `count` units of work, the garbage collector's included: it runs once
    before, and as it likes."""
    gc.collect()
    began = time.process_time_ns()
    work(count)
    return (time.process_time_ns() - began) / 1_000 / count


def in_turn(
    variants: Mapping[str, Callable[[int], object]], count: int, rounds: int
) -> dict[str, list[float]]:
    """Samples of each variant, taken in turn; the order is reversed every other round. The first, unmeasured,
    warms up."""
    names = list(variants)
    for name in names:
        variants[name](max(1, count // 5))
    samples: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names if turn % 2 == 0 else reversed(names):
            samples[name].append(cpu(variants[name], count))
    return samples


def differences(with_ours: Sequence[float], bare: Sequence[float]) -> list[float]:
    """What ours adds, round by round."""
    return [ours - plain for ours, plain in zip(with_ours, bare, strict=True)]


def machine() -> dict[str, str]:
    """What the figures were taken on: processor, cores, Python and the packages that matter. Names no host
    and no path."""
    told = {
        "cpu": _processor(),
        "cores": str(_cores()),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.system(),
    }
    return told | {name: found for name in PACKAGES if (found := _version(name))}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def on_core(number: int) -> Iterator[None]:
    """Keep this process on one of its cores meanwhile, so that it and its counterpart do not chase each
    other; where the system can."""
    if not hasattr(os, "sched_setaffinity") or _cores() < 2:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[number % len(before)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def progress(text: str) -> None:
    """What is being measured now, for whoever waits; only where somebody looks."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
