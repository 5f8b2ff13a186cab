"""The method of measuring: CPU time of this process (all its threads) in several rounds, variants in turn so
that a slow moment of the machine affects all of them; reported as median and range."""

from __future__ import annotations

import gc
import os
import platform
import sys
import sysconfig
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
    """A measured number: the median of its rounds, with the lowest and the highest. `budget` is its limit,
    None for none."""

    group: str
    name: str
    unit: str
    value: float
    low: float
    high: float
    budget: float | None = None

    @property
    def verdict(self) -> str:
        """`ok` or `over`, "" where there is no budget."""
        if self.budget is None:
            return ""
        if self.value <= self.budget:
            return "ok"
        return "over"

    def row(self) -> dict[str, object]:
        """Return the figure as JSON values."""
        return asdict(self) | {"verdict": self.verdict}


def figure(
    group: str, name: str, samples: Sequence[float], *, unit: str = "µs", budget: float | None = None
) -> Figure:
    """Return the figure of these samples."""
    return Figure(
        group=group,
        name=name,
        unit=unit,
        value=round(median(samples), 2),
        low=round(min(samples), 2),
        high=round(max(samples), 2),
        budget=budget,
    )


def cpu(work: Callable[[int], object], count: int) -> float:
    """Return the microseconds of CPU time of one of `count` units of work, garbage collection included."""
    gc.collect()
    began = time.process_time_ns()
    work(count)
    return (time.process_time_ns() - began) / 1_000 / count


def in_turn(
    variants: Mapping[str, Callable[[int], object]], count: int, rounds: int
) -> dict[str, list[float]]:
    """Return samples of each variant, taken in turn; every other round reverses the order.

    A first round, which is not measured, warms up.
    """
    names = list(variants)
    for name in names:
        variants[name](max(1, count // 5))
    samples: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            samples[name].append(cpu(variants[name], count))
        names.reverse()
    return samples


def differences(with_ours: Sequence[float], bare: Sequence[float]) -> list[float]:
    """Return the difference between ours and the bare program, round by round."""
    return [ours - plain for ours, plain in zip(with_ours, bare, strict=True)]


_DEBIAN = "--with-wheel-pkg-dir=/usr/share/python-wheels"
"""An option with which Debian and Ubuntu build their Python."""


def machine() -> dict[str, str]:
    """Return the processor, its cores, Python and the versions of the packages that matter; no host and no
    path."""
    facts = {
        "cpu": _processor(),
        "cores": str(_cores()),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "python build": _build(),
        "system": platform.system(),
    }
    versions = {name: _version(name) for name in PACKAGES}
    return facts | {name: installed for name, installed in versions.items() if installed}


def _build() -> str:
    """Return how this Python was optimised when it was built: it makes tenths of a figure."""
    flags = " ".join(str(sysconfig.get_config_var(name) or "") for name in ("CONFIG_ARGS", "PY_CFLAGS"))
    if _DEBIAN in flags:  # its flags do not tell, its functions do: their cold halves stand apart
        return "as Debian builds it, with PGO"
    profiled = "--enable-optimizations" in flags or "-fprofile-use" in flags
    linked = "--with-lto" in flags or "-flto" in flags
    return f"{'with' if profiled else 'without'} PGO, {'with' if linked else 'without'} LTO"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def on_core(number: int) -> Iterator[None]:
    """Keep this process on one of its cores meanwhile, so that it and its counterpart do not share one.

    Does nothing where the system cannot, or has one core only.
    """
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
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def progress(text: str) -> None:
    """Show what is being measured now, if standard error is a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
