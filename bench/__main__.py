"""Measures everything in one run, prints the report, and keeps it in bench/results: `python -m bench [--rounds N] [--check] [GROUP …]`.

Ends with 0 whatever the figures say. With `--check` it ends with 1 when one is over its budget by more than a quarter, which is
what a busy machine can do to a sound figure.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from . import classify, core, library, system
from .measure import Figure, machine, on_core, progress

RESULTS = Path(__file__).parent / "results"
_TOLERATED = 1.25
_GROUPS: dict[str, Callable[[int], list[Figure]]] = {
    "core": core.figures,
    "store": system.store_figures,
    "start": lambda _: system.start_figures(),
    "library": library.figures,
}


def main(arguments: Sequence[str]) -> int:
    """Measure, report, and say whether the budgets hold."""
    options = _options(arguments)
    figures: list[Figure] = []
    with on_core(0):
        for group in options.groups or _GROUPS:
            progress(f"measuring: {group}")
            figures += _GROUPS[group](options.rounds)
    progress("")
    rows = [json.loads(line) for line in classify.DATA.read_text("utf-8").splitlines() if line.strip()]
    report = _report(machine(), figures, classify.report(rows))
    print(report)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.md").write_text(report + "\n", "utf-8")
    (RESULTS / "latest.json").write_text(json.dumps({"machine": machine(), "figures": [one.row() for one in figures]}, indent=1) + "\n", "utf-8")
    far_over = [one for one in figures if one.budget is not None and one.value > one.budget * _TOLERATED]
    return 1 if options.check and far_over else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What Holdfast costs, side by side with what it stands on.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", choices=[*_GROUPS, []], help=f"only these: {', '.join(_GROUPS)}")
    parser.add_argument("--rounds", type=int, default=15, help="how often each variant is measured (default 15)")
    parser.add_argument("--check", action="store_true", help="end with 1 when a budget is missed by more than a quarter")
    return parser.parse_args(arguments)


def _report(told: dict[str, str], figures: Sequence[Figure], faults: str) -> str:
    """The whole report, as Markdown that is also readable as it is."""
    lines = ["# Benchmarks", "", *(f"- {name}: {value}" for name, value in told.items())]
    lines += ["", "CPU time of the client's process, all its threads: median (lowest to highest round)."]
    for group, members in groupby(figures, key=lambda one: one.group):
        lines += ["", f"## {group}", "", "```", *(_line(one) for one in members), "```"]
    lines += ["", "## How well answers are understood", "", "```", faults, "```", "", "## Budgets", ""]
    lines += ["| figure | measured | budget | |", "|---|---|---|---|"]
    lines += [
        f"| {one.group}: {one.name} | {one.value:g} {one.unit} | {one.budget:g} {one.unit} | {one.verdict} |" for one in figures if one.budget is not None
    ]
    return "\n".join(lines)


def _line(one: Figure) -> str:
    return f"{one.name:52}{one.value:>10.1f} {one.unit}  ({one.low:.1f} to {one.high:.1f})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
