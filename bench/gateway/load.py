"""The loads of the benchmark, and the load generator that sends them (c/lg.c)."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..measure import on_core
from . import cache
from .peers import Ports, Target
from .process import LOAD_CORE, Program, started


@dataclass(frozen=True, slots=True)
class Load:
    """A kind of load.

    `rate` is in requests a second; with 0 each connection sends as soon as it has its answer. `prompt` is in
    bytes. `ramp` is the seconds over which the connections are opened. Figures count after `warmup` seconds,
    for `seconds`.
    """

    name: str
    title: str
    mode: str = "json"
    connections: int = 1
    rate: float = 0.0
    prompt: int = 1_000
    seconds: float = 1.2
    warmup: float = 0.5
    ramp: float = 0.0

    @property
    def streams(self) -> bool:
        return self.mode != "json"

    def shorter(self) -> Load:
        """Return the same load for a quick measurement; one with a ramp keeps its warm-up."""
        warmup = self.warmup
        if not self.ramp:
            warmup = min(warmup, 0.3)
        return replace(self, seconds=min(self.seconds, 0.8), warmup=warmup)


LOADS: tuple[Load, ...] = (
    # The first load, since other ones would enlarge the gateways.
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
    """The figures of the load generator. Latencies are in microseconds, None where there are none. `requests`
    and `chunks` include the warm-up."""

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
    """Read the load generator's line."""
    values: dict[str, Any] = json.loads(line)
    latency, transit = _percentiles(values["latency"]), _percentiles(values["transit"])
    return Seen(
        requests=values["all_requests"],
        chunks=values["all_chunks"],
        seconds=values["seconds"],
        ok=values["ok"],
        bad=values["bad"],
        errors=values["errors"],
        last_status=values["last_status"],
        p50=latency.get("p50"),
        p99=latency.get("p99"),
        transit_p50=transit.get("p50"),
        transit_p99=transit.get("p99"),
    )


def _percentiles(values: dict[str, float]) -> dict[str, float]:
    """Return the percentiles of a histogram, none of them where it counted nothing."""
    if values["n"]:
        return values
    return {}


def send(
    load: Load,
    target: Target,
    meanwhile: Callable[[], object] = lambda: None,
    *,
    requests: int | None = None,
    core: int | None = LOAD_CORE,
) -> Seen:
    """Send this load, and call `meanwhile` every quarter of a second. It ends after `requests`, if given. The
    generator runs on one core, on any for None."""
    argv = _command(load, target, requests)
    with (
        nullcontext() if core is None else on_core(core),
        subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=cache.environment()) as child,
    ):
        until = time.monotonic() + load.seconds + load.warmup + 30
        while True:
            try:
                output, _ = child.communicate(timeout=0.25)
                return read(output)
            except subprocess.TimeoutExpired:
                meanwhile()
                if time.monotonic() > until:
                    child.kill()
                    raise


def _command(load: Load, target: Target, requests: int | None) -> list[str]:
    """Return the command line of the load generator."""
    options: dict[str, object] = {
        "-p": target.port,
        "-u": target.path,
        "-m": target.model,
        "-c": load.connections,
        "-d": load.seconds,
        "-w": load.warmup,
        "-r": load.rate,
        "-R": round(load.ramp * 1_000),
        "-b": load.prompt,
    }
    if requests is not None:
        options["-n"] = requests
    argv = [str(cache.program("lg"))]
    for name, value in options.items():
        argv += [name, str(value)]
    if load.streams:
        argv.append("-s")
    for header in target.headers:
        argv += ["-H", header]
    return argv


@contextmanager
def provider() -> Iterator[tuple[Ports, Program]]:
    """Run the stub provider; yields its port for each way of answering, and its program."""
    with (
        tempfile.TemporaryDirectory() as folder,
        started([cache.program("stub")], {}, Path(folder, "log"), LOAD_CORE) as stub,
    ):
        while not (output := stub.output()).endswith("\n"):
            if stub.ended:
                raise cache.NotInstalled(f"the stub provider did not start: {output}")
            time.sleep(0.01)
        ports: dict[str, int] = json.loads(output)
        yield ports, stub
