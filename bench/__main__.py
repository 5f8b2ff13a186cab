"""Measures everything in one run, prints the report, and keeps it in bench/results.

    python -m bench [GROUP …] [--rounds N] [--quick] [--check]
        all groups, or these: core, engine, translate, store, start, library, gateway
    python -m bench soak [--minutes N] [--rate half|R]
        the gateway under a steady load: does its memory grow, does a request fail?
    python -m bench profile [--pid P]
        the gateway's CPU time by function
    python -m bench nodes [--gateways 1,2,4]
        several gateways on one PostgreSQL: new sessions a second, and what each costs
    python -m bench growth [--tables evidence,cooldowns,sessions,journal]
        a home with 1,000 rows of one kind, and with up to 1,000 times as many

Exits with 0 whatever the figures are. With `--check` it exits with 1 when one exceeds its budget by more than
a quarter: a busy machine may add that much to a figure.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from . import classify, core, engine, growth, library, system, translate
from .gateway import command, profile, soak
from .gateway.all_peers import ALL
from .measure import Figure, machine, on_core, progress
from .nodes import command as nodes

RESULTS = Path(__file__).parent / "results"
_TOLERATED = 1.25
"""How many times its budget a figure may reach with `--check`."""
_GROUPS: dict[str, Callable[[int], list[Figure]]] = {
    "core": core.figures,
    "engine": engine.figures,
    "translate": translate.figures,
    "store": system.store_figures,
    "start": lambda _: system.start_figures(),
    "library": library.figures,
}
_GATEWAY = "gateway"
_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "soak": soak.main,
    "profile": profile.main,
    "nodes": nodes.main,
    "growth": growth.main,
}
_QUICK_ROUNDS = 3
_ROUNDS_A_GATEWAY_ROUND = 7
"""Rounds of the other groups for each round of the gateway, which takes seconds instead of milliseconds."""


def main(arguments: Sequence[str]) -> int:
    """Measure and report. Return the exit code."""
    if arguments and arguments[0] in _COMMANDS:
        return _COMMANDS[arguments[0]](arguments[1:])
    options = _options(arguments)
    rounds = options.rounds
    if options.quick:
        rounds = _QUICK_ROUNDS
    wanted = options.groups or [*_GROUPS, _GATEWAY]
    far_over = _in_process([name for name in wanted if name in _GROUPS], rounds)
    if _GATEWAY in wanted:
        print(command.run(max(1, rounds // _ROUNDS_A_GATEWAY_ROUND), options.peers, quick=options.quick))
    return int(options.check and far_over)


def _in_process(groups: Sequence[str], rounds: int) -> bool:
    """Measure and report the groups that run in this process. Return True if a figure far exceeds its
    budget."""
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
    values = {"machine": machine(), "figures": [figure.row() for figure in figures]}
    (RESULTS / "latest.json").write_text(json.dumps(values, indent=1) + "\n", "utf-8")
    limits = [(figure.value, figure.budget * _TOLERATED) for figure in figures if figure.budget is not None]
    return any(value > limit for value, limit in limits)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    named = [*_GROUPS, _GATEWAY]
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure the costs of Holdfast beside those of the programs that it builds on.",
        epilog=f"Other commands: {', '.join(_COMMANDS)} (each has --help).",
    )
    parser.add_argument(
        "groups", nargs="*", metavar="GROUP", choices=[*named, []], help=f"only these: {', '.join(named)}"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=15,
        help="how often each variant is measured"
        f" (default 15; the gateway a {_ROUNDS_A_GATEWAY_ROUND}th of it)",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="measure briefly: few rounds, short loads, only the gateways that need no installation",
    )
    parser.add_argument(
        "--peers",
        type=_peers,
        default=[],
        help=f"the gateways to measure, separated by commas: {', '.join(ALL)}",
    )
    parser.add_argument(
        "--check", action="store_true", help="exit with 1 when a budget is exceeded by more than a quarter"
    )
    return parser.parse_args(arguments)


def _peers(text: str) -> list[str]:
    names = text.split(",")
    unknown = set(names) - set(ALL)
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return names


def _report(machine_facts: dict[str, str], figures: Sequence[Figure], faults: str) -> str:
    """Return the whole report as Markdown."""
    lines = ["# Benchmarks", "", *(f"- {name}: {value}" for name, value in machine_facts.items())]
    lines += ["", "CPU time of the client's process, all its threads: median (lowest to highest round)."]
    for group, members in groupby(figures, key=lambda figure: figure.group):
        lines += ["", f"## {group}", "", "```", *map(_line, members), "```"]
    lines += ["", "## How well answers are understood", "", "```", faults, "```", "", "## Budgets", ""]
    lines += ["| figure | measured | budget | |", "|---|---|---|---|"]
    for figure in figures:
        if figure.budget is not None:
            measured, budget = f"{figure.value:g} {figure.unit}", f"{figure.budget:g} {figure.unit}"
            lines.append(f"| {figure.group}: {figure.name} | {measured} | {budget} | {figure.verdict} |")
    return "\n".join(lines)


def _line(figure: Figure) -> str:
    return f"{figure.name:52}{figure.value:>10.1f} {figure.unit}  ({figure.low:.1f} to {figure.high:.1f})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
