"""The promised figures of the gateway, each as a ratio or a distance within one run, and whether it is
met."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from .results import Figure, Results
from .svg import number

OURS = "holdfast"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the table: what was measured, what it is compared with, and what was promised."""

    figure: str
    ours: str
    other: str
    result: str
    budget: str
    met: bool | None

    @property
    def word(self) -> str:
        return "not measured" if self.met is None else "met" if self.met else "**not met**"


Judge = Callable[[Results], Verdict]


def _ratio(name: str, load: str, figure: Figure, other: str, most: float) -> Judge:
    """Ours may cost at most `most` times what the other costs; a limit below 1 is written as what part of the
    other it is."""
    budget = f"≤ {most:g} × {other}" if most >= 1 else f"≤ 1/{1 / most:.0f} of {other}"

    def judge(results: Results) -> Verdict:
        ours, theirs = results.median(load, OURS, figure), results.median(load, other, figure)
        if ours is None or theirs is None:
            return Verdict(name, _with(ours, "µs"), f"{other} {_with(theirs, 'µs')}", "–", budget, None)
        share = ours / theirs
        return Verdict(
            name,
            f"{number(ours)} µs",
            f"{other} {number(theirs)} µs",
            f"{share:.2f} ×" if share >= 0.5 else f"1/{1 / share:.0f}",
            budget,
            share <= most,
        )

    return judge


def _added_latency(most: float) -> Judge:
    """One request at a time: what ours adds to the provider's own p50 may be `most` microseconds more than
    what nginx adds."""
    name, budget = "added p50, 1 at a time", f"≤ nginx + {most:g} µs"

    def judge(results: Results) -> Verdict:
        ours, theirs, bare = (results.median("c1", peer, "p50") for peer in (OURS, "nginx", "direct"))
        added = [None if one is None or bare is None else one - bare for one in (ours, theirs)]
        more = None if ours is None or theirs is None else ours - theirs
        cells = (
            _with(added[0], "µs"),
            f"nginx {_with(added[1], 'µs')}",
            "–" if more is None else f"{more:+.0f} µs",
        )
        return Verdict(name, *cells, budget, None if more is None else more <= most)

    return judge


def _at_most(name: str, unit: str, measured: Callable[[Results], float | None], most: float) -> Judge:
    """A figure of ours alone."""

    def judge(results: Results) -> Verdict:
        ours = measured(results)
        return Verdict(
            name,
            _with(ours, unit),
            "–",
            _with(ours, unit),
            f"≤ {most:g} {unit}",
            None if ours is None else ours <= most,
        )

    return judge


def _with(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{number(value)} {unit}"


def memory_with_streams(results: Results, peer: str) -> float | None:
    """Megabytes with 1,000 open streams, from the first round: before any other load has made the gateway
    larger."""
    runs = results.of("hold", peer)
    return runs[0].peak_mb if runs and runs[0].peak_mb else None


def start(results: Results, peer: str) -> float | None:
    """Seconds from the start to the first good answer."""
    report = results.peer(peer)
    return median(report.starts) if report and report.starts else None


def idle(results: Results, peer: str) -> float | None:
    """Megabytes after the start."""
    report = results.peer(peer)
    return report.idle_mb if report else None


BUDGETS: tuple[Judge, ...] = (
    _ratio("CPU a request, 1 KB, 128 at once", "c128", "per_request", "nginx", 2.5),
    _ratio("CPU a request, 1 KB, 128 at once", "c128", "per_request", "portkey", 1 / 30),
    _ratio("CPU a request, 1 KB, 128 at once", "c128", "per_request", "litellm", 1 / 200),
    _ratio("CPU a streamed chunk, trickling", "trickle", "per_chunk", "nginx", 1.5),
    _ratio("CPU a request, 1 MB prompt", "p1m", "per_request", "nginx", 1.6),
    _added_latency(120),
    _at_most("memory at rest, a worker", "MB", lambda results: idle(results, OURS), 50),
    _at_most(
        "memory with 1,000 open streams, a worker",
        "MB",
        lambda results: memory_with_streams(results, OURS),
        60,
    ),
    _at_most("start to first answer", "s", lambda results: start(results, OURS), 0.5),
)
