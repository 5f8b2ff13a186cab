"""The page of results and its plots, made from the measured data alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import svg
from .budgets import BUDGETS, idle, memory_with_streams, start
from .load import LOADS
from .results import QUIET, Figure, Results
from .svg import number

_TITLES = {load.name: load.title for load in LOADS}
_RATES = {load.name: load.rate for load in LOADS if load.rate}
_COUNTS = ("c1", "c16", "c128", "c1000")
_PROMPTS: Mapping[str, tuple[float, str]] = {
    "c16": (1_000, "1 KB"),
    "p10k": (10_000, "10 KB"),
    "p100k": (100_000, "100 KB"),
    "p1m": (1_000_000, "1 MB"),
}
_CLIENTS: Mapping[str, tuple[float, str]] = {
    "c1": (1, "1"),
    "c16": (16, "16"),
    "c128": (128, "128"),
    "c1000": (1_000, "1,000"),
}
"""The loads of a plot with lines: the value on its axis and the label of it."""
_STREAMS = ("burst", "trickle")
_SHARES: tuple[Figure, ...] = ("p50", "p99")
_KEPT_UP = 0.97
"""The part of a rate at which a gateway counts as keeping up."""
_METHOD = """\
One machine, one stub provider, one load generator (both in C). The gateway under test has a core to itself;
provider and load generator share another. Every load is put on every gateway in turn, in a new order each
round; figures are medians of {rounds}.
CPU time is user and system time of all processes of a gateway, divided by the requests or chunks that it
served.
Rounds in which other programs used more than a tenth of a core are left out where there are quieter ones.
"""
_ADDED = """\
The percentile through the gateway less the same percentile without one. A gateway that did not keep up with a
rate is over its capacity."""
Column = Callable[[str], float | None]
"""A column of a table: the figure of a peer by its name, None for none."""


def page(results: Results) -> str:
    """Return the whole page as Markdown."""
    return "\n".join(
        [
            *_head(results),
            *_budgets(results),
            *_costs(results),
            *_latencies(results),
            *_streams(results),
            *_footprint(results),
            *_peers(results),
            "",
        ]
    )


def plots(results: Results) -> dict[str, str]:
    """Return the page's plots by file name, without those of figures that were not measured."""
    drawn = {
        "gateway-cpu.svg": _bars(
            results,
            "CPU time of a request: 1 KB prompt, 1 KB answer, 128 at once",
            "µs",
            {"": _median(results, "c128", "per_request")},
        ),
        "gateway-chunk.svg": _bars(
            results,
            "CPU time of a streamed chunk: 200 streams, a chunk every 20 ms",
            "µs",
            {"": _median(results, "trickle", "per_chunk")},
        ),
        "gateway-latency.svg": _bars(
            results,
            "Added latency, one request at a time",
            "µs",
            {share: _added(results, "c1", share) for share in _SHARES},
        ),
        "gateway-memory.svg": _bars(
            results,
            "Memory at rest, and with 1,000 open streams",
            "MB",
            {"at rest": _by(idle, results), "with streams": _by(memory_with_streams, results)},
            straight=True,
        ),
        "gateway-prompts.svg": _lines(
            results, "CPU time of a request by the size of its prompt", "prompt", _PROMPTS
        ),
        "gateway-clients.svg": _lines(
            results, "CPU time of a request by how many there are at once", "requests at once", _CLIENTS
        ),
    }
    return {name: text for name, text in drawn.items() if text}


def _head(results: Results) -> list[str]:
    pairs = [(load, peer) for load in _TITLES for peer in results.measured]
    rounds = max((len(results.of(*pair)) for pair in pairs), default=0)
    others = max((run.others for pair in pairs for run in results.quiet(*pair)), default=0.0)
    in_rounds = f"{rounds} rounds"
    if rounds == 1:
        in_rounds = "a single round"
    lines = [
        "# The gateway beside its peers",
        "",
        f"Measured {results.date}.",
        "",
        *(f"- {name}: {value}" for name, value in results.machine.items()),
        "",
        *_METHOD.format(rounds=in_rounds).splitlines(),
    ]
    if others > QUIET:
        lines.append(
            f"**The machine was busy: other programs used up to {others:.1f} cores in rounds that count."
            " Latencies are worth little.**"
        )
    lines.append("How to read this: [docs/reference/performance.md](../../docs/reference/performance.md).")
    return [*lines, ""]


def _budgets(results: Results) -> list[str]:
    lines = [
        "## Budgets",
        "",
        "| figure | holdfast | against | result | budget | |",
        "|---|---|---|---|---|---|",
    ]
    for judge in BUDGETS:
        verdict = judge(results)
        figures = f"{verdict.figure} | {verdict.ours} | {verdict.other} | {verdict.result}"
        lines.append(f"| {figures} | {verdict.budget} | {verdict.word} |")
    return [*lines, ""]


def _costs(results: Results) -> list[str]:
    by_load = {
        _TITLES[load]: _median(results, load, "per_request") for load in (*_COUNTS, "p10k", "p100k", "p1m")
    }
    at_saturation = {_TITLES[load]: _median(results, load, "rps") for load in _COUNTS[1:]}
    return [
        "## CPU µs a request",
        "",
        "![CPU time of a request](gateway-cpu.svg)",
        "",
        *_table(results, by_load),
        "",
        "1 KB prompt where nothing else is said, 1 KB answer. 10 and 100 KB with 16 at once, 1 MB with 8.",
        "",
        "![by prompt](gateway-prompts.svg)",
        "",
        "![by clients](gateway-clients.svg)",
        "",
        "## Requests a second at saturation",
        "",
        *_table(results, at_saturation, direct=True),
        "",
        "The load generator's core is the limit of `direct` and of nginx.",
        "",
    ]


def _latencies(results: Results) -> list[str]:
    columns = {
        f"{_TITLES[load]}, {share}": _added(results, load, share)
        for load in ("c1", *_RATES)
        for share in _SHARES
    }
    return [
        "## Added latency, µs",
        "",
        "![Added latency](gateway-latency.svg)",
        "",
        *_table(results, columns, missing="over its capacity"),
        "",
        _ADDED,
        "",
    ]


def _streams(results: Results) -> list[str]:
    columns = {f"CPU µs a chunk: {_TITLES[load]}": _median(results, load, "per_chunk") for load in _STREAMS}
    columns["chunk in transit, p50 µs"] = _median(results, "trickle", "transit_p50")
    columns["p99 µs"] = _median(results, "trickle", "transit_p99")
    return [
        "## Streams",
        "",
        "![CPU time of a streamed chunk](gateway-chunk.svg)",
        "",
        *_table(results, columns, direct=True),
        "",
        "In transit: from the provider's send to the client's receive, of the streams that trickle.",
        "",
    ]


def _footprint(results: Results) -> list[str]:
    columns = {
        "at rest, MB": _by(idle, results),
        "1,000 open streams, MB": _by(memory_with_streams, results),
        "start to first answer, s": _by(start, results),
    }
    return ["## Memory and start", "", "![Memory](gateway-memory.svg)", "", *_table(results, columns), ""]


def _peers(results: Results) -> list[str]:
    lines = [
        "## Who was measured",
        "",
        "| gateway | version | what it did of the job | failed requests |",
        "|---|---|---|---|",
    ]
    for peer in results.peers:
        what, failed = (
            peer.does,
            str(sum(run.bad + run.errors for run in results.runs if run.peer == peer.name)),
        )
        if peer.missing is not None:
            what, failed = f"**not measured**: {' '.join(peer.missing.split())}", "–"
        lines.append(f"| {peer.name} | {peer.version or '–'} | {what.replace('|', '/')} | {failed} |")
    return lines


def _table(
    results: Results, columns: Mapping[str, Column], *, direct: bool = False, missing: str = "–"
) -> list[str]:
    """Return a table with a line for each gateway that was measured; `direct` adds one for no gateway."""
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    peers = results.measured
    if direct:
        peers = ["direct", *peers]
    for peer in peers:
        cells = [_cell(column(peer), missing) for column in columns.values()]
        lines.append(f"| {peer} | {' | '.join(cells)} |")
    return lines


def _cell(value: float | None, missing: str) -> str:
    if value is None:
        return missing
    return number(value)


def _bars(
    results: Results, title: str, unit: str, series: Mapping[str, Column], *, straight: bool = False
) -> str:
    """Return a plot of the gateways for which all series were measured, "" where there are none."""
    rows: list[tuple[str, list[float]]] = []
    for peer in results.measured:
        values = [column(peer) for column in series.values()]
        row = [max(value, 0.1) for value in values if value is not None]
        if len(row) == len(values):
            rows.append((peer, row))
    if not rows:
        return ""
    rows.sort(key=lambda named: named[1][0])
    return svg.bars(title, unit, rows, [*series], straight=straight)


def _lines(results: Results, title: str, across: str, loads: Mapping[str, tuple[float, str]]) -> str:
    """Return a plot of the CPU time of a request, "" where it was not measured."""
    series: dict[str, list[svg.Point]] = {}
    for peer in results.measured:
        figures = [(x, results.median(load, peer, "per_request")) for load, (x, _) in loads.items()]
        points = [(x, y) for x, y in figures if y is not None]
        if points:
            series[peer] = points
    if not series:
        return ""
    return svg.lines(title, "µs", across, ticks=[*loads.values()], series=series)


def _median(results: Results, load: str, figure: Figure) -> Column:
    return lambda peer: results.median(load, peer, figure)


def _added(results: Results, load: str, figure: Figure) -> Column:
    """Return the column of the difference that a gateway makes to a figure, None where it did not keep up."""

    def column(peer: str) -> float | None:
        through, bare = results.median(load, peer, figure), results.median(load, "direct", figure)
        rate = results.median(load, peer, "rps")
        if through is None or bare is None or rate is None:
            return None
        if rate < _KEPT_UP * _RATES.get(load, 0.0):
            return None
        return through - bare

    return column


def _by(figure: Callable[[Results, str], float | None], results: Results) -> Column:
    return lambda peer: figure(results, peer)
