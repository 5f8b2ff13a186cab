"""`python -m bench gateway`: measure everybody, write the page, its plots and the figures, and give the page
as text."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ..measure import machine, progress
from . import cache, report
from .compare import measure
from .load import LOADS
from .peers import EVERYBODY
from .results import Results

RESULTS = Path(__file__).parents[1] / "results"


def run(rounds: int, names: Sequence[str] = (), *, quick: bool = False) -> str:
    """Measure these peers, or all of them; `quick` measures each load once and briefly, on those that need no
    installing, and writes into the cache."""
    peers = (
        [EVERYBODY[name] for name in names]
        if names
        else [one for one in EVERYBODY.values() if one.quick or not quick]
    )
    loads = [load.shorter() for load in LOADS] if quick else list(LOADS)
    try:
        reports, runs = measure(peers, loads, 1 if quick else rounds)
    except cache.NotInstalled as reason:
        return f"# The gateway beside its peers\n\nNot measured: {reason}\n"
    progress("")
    results = Results(datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), _machine(), reports, runs)
    write(results, cache.PLACE / "quick" if quick else RESULTS)
    return report.page(results)


def write(results: Results, place: Path) -> None:
    """The page with all that it refers to."""
    place.mkdir(parents=True, exist_ok=True)
    (place / "gateway.json").write_text(results.text(), "utf-8")
    (place / "gateway.md").write_text(report.page(results), "utf-8")
    for name, drawn in report.plots(results).items():
        (place / name).write_text(drawn, "utf-8")


def _machine() -> dict[str, str]:
    told = machine()
    wanted = {name: told[name] for name in ("cpu", "cores", "python") if name in told}
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return wanted | {"memory": f"{memory:.0f} GB", "kernel": f"{platform.system()} {platform.release()}"}
