"""`python -m bench gateway`: measures all peers, and writes the page, its plots and the figures."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ..measure import machine, progress
from . import cache, report
from .all_peers import ALL
from .compare import measure
from .load import LOADS
from .results import Results

RESULTS = Path(__file__).parents[1] / "results"


def run(rounds: int, names: Sequence[str] = (), *, quick: bool = False) -> str:
    """Measure these peers, or all of them. Return the page as text.

    `quick` measures each load once and briefly, on the peers that need no installation, and writes into the
    cache.
    """
    peers = [ALL[name] for name in names]
    loads, folder = list(LOADS), RESULTS
    if quick:
        peers = peers or [peer for peer in ALL.values() if peer.quick]
        loads, folder, rounds = [load.shorter() for load in LOADS], cache.PLACE / "quick", 1
    try:
        reports, runs = measure(peers or [*ALL.values()], loads, rounds)
    except cache.NotInstalled as reason:
        return f"# The gateway beside its peers\n\nNot measured: {reason}\n"
    progress("")
    results = Results(datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), _machine(), reports, runs)
    write(results, folder)
    return report.page(results)


def write(results: Results, folder: Path) -> None:
    """Write the page, its plots and the figures into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gateway.json").write_text(results.text(), "utf-8")
    (folder / "gateway.md").write_text(report.page(results), "utf-8")
    for name, drawn in report.plots(results).items():
        (folder / name).write_text(drawn, "utf-8")


def _machine() -> dict[str, str]:
    facts = machine()
    wanted = {name: facts[name] for name in ("cpu", "cores", "python", "python build") if name in facts}
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    return wanted | {"memory": f"{memory:.0f} GB", "kernel": f"{platform.system()} {platform.release()}"}
