"""The budgets of the gateway: each a ratio or a distance within one run of the benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from .results import Figure, Results
from .svg import number

OURS, FULL = "holdfast", "holdfast-full"
_NOTHING = "–"


class Word(StrEnum):
    """The verdict on a budget, as the page shows it."""

    MET = "met"
    NOT_MET = "**not met**"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A line of the table: our figure, the one that it is compared with, the result, and the budget."""

    figure: str
    ours: str
    other: str
    result: str
    budget: str
    word: Word


Judge = Callable[[Results], Verdict]


def memory_with_streams(results: Results, peer: str) -> float | None:
    """Return the megabytes with 1,000 open streams, from the first round: later ones follow other loads."""
    runs = results.of("hold", peer)
    if not runs:
        return None
    return runs[0].peak_mb or None


def start(results: Results, peer: str) -> float | None:
    """Return the seconds from the start to the first good answer."""
    report = results.peer(peer)
    if report is None or not report.starts:
        return None
    return median(report.starts)


def idle(results: Results, peer: str) -> float | None:
    """Return the megabytes after the start."""
    report = results.peer(peer)
    if report is None:
        return None
    return report.idle_mb


def _ratio(name: str, load: str, figure: Figure, *, other: str, most: float, ours: str = OURS) -> Judge:
    """Return the judge of a figure of `ours` that may be `most` times the other's.

    A limit below 1 is written as a fraction of the other's figure.
    """
    budget = f"≤ {most:g} × {other}"
    if most < 1:
        budget = f"≤ 1/{1 / most:.0f} of {other}"

    def judge(results: Results) -> Verdict:
        mine, theirs = results.median(load, ours, figure), results.median(load, other, figure)
        result, word = _NOTHING, Word.NOT_MEASURED
        if mine is not None and theirs is not None:
            result, word = _share(mine / theirs), _judged(mine / theirs, most)
        return Verdict(
            figure=name,
            ours=_with(mine, "µs"),
            other=f"{other} {_with(theirs, 'µs')}",
            result=result,
            budget=budget,
            word=word,
        )

    return judge


def _added_latency(most: float) -> Judge:
    """Return the judge of the latency that ours adds to one request at a time: its p50 may exceed the one of
    nginx by `most` microseconds."""

    def judge(results: Results) -> Verdict:
        ours, theirs = _added(results, OURS), _added(results, "nginx")
        result, word = _NOTHING, Word.NOT_MEASURED
        if ours is not None and theirs is not None:
            result, word = f"{ours - theirs:+.0f} µs", _judged(ours - theirs, most)
        return Verdict(
            figure="added p50, 1 at a time",
            ours=_with(ours, "µs"),
            other=f"nginx {_with(theirs, 'µs')}",
            result=result,
            budget=f"≤ nginx + {most:g} µs",
            word=word,
        )

    return judge


def _added(results: Results, peer: str) -> float | None:
    """Return the microseconds that a gateway adds to the provider's own p50."""
    through, bare = results.median("c1", peer, "p50"), results.median("c1", "direct", "p50")
    if through is None or bare is None:
        return None
    return through - bare


def _at_most(name: str, unit: str, measured: Callable[[Results, str], float | None], most: float) -> Judge:
    """Return the judge of a figure of ours alone."""

    def judge(results: Results) -> Verdict:
        ours, word = measured(results, OURS), Word.NOT_MEASURED
        if ours is not None:
            word = _judged(ours, most)
        return Verdict(
            figure=name,
            ours=_with(ours, unit),
            other=_NOTHING,
            result=_with(ours, unit),
            budget=f"≤ {most:g} {unit}",
            word=word,
        )

    return judge


def _judged(value: float, most: float) -> Word:
    if value <= most:
        return Word.MET
    return Word.NOT_MET


def _share(ratio: float) -> str:
    if ratio >= 0.5:
        return f"{ratio:.2f} ×"
    return f"1/{1 / ratio:.0f}"


def _with(value: float | None, unit: str) -> str:
    if value is None:
        return _NOTHING
    return f"{number(value)} {unit}"


_SHORT = "CPU a request, 1 KB, 128 at once"
BUDGETS: tuple[Judge, ...] = (
    _ratio(_SHORT, "c128", "per_request", other="nginx", most=2.5),
    _ratio(_SHORT, "c128", "per_request", other="portkey", most=1 / 30),
    _ratio(_SHORT, "c128", "per_request", other="litellm", most=1 / 200),
    _ratio("CPU a streamed chunk, trickling", "trickle", "per_chunk", other="nginx", most=1.6),
    _ratio("CPU a request, 1 MB prompt", "p1m", "per_request", other="nginx", most=1.3),
    _added_latency(30),
    _ratio("CPU a request, 1 KB, 1 at a time", "c1", "per_request", other="nginx", most=2.0),
    _ratio(_SHORT, "c128", "per_request", other="envoy", most=1.0),
    _ratio(_SHORT, "c128", "per_request", other="traefik", most=1.0),
    _ratio(_SHORT, "c128", "per_request", other="caddy", most=1.0),
    _ratio(
        f"{_SHORT}, every request decided anew", "c128", "per_request", other="nginx", most=6.0, ours=FULL
    ),
    _at_most("memory at rest, a worker", "MB", idle, 50),
    _at_most("memory with 1,000 open streams, a worker", "MB", memory_with_streams, 60),
    _at_most("start to first answer", "s", start, 0.5),
)
