"""What was measured, as data: it is written beside the page, and read back by whoever wants the figures or
writes the page anew."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal

_QUIET = 0.1
"""Cores that somebody else may use without a round being left out."""


@dataclass(slots=True)
class PeerReport:
    """One peer: `missing` says why it was not measured; `starts` are seconds from its start to its first good
    answer."""

    name: str
    does: str
    version: str = ""
    missing: str | None = None
    starts: list[float] = field(default_factory=list)
    idle_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One load on one peer. CPU in seconds of all its processes, latencies in microseconds; `others` is how
    many cores somebody else used."""

    load: str
    peer: str
    requests: int
    chunks: int
    rps: float
    cpu: float
    user: float
    bad: int
    errors: int
    p50: float | None
    p99: float | None
    transit_p50: float | None
    transit_p99: float | None
    peak_mb: float
    others: float

    @property
    def per_request(self) -> float | None:
        """CPU microseconds for each request."""
        return self.cpu * 1e6 / self.requests if self.cpu and self.requests else None

    @property
    def per_chunk(self) -> float | None:
        """CPU microseconds for each streamed chunk."""
        return self.cpu * 1e6 / self.chunks if self.cpu and self.chunks else None


Figure = Literal["per_request", "per_chunk", "rps", "p50", "p99", "transit_p50", "transit_p99"]
"""The figures of a run."""


@dataclass(slots=True)
class Results:
    """One run of the benchmark."""

    date: str
    machine: dict[str, str]
    peers: list[PeerReport]
    runs: list[Run]

    def of(self, load: str, peer: str) -> list[Run]:
        """The rounds of one load on one peer."""
        return [run for run in self.runs if run.load == load and run.peer == peer]

    def quiet(self, load: str, peer: str) -> list[Run]:
        """The rounds in which the machine was ours; where there is none, the quietest."""
        runs = self.of(load, peer)
        return [run for run in runs if run.others <= max(_QUIET, min(one.others for one in runs))]

    def median(self, load: str, peer: str, figure: Figure) -> float | None:
        """The median over the quiet rounds, or nothing where it was not measured."""
        values = [value for run in self.quiet(load, peer) if (value := getattr(run, figure)) is not None]
        return median(values) if values else None

    def peer(self, name: str) -> PeerReport | None:
        return next((one for one in self.peers if one.name == name), None)

    @property
    def measured(self) -> list[str]:
        """The names of the gateways that were measured, in the order of the page."""
        return [one.name for one in self.peers if one.missing is None and one.name != "direct"]

    def text(self) -> str:
        """As JSON, one run a line."""
        head = json.dumps(
            {"date": self.date, "machine": self.machine, "peers": [asdict(one) for one in self.peers]},
            indent=1,
            ensure_ascii=False,
        )
        runs = ",\n  ".join(json.dumps(asdict(one)) for one in self.runs)
        return f'{head[:-2]},\n "runs": [\n  {runs}\n ]\n}}\n'


def parse(text: str) -> Results:
    """What `Results.text` wrote."""
    told: dict[str, Any] = json.loads(text)
    return Results(
        told["date"],
        told["machine"],
        [PeerReport(**one) for one in told["peers"]],
        [Run(**one) for one in told["runs"]],
    )
