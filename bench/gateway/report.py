"""The results page and its plots, from the measured data alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from . import svg
from .budgets import BUDGETS, idle, memory_with_streams, start
from .load import LOADS
from .results import Figure, Results
from .svg import number

_TITLES = {load.name: load.title for load in LOADS}
_RATES = {load.name: load.rate for load in LOADS if load.rate}
_COUNTS = ("c1", "c16", "c128", "c1000")
_PROMPTS: Mapping[str, float] = {"c16": 1_000, "p10k": 10_000, "p100k": 100_000, "p1m": 1_000_000}
_CLIENTS: Mapping[str, float] = dict(zip(_COUNTS, (1.0, 16.0, 128.0, 1_000.0), strict=True))
_STREAMS = ("burst", "trickle")
_SHARES: tuple[Figure, ...] = ("p50", "p99")


def page(results: Results) -> str:
    """The whole page, as Markdown that is also readable as it is."""
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
    """The page's pictures by file name; a picture of what was not measured is left out."""
    drawn = {
        "gateway-cpu.svg": _bars(results, "CPU time of a request: 1 KB prompt, 1 KB answer, 128 at once", "µs", [_median(results, "c128", "per_request")]),
        "gateway-chunk.svg": _bars(results, "CPU time of a streamed chunk: 200 streams, a chunk every 20 ms", "µs", [_median(results, "trickle", "per_chunk")]),
        "gateway-latency.svg": _bars(
            results, "Added latency, one request at a time", "µs", [_added(results, "c1", "p50"), _added(results, "c1", "p99")], ("p50", "p99")
        ),
        "gateway-memory.svg": _bars(
            results,
            "Memory at rest, and with 1,000 open streams",
            "MB",
            [_by(idle, results), _by(memory_with_streams, results)],
            ("at rest", "with streams"),
            straight=True,
        ),
        "gateway-prompts.svg": _lines(results, "CPU time of a request by the size of its prompt", "prompt", _PROMPTS, ("1 KB", "10 KB", "100 KB", "1 MB")),
        "gateway-clients.svg": _lines(
            results, "CPU time of a request by how many there are at once", "requests at once", _CLIENTS, ("1", "16", "128", "1,000")
        ),
    }  # fmt: skip
    return {name: text for name, text in drawn.items() if text}


def _head(results: Results) -> list[str]:
    rounds = max((len(results.of(load, peer)) for load in _TITLES for peer in results.measured), default=0)
    others = max(
        (run.others for load in _TITLES for peer in results.measured for run in results.quiet(load, peer)),
        default=0.0,
    )
    lines = [
        "# The gateway beside its peers",
        "",
        f"Measured {results.date}.",
        "",
        *(f"- {name}: {told}" for name, told in results.machine.items()),
    ]
    lines += [
        "",
        "One machine, one stub provider, one load generator (both in C). The gateway under test has a core for itself, provider and load generator share",
    ]
    lines += [
        "another. Every load is put on every gateway in turn, in a new order each round; figures are medians",
        f"of {rounds} rounds." if rounds != 1 else "of a single round.",
    ]
    lines += [
        "CPU time is user and system time of all processes of a gateway, divided by the requests or chunks that it served."
    ]
    lines += [
        "Rounds in which somebody else used more than a tenth of a core are left out where there are quieter ones."
    ]
    lines += (
        [
            f"**The machine was busy: somebody else used up to {others:.1f} cores in rounds that count. Latencies are worth little.**"
        ]
        if others > 0.1
        else []
    )
    lines += ["How to read this: [docs/reference/performance.md](../../docs/reference/performance.md).", ""]
    return lines


def _budgets(results: Results) -> list[str]:
    lines = [
        "## Budgets",
        "",
        "| figure | holdfast | against | result | budget | |",
        "|---|---|---|---|---|---|",
    ]
    for judge in BUDGETS:
        one = judge(results)
        lines.append(
            f"| {one.figure} | {one.ours} | {one.other} | {one.result} | {one.budget} | {one.word} |"
        )
    return [*lines, ""]


def _costs(results: Results) -> list[str]:
    loads = (*_COUNTS, "p10k", "p100k", "p1m")
    lines = [
        "## CPU µs a request",
        "",
        "![CPU time of a request](gateway-cpu.svg)",
        "",
        *_table(
            results, [_TITLES[one] for one in loads], [_median(results, one, "per_request") for one in loads]
        ),
    ]
    lines += [
        "",
        "1 KB prompt where nothing else is said, 1 KB answer. 10 and 100 KB with 16 at once, 1 MB with 8.",
        "",
    ]
    lines += [
        "![by prompt](gateway-prompts.svg)",
        "",
        "![by clients](gateway-clients.svg)",
        "",
        "## Requests a second at saturation",
        "",
    ]
    lines += _table(
        results,
        [_TITLES[one] for one in _COUNTS[1:]],
        [_median(results, one, "rps") for one in _COUNTS[1:]],
        direct=True,
    )
    return [*lines, "", "The load generator's core is the limit of `direct` and of nginx.", ""]


def _latencies(results: Results) -> list[str]:
    loads = ("c1", *_RATES)
    columns = [f"{_TITLES[one]}, {share}" for one in loads for share in _SHARES]
    values = [_added(results, one, figure) for one in loads for figure in _SHARES]
    lines = [
        "## Added latency, µs",
        "",
        "![Added latency](gateway-latency.svg)",
        "",
        *_table(results, columns, values, missing="over its capacity"),
    ]
    return [
        *lines,
        "",
        "The percentile through the gateway less the same percentile without one. A rate that was not kept up is over a gateway's capacity.",
        "",
    ]


def _streams(results: Results) -> list[str]:
    columns = [f"CPU µs a chunk: {_TITLES[one]}" for one in _STREAMS] + ["chunk in transit, p50 µs", "p99 µs"]
    values = [_median(results, one, "per_chunk") for one in _STREAMS]
    values += [_median(results, "trickle", "transit_p50"), _median(results, "trickle", "transit_p99")]
    lines = [
        "## Streams",
        "",
        "![CPU time of a streamed chunk](gateway-chunk.svg)",
        "",
        *_table(results, columns, values, direct=True),
    ]
    return [
        *lines,
        "",
        "In transit: from the provider's send to the client's receive, of the streams that trickle.",
        "",
    ]


def _footprint(results: Results) -> list[str]:
    columns = ["at rest, MB", "1,000 open streams, MB", "start to first answer, s"]
    values = [_by(idle, results), _by(memory_with_streams, results), _by(start, results)]
    return [
        "## Memory and start",
        "",
        "![Memory](gateway-memory.svg)",
        "",
        *_table(results, columns, values),
        "",
    ]


def _peers(results: Results) -> list[str]:
    lines = [
        "## Who was measured",
        "",
        "| gateway | version | what it did of the job | failed requests |",
        "|---|---|---|---|",
    ]
    for one in results.peers:
        failed = sum(run.bad + run.errors for run in results.runs if run.peer == one.name)
        what = one.does if one.missing is None else f"**not measured**: {' '.join(one.missing.split())}"
        lines.append(
            f"| {one.name} | {one.version or '–'} | {what.replace('|', '/')} | {failed if one.missing is None else '–'} |"
        )
    return lines


Column = Callable[[str], float | None]


def _table(
    results: Results,
    columns: Sequence[str],
    values: Sequence[Column],
    *,
    direct: bool = False,
    missing: str = "–",
) -> list[str]:
    """One line for each gateway that was measured."""
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for peer in (["direct"] if direct else []) + results.measured:
        cells = [value(peer) for value in values]
        lines.append(f"| {peer} | {' | '.join(missing if one is None else number(one) for one in cells)} |")
    return lines


def _bars(
    results: Results,
    title: str,
    unit: str,
    values: Sequence[Column],
    series: Sequence[str] = ("",),
    *,
    straight: bool = False,
) -> str:
    rows = [
        (peer, [max(cell, 0.1) for value in values if (cell := value(peer)) is not None])
        for peer in results.measured
    ]
    whole = sorted(((peer, row) for peer, row in rows if len(row) == len(values)), key=lambda one: one[1][0])
    return svg.bars(title, unit, whole, series, straight=straight) if whole else ""


def _lines(
    results: Results, title: str, across: str, loads: Mapping[str, float], labels: Sequence[str]
) -> str:
    series = {
        peer: [
            (x, y)
            for load, x in loads.items()
            if (y := results.median(load, peer, "per_request")) is not None
        ]
        for peer in results.measured
    }
    there = {peer: points for peer, points in series.items() if points}
    return (
        svg.lines(title, "µs", across, list(zip(loads.values(), labels, strict=True)), there) if there else ""
    )


def _median(results: Results, load: str, figure: Figure) -> Column:
    return lambda peer: results.median(load, peer, figure)


def _added(results: Results, load: str, figure: Figure) -> Column:
    """What a gateway adds to the same figure without one; nothing where it did not keep up."""

    def column(peer: str) -> float | None:
        through, bare, kept = (
            results.median(load, peer, figure),
            results.median(load, "direct", figure),
            results.median(load, peer, "rps"),
        )
        if through is None or bare is None or kept is None or kept < 0.97 * _RATES.get(load, 0.0):
            return None
        return through - bare

    return column


def _by(figure: Callable[[Results, str], float | None], results: Results) -> Column:
    return lambda peer: figure(results, peer)
