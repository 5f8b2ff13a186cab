"""Measures the peers in turn: in every round each of them gets the same load once, in a new order, while the
others idle."""

from __future__ import annotations

import random
import resource
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..measure import progress
from . import cache, load
from .load import Load
from .peers import Address, Peer, Ports, Target
from .process import GATEWAY_CORE, Bystanders, Cpu, Program
from .results import PeerReport, Run

_STARTS = 3
_SLOW_START = 5.0
"""Who takes longer than these seconds is started once."""

_PROBE = Load("probe", "one request", seconds=2.0, warmup=0.0)
_WARM_UP = Load("warm-up", "16 at once", connections=16, seconds=1.0)


class NotStarted(Exception):
    """A peer ended, or did not answer in time; the text is the end of what it said."""


@dataclass(slots=True)
class Candidate:
    """A peer that runs and answers."""

    peer: Peer
    ports: Ports
    at: Address
    program: Program | None
    took: float = 0.0

    def target(self, mode: str) -> Target:
        return self.peer.target(mode, self.at, self.ports)


@contextmanager
def running(peer: Peer, ports: Ports, home: Path | None = None) -> Iterator[Candidate]:
    """Start a peer, in a new home unless one is given, and wait for its first good answer. Raises
    `NotStarted`."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as new:
        place, port = home or Path(new), _free_port()
        launch = peer.launch(place, port, ports)
        if launch is None:
            yield Candidate(peer, ports, Address(port), None)
            return
        began = time.monotonic()
        program = Program(launch.argv, launch.environ, place / "output.log", GATEWAY_CORE)
        try:
            candidate = Candidate(
                peer, ports, _answering(peer, ports, program, port, began + peer.patience), program
            )
            candidate.took = time.monotonic() - began
            yield candidate
        finally:
            program.stop()


def _answering(peer: Peer, ports: Ports, program: Program, port: int, until: float) -> Address:
    """Where the peer listens, as soon as it has answered a request well."""
    while time.monotonic() < until and not program.ended:
        at = peer.address(port, program.said())
        if (
            at is not None
            and load.send(_PROBE, peer.target("json", at, ports), requests=1).last_status == 200
        ):
            return at
        time.sleep(0.005)
    raise NotStarted(
        f"{'ended' if program.ended else f'no good answer in {peer.patience:g} s'}: {program.said().strip()[-600:]}"
    )


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def more_files() -> None:
    """1,000 clients are 2,000 sockets for whoever stands between; our children inherit the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def measure(peers: Sequence[Peer], loads: Sequence[Load], rounds: int) -> tuple[list[PeerReport], list[Run]]:
    """Every load on every peer, `rounds` times. Who cannot be installed or started is reported with the
    reason, and left out."""
    more_files()
    reports, runs = [], []
    with ExitStack() as held, load.provider() as (ports, stub):
        there: list[Candidate] = []
        for peer in peers:
            progress(f"starting: {peer.name}")
            report, candidate = _begin(peer, ports, held)
            reports.append(report)
            there += [candidate] if candidate else []
        for turn in range(rounds):
            for kind in loads:
                for candidate in random.sample(there, len(there)):
                    progress(f"round {turn + 1} of {rounds}: {kind.title}, {candidate.peer.name}")
                    runs.append(_once(candidate, kind, stub))
    return reports, runs


def _begin(peer: Peer, ports: Ports, held: ExitStack) -> tuple[PeerReport, Candidate | None]:
    """Install a peer, start it (several times, if that is quick), and note what it uses at rest."""
    report = PeerReport(peer.name, peer.does)
    try:
        report.version = peer.install()
        for _ in range(_STARTS - 1):
            with running(peer, ports) as candidate:
                report.starts.append(round(candidate.took, 3))
            if candidate.took > _SLOW_START or candidate.program is None:
                break
        candidate = held.enter_context(running(peer, ports))
    except (cache.NotInstalled, NotStarted) as error:
        report.missing = str(error)
        return report, None
    if candidate.program is None:
        report.starts.clear()
        return report, candidate
    report.starts.append(round(candidate.took, 3))
    candidate.program.settle()
    report.idle_mb = round(candidate.program.memory(), 1)
    load.send(_WARM_UP, candidate.target("json"))
    candidate.program.settle()
    return report, candidate


def _once(candidate: Candidate, kind: Load, stub: Program) -> Run:
    """One load on one peer, from a peer at rest to a peer at rest."""
    program, target = candidate.program, candidate.target(kind.mode)
    peak = 0.0

    def look() -> None:
        nonlocal peak
        peak = max(peak, program.memory()) if program else 0.0

    look()
    before, others = program.cpu() if program else Cpu(), Bystanders([stub, program] if program else [stub])
    seen = load.send(kind, target, look)
    strangers, used = others.cores(), (program.cpu() if program else Cpu()) - before
    if program:
        program.settle()
    return Run(
        kind.name, candidate.peer.name, seen.requests, seen.chunks, seen.ok / seen.seconds, round(used.total, 3), round(used.user, 3),
        seen.bad, seen.errors, seen.p50, seen.p99, seen.transit_p50, seen.transit_p99, round(peak, 1), round(strangers, 3),
    )  # fmt: skip
