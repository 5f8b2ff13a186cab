"""The measured data: they are written beside the page, and can be read back to get the figures or to write
the page again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal

QUIET = 0.1
"""Cores that other programs may use in a round that counts."""


@dataclass(slots=True)
class PeerReport:
    """A peer. `missing` is the reason why it was not measured, None where it was. `starts` are the seconds
    from its start to its first good answer."""

    name: str
    does: str
    version: str = ""
    missing: str | None = None
    starts: list[float] = field(default_factory=list)
    idle_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One load on one peer. CPU time is in seconds of all its processes, latencies are in microseconds;
    `others` is the number of cores that other programs used."""

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
        """Microseconds of CPU time for each request."""
        return _microseconds(self.cpu, self.requests)

    @property
    def per_chunk(self) -> float | None:
        """Microseconds of CPU time for each streamed chunk."""
        return _microseconds(self.cpu, self.chunks)


def _microseconds(cpu: float, count: int) -> float | None:
    if not cpu or not count:
        return None
    return cpu * 1e6 / count


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
        """Return the rounds of one load on one peer."""
        return [run for run in self.runs if run.load == load and run.peer == peer]

    def quiet(self, load: str, peer: str) -> list[Run]:
        """Return the rounds in which no other program was busy; where there are none, the quietest one."""
        runs = self.of(load, peer)
        limit = max(QUIET, min((run.others for run in runs), default=0.0))
        return [run for run in runs if run.others <= limit]

    def median(self, load: str, peer: str, figure: Figure) -> float | None:
        """Return the median over the quiet rounds, None where it was not measured."""
        figures: list[float | None] = [getattr(run, figure) for run in self.quiet(load, peer)]
        values = [value for value in figures if value is not None]
        if not values:
            return None
        return median(values)

    def peer(self, name: str) -> PeerReport | None:
        """Return the report on a peer."""
        return next((peer for peer in self.peers if peer.name == name), None)

    @property
    def measured(self) -> list[str]:
        """The names of the gateways that were measured, in the order of the page."""
        return [peer.name for peer in self.peers if peer.missing is None and peer.name != "direct"]

    def text(self) -> str:
        """Return the results as JSON, one run a line."""
        head = json.dumps(
            {"date": self.date, "machine": self.machine, "peers": [asdict(peer) for peer in self.peers]},
            indent=1,
            ensure_ascii=False,
        )
        runs = ",\n  ".join(json.dumps(asdict(run)) for run in self.runs)
        return f'{head[:-2]},\n "runs": [\n  {runs}\n ]\n}}\n'


def parse(text: str) -> Results:
    """Read what `Results.text` wrote."""
    values: dict[str, Any] = json.loads(text)
    return Results(
        values["date"],
        values["machine"],
        [PeerReport(**row) for row in values["peers"]],
        [Run(**row) for row in values["runs"]],
    )
