"""Measures everything in one run, prints the report, and keeps it in bench/results.

    python -m bench [GROUP …] [--rounds N] [--quick] [--check]    all groups, or these: core, engine, store,
    start, library, gateway
    python -m bench soak [--minutes N] [--rate half|R]            the gateway under a steady load: is its
    memory flat, does nothing fail?
    python -m bench profile [--pid P]                             where the gateway's CPU time goes

Ends with 0 whatever the figures say. With `--check` it ends with 1 when one is over its budget by more than a
quarter, which is what a busy machine can do to a sound figure."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from . import classify, core, engine, library, system
from .gateway import command, peers, profile, soak
from .measure import Figure, machine, on_core, progress

RESULTS = Path(__file__).parent / "results"
_TOLERATED = 1.25
_GROUPS: dict[str, Callable[[int], list[Figure]]] = {
    "core": core.figures,
    "engine": engine.figures,
    "store": system.store_figures,
    "start": lambda _: system.start_figures(),
    "library": library.figures,
}
_GATEWAY = "gateway"
_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"soak": soak.main, "profile": profile.main}
_QUICK_ROUNDS = 3
_ROUNDS_A_GATEWAY_ROUND = 5
"""A round of the gateway takes seconds, one of the others milliseconds."""


def main(arguments: Sequence[str]) -> int:
    """Measure, report, and say whether the budgets hold."""
    if arguments and arguments[0] in _COMMANDS:
        return _COMMANDS[arguments[0]](arguments[1:])
    options = _options(arguments)
    rounds = _QUICK_ROUNDS if options.quick else options.rounds
    wanted = options.groups or [*_GROUPS, _GATEWAY]
    far_over = _in_process([name for name in wanted if name in _GROUPS], rounds)
    if _GATEWAY in wanted:
        print(command.run(max(1, rounds // _ROUNDS_A_GATEWAY_ROUND), options.peers, quick=options.quick))
    return 1 if options.check and far_over else 0


def _in_process(groups: Sequence[str], rounds: int) -> bool:
    """Measure and report what runs in this process; tells whether a figure is far over its budget."""
    if not groups:
        return False
    figures: list[Figure] = []
    with on_core(0):
        for group in groups:
            progress(f"measuring: {group}")
            figures += _GROUPS[group](rounds)
    progress("")
    rows = [json.loads(line) for line in classify.DATA.read_text("utf-8").splitlines() if line.strip()]
    report = _report(machine(), figures, classify.report(rows))
    print(report)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.md").write_text(report + "\n", "utf-8")
    (RESULTS / "latest.json").write_text(
        json.dumps({"machine": machine(), "figures": [one.row() for one in figures]}, indent=1) + "\n",
        "utf-8",
    )
    return any(one.budget is not None and one.value > one.budget * _TOLERATED for one in figures)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    named = [*_GROUPS, _GATEWAY]
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="What Holdfast costs, side by side with what it stands on.",
        epilog="Other commands: soak, profile (each has --help).",
    )
    parser.add_argument(
        "groups", nargs="*", metavar="GROUP", choices=[*named, []], help=f"only these: {', '.join(named)}"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=15,
        help=f"how often each variant is measured (default 15; the gateway a {_ROUNDS_A_GATEWAY_ROUND}th of it)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a brief look: few rounds, short loads, only the gateways that need no installing",
    )
    parser.add_argument(
        "--peers",
        type=_peers,
        default=[],
        help=f"the gateways to measure, with commas: {', '.join(peers.EVERYBODY)}",
    )
    parser.add_argument(
        "--check", action="store_true", help="end with 1 when a budget is missed by more than a quarter"
    )
    return parser.parse_args(arguments)


def _peers(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(peers.EVERYBODY):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return names


def _report(told: dict[str, str], figures: Sequence[Figure], faults: str) -> str:
    """The whole report, as Markdown that is also readable as it is."""
    lines = ["# Benchmarks", "", *(f"- {name}: {value}" for name, value in told.items())]
    lines += ["", "CPU time of the client's process, all its threads: median (lowest to highest round)."]
    for group, members in groupby(figures, key=lambda one: one.group):
        lines += ["", f"## {group}", "", "```", *(_line(one) for one in members), "```"]
    lines += ["", "## How well answers are understood", "", "```", faults, "```", "", "## Budgets", ""]
    lines += ["| figure | measured | budget | |", "|---|---|---|---|"]
    lines += [
        f"| {one.group}: {one.name} | {one.value:g} {one.unit} | {one.budget:g} {one.unit} | {one.verdict} |"
        for one in figures
        if one.budget is not None
    ]
    return "\n".join(lines)


def _line(one: Figure) -> str:
    return f"{one.name:52}{one.value:>10.1f} {one.unit}  ({one.low:.1f} to {one.high:.1f})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
