"""`python -m bench nodes`: 1, 2 and 4 gateways on one PostgreSQL, which begin sessions and serve known ones.

The first request of a session costs a row in the database, and every request a line in the journal and a
share of a sum of usage. For each number of gateways the statements are counted, in a run of its own since
that costs the server time; then each load is measured. All programs share all cores of the machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from ..gateway import cache, compare, load
from ..gateway.load import Load
from ..gateway.process import Program
from ..measure import machine, progress
from .database import Database, database
from .rig import Gateway, Measured, gateways, put

_NEW, _KNOWN = "{#}", "{}"
"""The mark in a session's name that makes one for each request, and one for each connection."""
_COLUMNS = (
    "gateways | load | a second | failed | PostgreSQL µs | gateways µs | provider µs | log B | p50 ms"
    " | p99 ms | others"
)
_FEW = 32
"""Connections of the steady load."""


def main(arguments: Sequence[str]) -> int:
    """Measure, and print a line for each load. Return the exit code."""
    options = _options(arguments)
    facts = machine()
    print(", ".join(f"{name}: {facts[name]}" for name in ("cpu", "cores", "python") if name in facts))
    try:
        compare.more_files()
        with load.provider() as (ports, stub), database() as server:
            for number, count in enumerate(options.gateways):
                url = server.create(f"nodes_{number}")
                with gateways(count, url, ports) as rigged:
                    _measure(rigged, server, stub, options)
                server.drop(f"nodes_{number}")
    except (cache.NotInstalled, compare.NotStarted) as reason:
        print(f"not measured: {reason}", file=sys.stderr)
        return 1
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench nodes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--gateways", type=_numbers, default=[1, 2, 4], help="how many of them, in turn (default 1,2,4)"
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load (default 5)")
    parser.add_argument(
        "--rate", type=float, default=300.0, help="new sessions a second of the steady load (default 300)"
    )
    parser.add_argument("--connections", type=int, default=128, help="of the full load (default 128)")
    return parser.parse_args(arguments)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _measure(rigged: Sequence[Gateway], server: Database, stub: Program, options: argparse.Namespace) -> None:
    """Print the statements of a request on these gateways, and what each load costs."""
    steady = Load(
        "new",
        f"{options.rate:g} new/s",
        connections=_FEW,
        rate=options.rate,
        seconds=options.seconds,
        warmup=0.0,
    )
    full = Load("new", "new", connections=options.connections, seconds=options.seconds, warmup=0.0)
    known = Load("known", "known", connections=options.connections, seconds=options.seconds, warmup=0.0)
    put(steady, rigged, server, stub, f"w{_NEW}")
    for kind, mark in ((steady, _NEW), (known, _KNOWN)):
        progress(f"counting: {kind.title}, {len(rigged)} gateways")
        with server.statements() as sent:
            counted = put(kind, rigged, server, stub, f"c{mark}")
        print(f"\n{statements(kind.title, counted.requests, sent)}")
    print(f"\n| {_COLUMNS} |\n|{'---|' * (1 + _COLUMNS.count('|'))}")
    for number, (kind, mark) in enumerate(((steady, _NEW), (full, _NEW), (known, _KNOWN))):
        progress(f"measuring: {kind.title}, {len(rigged)} gateways")
        print(row(put(kind, rigged, server, stub, f"{number}-{mark}")), flush=True)


def statements(title: str, requests: int, sent: Mapping[str, int]) -> str:
    """Return the statements of a load for each of its requests, by kind, as a line."""
    each = [f"{kind} {count / max(1, requests):.3f}" for kind, count in sorted(sent.items())]
    return f"Statements a request, {title}: {', '.join(each)}"


def row(measured: Measured) -> str:
    """Return a line of the table."""
    micros = 1e6 / max(1, measured.requests)
    cells = (
        measured.gateways,
        measured.load,
        f"{measured.ok / measured.seconds:,.0f}",
        measured.failed,
        f"{measured.of_database * micros:.0f}",
        f"{measured.of_gateways * micros:.0f}",
        f"{measured.of_provider * micros:.0f}",
        f"{measured.log / max(1, measured.requests):,.0f}",
        f"{measured.p50 / 1e3:.1f}",
        f"{measured.p99 / 1e3:.1f}",
        f"{measured.others:.2f}",
    )
    return f"| {' | '.join(str(cell) for cell in cells)} |"
