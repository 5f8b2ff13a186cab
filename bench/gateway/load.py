"""The load: which requests, how many at once, for how long; and what the load generator saw (c/lg.c)."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..measure import on_core
from . import cache
from .peers import Ports, Target
from .process import LOAD_CORE, Program, started


@dataclass(frozen=True, slots=True)
class Load:
    """One kind of load. `rate` is requests a second, 0 where each connection sends as soon as it has its
    answer; `prompt` is bytes."""

    name: str
    title: str
    mode: str = "json"
    connections: int = 1
    rate: float = 0.0
    prompt: int = 1_000
    seconds: float = 3.0
    warmup: float = 0.5
    ramp: float = 0.0

    @property
    def streams(self) -> bool:
        return self.mode != "json"

    def shorter(self) -> Load:
        """The same for a quick look; a stream that trickles needs its time."""
        return replace(
            self,
            seconds=min(self.seconds, 0.8),
            warmup=min(self.warmup, 0.3) if not self.ramp else self.warmup,
        )


LOADS: tuple[Load, ...] = (
    # First, while every gateway is as small as it was after its start.
    Load("hold", "1,000 streams, a chunk every second", mode="hold", connections=1_000, ramp=1.0, warmup=1.5),
    Load("c1", "1 at a time", connections=1),
    Load("c16", "16 at once", connections=16),
    Load("c128", "128 at once", connections=128),
    Load("c1000", "1,000 at once", connections=1_000, ramp=0.5, warmup=1.5),
    Load("r100", "100/s", connections=64, rate=100),
    Load("r500", "500/s", connections=64, rate=500),
    Load("p10k", "10 KB prompt", connections=16, prompt=10_000),
    Load("p100k", "100 KB prompt", connections=16, prompt=100_000),
    Load("p1m", "1 MB prompt", connections=8, prompt=1_000_000),
    Load("burst", "32 streams, chunks back to back", mode="burst", connections=32),
    Load(
        "trickle", "200 streams, a chunk every 20 ms", mode="trickle", connections=200, ramp=2.0, warmup=2.2
    ),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the load generator saw. Microseconds; nothing where there was nothing to see. `requests` and
    `chunks` count the warm-up too."""

    requests: int
    chunks: int
    seconds: float
    ok: int
    bad: int
    errors: int
    last_status: int
    p50: float | None
    p99: float | None
    transit_p50: float | None
    transit_p99: float | None


def read(line: str) -> Seen:
    """The load generator's line."""
    told: dict[str, Any] = json.loads(line)

    def share(kind: str, name: str) -> float | None:
        return told[kind][name] if told[kind]["n"] else None

    return Seen(
        *(
            told[name]
            for name in ("all_requests", "all_chunks", "seconds", "ok", "bad", "errors", "last_status")
        ),
        *(share(kind, name) for kind in ("latency", "transit") for name in ("p50", "p99")),
    )


def send(
    load: Load, target: Target, meanwhile: Callable[[], object] = lambda: None, requests: int | None = None
) -> Seen:
    """Send this load, calling `meanwhile` every quarter of a second; `requests` ends it after so many."""
    argv = [
        str(cache.program("lg")),
        "-p",
        str(target.port),
        "-u",
        target.path,
        "-m",
        target.model,
        "-c",
        str(load.connections),
    ]
    argv += [
        "-d",
        str(load.seconds),
        "-w",
        str(load.warmup),
        "-r",
        str(load.rate),
        "-R",
        str(round(load.ramp * 1_000)),
        "-b",
        str(load.prompt),
    ]
    argv += ["-s"] if load.streams else []
    argv += ["-n", str(requests)] if requests is not None else []
    for header in target.headers:
        argv += ["-H", header]
    with (
        on_core(LOAD_CORE),
        subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=cache.environment()) as child,
    ):
        until = time.monotonic() + load.seconds + load.warmup + 30
        while True:
            try:
                said, _ = child.communicate(timeout=0.25)
                return read(said)
            except subprocess.TimeoutExpired:
                meanwhile()
                if time.monotonic() > until:
                    child.kill()
                    raise


@contextmanager
def provider() -> Iterator[tuple[Ports, Program]]:
    """The stub provider; gives its port for each way of answering, and itself."""
    with (
        tempfile.TemporaryDirectory() as place,
        started([cache.program("stub")], {}, Path(place, "log"), LOAD_CORE) as stub,
    ):
        while not (said := stub.said()).endswith("\n"):
            if stub.ended:
                raise cache.NotInstalled(f"the stub provider did not start: {said}")
            time.sleep(0.01)
        ports: dict[str, int] = json.loads(said)
        yield ports, stub
