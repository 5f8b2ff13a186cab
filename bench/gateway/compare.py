"""Measures the peers in turn: in every round each of them gets the same load once, in a new order, while the
others are idle."""

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
from .load import Load, Seen
from .peers import Address, Peer, Ports, Target
from .process import GATEWAY_CORE, Bystanders, Cpu, Program
from .results import PeerReport, Run

_STARTS = 3
_SLOW_START = 5.0
"""Seconds: a peer that takes longer is started only once."""

_PROBE = Load("probe", "one request", seconds=2.0, warmup=0.0)
_NO_CPU = Cpu()
_WARM_UP = Load("warm-up", "16 at once", connections=16, seconds=1.0)


class NotStarted(Exception):
    """A peer ended, or did not answer in time; the text includes the end of its output."""


@dataclass(slots=True)
class Candidate:
    """A peer that runs and answers; `took` is the seconds from its start to its first good answer."""

    peer: Peer
    ports: Ports
    at: Address
    program: Program | None
    took: float = 0.0

    def target(self, mode: str) -> Target:
        return self.peer.target(mode, self.at, self.ports)


@contextmanager
def running(peer: Peer, ports: Ports, home: Path | None = None) -> Iterator[Candidate]:
    """Start a peer, in a new directory unless one is given, and wait for its first good answer.

    Raises NotStarted.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as new:
        folder, port = home or Path(new), free_port()
        launch = peer.launch(folder, port, ports)
        if launch is None:
            yield Candidate(peer, ports, Address(port), None)
            return
        began = time.monotonic()
        program = Program(launch.argv, launch.environ, folder / "output.log", GATEWAY_CORE)
        try:
            address = _wait_for_answer(peer, ports, program, port)
            yield Candidate(peer, ports, address, program, took=time.monotonic() - began)
        finally:
            program.stop()


def _wait_for_answer(peer: Peer, ports: Ports, program: Program, port: int) -> Address:
    """Return the address of a peer as soon as it has answered a request well."""
    until = time.monotonic() + peer.patience
    while time.monotonic() < until and not program.ended:
        address = peer.address(port, program.output())
        if address is not None:
            seen = load.send(_PROBE, peer.target("json", address, ports), requests=1)
            if seen.last_status == 200:
                return address
        time.sleep(0.005)
    reason = f"no good answer in {peer.patience:g} s"
    if program.ended:
        reason = "ended"
    raise NotStarted(f"{reason}: {program.output().strip()[-600:]}")


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def more_files() -> None:
    """Raise the limit of open files, which our children inherit: 1,000 clients are 2,000 sockets of a
    gateway."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def measure(peers: Sequence[Peer], loads: Sequence[Load], rounds: int) -> tuple[list[PeerReport], list[Run]]:
    """Put every load on every peer, `rounds` times.

    A peer that cannot be installed or started is reported with the reason, and left out.
    """
    more_files()
    reports, runs = [], []
    with ExitStack() as stack, load.provider() as (ports, stub):
        candidates: list[Candidate] = []
        for peer in peers:
            progress(f"starting: {peer.name}")
            report, candidate = _start(peer, ports, stack)
            reports.append(report)
            if candidate is not None:
                candidates.append(candidate)
        for turn in range(1, rounds + 1):
            for kind in loads:
                for candidate in random.sample(candidates, len(candidates)):
                    progress(f"round {turn} of {rounds}: {kind.title}, {candidate.peer.name}")
                    runs.append(_once(candidate, kind, stub))
    return reports, runs


def _start(peer: Peer, ports: Ports, stack: ExitStack) -> tuple[PeerReport, Candidate | None]:
    """Install a peer, start it (several times, if that is quick), and record its memory at rest."""
    report = PeerReport(peer.name, peer.does)
    try:
        report.version = peer.install()
        for _ in range(_STARTS - 1):
            with running(peer, ports) as candidate:
                report.starts.append(round(candidate.took, 3))
            if candidate.took > _SLOW_START or candidate.program is None:
                break
        candidate = stack.enter_context(running(peer, ports))
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
    """Put one load on one peer, which is at rest before and after it."""
    program, target = candidate.program, candidate.target(kind.mode)
    if program is None:
        bystanders = Bystanders([stub])
        seen = load.send(kind, target)
        return _run(candidate, kind, seen, others=bystanders.cores())
    peak = program.memory()

    def look() -> None:
        nonlocal peak
        peak = max(peak, program.memory())

    before, bystanders = program.cpu(), Bystanders([stub, program])
    seen = load.send(kind, target, look)
    others, used = bystanders.cores(), program.cpu() - before
    program.settle()
    return _run(candidate, kind, seen, used=used, peak_mb=peak, others=others)


def _run(
    candidate: Candidate, kind: Load, seen: Seen, *, used: Cpu = _NO_CPU, peak_mb: float = 0.0, others: float
) -> Run:
    return Run(
        load=kind.name,
        peer=candidate.peer.name,
        requests=seen.requests,
        chunks=seen.chunks,
        rps=seen.ok / seen.seconds,
        cpu=round(used.total, 3),
        user=round(used.user, 3),
        bad=seen.bad,
        errors=seen.errors,
        p50=seen.p50,
        p99=seen.p99,
        transit_p50=seen.transit_p50,
        transit_p99=seen.transit_p99,
        peak_mb=round(peak_mb, 1),
        others=round(others, 3),
    )
