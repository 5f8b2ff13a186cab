"""The rig: gateways with homes of their own on one database, and the load that is put on all of them at
once."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ..gateway import load
from ..gateway.compare import NotStarted, free_port
from ..gateway.load import Load, Seen
from ..gateway.peers import PEERS, Address, Ports, Target
from ..gateway.process import Bystanders, Program
from .database import Database

_PATIENCE = 30.0
_SETTLED = 6.0
"""Seconds after which also the sums of usage are written, which gather for five."""
_STORE = '[gateway]\nstore = "{url}"\n'


@dataclass(frozen=True, slots=True)
class Measured:
    """What a load cost: `requests` in `seconds`, the CPU seconds of the gateways, of PostgreSQL and of the
    provider, the bytes of its log, the latencies of the slowest gateway (µs), and the cores that others
    used."""

    gateways: int
    load: str
    seconds: float
    requests: int
    ok: int
    failed: int
    of_gateways: float
    of_database: float
    of_provider: float
    log: float
    p50: float
    p99: float
    others: float


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that answers at `address`."""

    program: Program
    address: Address
    ports: Ports

    def target(self, session: str) -> Target:
        """Return the target of requests in the sessions that `session` names."""
        target = PEERS["holdfast"].target("json", self.address, self.ports)
        return replace(target, headers=(target.headers[0], f"holdfast-session: {session}"))


@contextmanager
def gateways(count: int, url: str, ports: Ports) -> Iterator[list[Gateway]]:
    """Start so many gateways on the database `url`, which share a pepper and a token. Raises NotStarted."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
        started: list[Gateway] = []
        for number in range(count):
            home = folder / str(number)
            home.mkdir(mode=0o700)
            if started:
                shutil.copy(folder / "0" / "pepper", home / "pepper")
            gateway = _start(home, url, ports, stack)
            if started:
                gateway = replace(gateway, address=replace(gateway.address, token=started[0].address.token))
            started.append(gateway)
        yield started


def _start(home: Path, url: str, ports: Ports, stack: ExitStack) -> Gateway:
    peer, port = PEERS["holdfast"], free_port()
    launch = peer.launch(home, port, ports)
    assert launch is not None
    with (home / "holdfast.toml").open("a", encoding="utf-8") as file:
        file.write(_STORE.format(url=url))
    program = Program(launch.argv, launch.environ, home / "output.log", None)
    stack.callback(program.stop)
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and not program.ended:
        if '{"url"' in program.output():  # only the first of a database announces a token
            return Gateway(program, peer.address(port, program.output()) or Address(port), ports)
        time.sleep(0.01)
    raise NotStarted(program.output().strip()[-600:])


def put(kind: Load, rigged: Sequence[Gateway], database: Database, stub: Program, session: str) -> Measured:
    """Put a load on all gateways at once, and wait until what follows is written. Return what it cost."""
    programs = [gateway.program for gateway in rigged]
    for program in programs:
        program.settle()
    before, bystanders = _costs(programs, database, stub), Bystanders([stub, *programs])
    of_database = database.cpu()
    seen = _send(kind, rigged, session)
    others = max(0.0, bystanders.cores() - (database.cpu() - of_database) / kind.seconds)
    time.sleep(_SETTLED)
    spent = [now - then for now, then in zip(_costs(programs, database, stub), before, strict=True)]
    return Measured(
        gateways=len(rigged),
        load=kind.title,
        seconds=max(each.seconds for each in seen),
        requests=sum(each.requests for each in seen),
        ok=sum(each.ok for each in seen),
        failed=sum(each.bad + each.errors for each in seen),
        of_gateways=spent[0],
        of_database=spent[1],
        of_provider=spent[2],
        log=spent[3],
        p50=max(each.p50 or 0.0 for each in seen),
        p99=max(each.p99 or 0.0 for each in seen),
        others=others,
    )


def _send(kind: Load, rigged: Sequence[Gateway], session: str) -> list[Seen]:
    """Send a load, in equal parts, to all gateways. `session` names the sessions of each part."""
    parts = replace(kind, rate=kind.rate / len(rigged), connections=max(1, kind.connections // len(rigged)))
    targets = [gateway.target(f"{number}-{session}") for number, gateway in enumerate(rigged)]
    with ThreadPoolExecutor(len(rigged)) as pool:
        return list(pool.map(lambda target: load.send(parts, target, core=None), targets))


def _costs(programs: Sequence[Program], database: Database, stub: Program) -> tuple[float, float, float, int]:
    """Return the CPU seconds of the gateways, of PostgreSQL and of the provider, and the bytes of log."""
    of_gateways = sum(program.cpu().total for program in programs)
    return of_gateways, database.cpu(), stub.cpu().total, database.written()
