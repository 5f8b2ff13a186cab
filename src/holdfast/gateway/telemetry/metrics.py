"""The gateway's metrics, in Prometheus' text format 0.0.4:
https://prometheus.io/docs/instrumenting/exposition_formats/

Counting costs less than a microsecond a request and takes no lock. Any worker answers for all of them, also
for those that have ended. No label holds a key, a model or anything else that a client could invent, so the
configuration bounds the number of label sets.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby, pairwise
from typing import TYPE_CHECKING

from ...core.steps import Attempt, Outcome
from ...wire.route_table import PATHS
from .shared_counters import Gauge, Shared, WorkerSlot

if TYPE_CHECKING:
    from ..ports import AdminContext, FinishedRequest

_LabelValues = tuple[str, ...]
_Cells = list[float]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds (seconds) of the latency histograms: from a local model to one that thinks for minutes."""
_BUCKETS = len(BOUNDS) + 1
# The cells of one label set of requests: buckets and sum of the total time, buckets and sum of the time to
# the first byte, tokens in and out.
_TOOK, _TOOK_SUM = 0, _BUCKETS
_FIRST, _FIRST_SUM = _TOOK_SUM + 1, _TOOK_SUM + 1 + _BUCKETS
_TOKENS_IN, _TOKENS_OUT = _FIRST_SUM + 1, _FIRST_SUM + 2
_REQUEST_CELLS = _TOKENS_OUT + 1
_REQUEST = "request"

COUNTERS: dict[str, tuple[tuple[str, ...], str]] = {
    "faults": (
        ("provider", "class"),
        "Failed attempts by the class of their fault, also where a later attempt answered.",
    ),
    "retries": (("provider",), "Sends after the first one of a request."),
    "rotations": (("provider",), "Changes to another key of the same provider within a request."),
    "fallbacks": (("provider",), "Requests that a fallback answered, by its provider."),
    "probes": (("provider", "verdict"), "Tests of a key that had worked: good, or the class of the fault."),
    "from_memory": (
        ("provider",),
        "Requests that were answered from a remembered verdict, without asking the provider.",
    ),
    "broken_streams": (
        ("provider", "class"),
        "Streams that failed after their first part had been passed on.",
    ),
    "local_responses": (("status", "route"), "Requests that the gateway answered itself, such as refusals."),
    "reloads": (
        ("result",),
        "Readings of a changed holdfast.toml, by every worker: taken, or refused because it is broken.",
    ),
}
_GAUGES: tuple[tuple[str, Gauge, str, str], ...] = (
    ("open_connections", Gauge.OPEN_CLIENTS, 'side="client"', "Open connections."),
    ("open_connections", Gauge.OPEN_PROVIDERS, 'side="provider"', ""),
    ("open_streams", Gauge.OPEN_STREAMS, "", "Answers being streamed."),
    ("journal_queue", Gauge.JOURNAL_QUEUE, "", "Journal entries that wait to be written."),
    (
        "workers_with_broken_config",
        Gauge.CONFIG_BROKEN,
        "",
        "Workers whose holdfast.toml is broken; they serve the last good one.",
    ),
    ("workers_ready", Gauge.READY, "", "Workers that accept requests."),
)
"""Metric, cell, label and help text; only the first row of a metric needs a help text."""
_TOTALS: tuple[tuple[str, Gauge, str], ...] = (
    (
        "journal_lost",
        Gauge.JOURNAL_LOST,
        "Journal entries that were dropped because the store was too slow or failed.",
    ),
    ("worker_starts", Gauge.STARTS, "Worker processes started, the first ones included."),
    ("metrics_dropped", Gauge.UNNAMED, "Label sets that found no room and are not counted."),
)


class Metrics:
    """The counters of one worker. `finished` must be called on the event loop, `render` from any thread."""

    def __init__(self, shared: Shared | None = None, slot: int = 0) -> None:
        self.shared = shared or Shared()
        self.slot: WorkerSlot = self.shared.slot(slot, _cells_of)
        self._cells = self.slot.cells
        self._requests: dict[tuple[str, str, int], int] = {}

    def finished(self, done: FinishedRequest) -> None:
        """Count a request that ended."""
        outcome = done.outcome
        if outcome is None:
            self._answered_locally(done)
            return
        connection, seconds, usage = outcome.connection, done.seconds, done.usage
        labels = connection.provider.name, connection.dialect, done.status
        at = self._requests.get(labels)
        if at is None:
            at = self._requests[labels] = self.slot.offset(_REQUEST, *map(str, labels))
        cells = self._cells
        cells[at + bisect_left(BOUNDS, seconds)] += 1
        cells[at + _TOOK_SUM] += seconds
        first: float | None = seconds
        if done.streamed:
            first = done.first
        if first is not None:
            cells[at + _FIRST + bisect_left(BOUNDS, first)] += 1
            cells[at + _FIRST_SUM] += first
        if done.broken is not None:
            self.count("broken_streams", connection.provider.name, str(done.broken.kind))
        if usage:
            cells[at + _TOKENS_IN] += usage.get("input_tokens") or usage.get("prompt_tokens", 0)
            cells[at + _TOKENS_OUT] += usage.get("output_tokens") or usage.get("completion_tokens", 0)
        if outcome.fault is not None or len(outcome.attempts) != 1 or outcome.active_fallback:
            self._recovered(outcome)

    def count(self, counter: str, *labels: str) -> None:
        """Add one to a counter of COUNTERS."""
        self._cells[self.slot.offset(counter, *labels)] += 1

    def measure(self, gateway: AdminContext) -> None:
        """Set the gauges of this worker. May be called from any thread."""
        slot, journal_writer = self.slot, gateway.engine.journal_writer
        slot[Gauge.OPEN_CLIENTS], slot[Gauge.OPEN_PROVIDERS] = gateway.open_clients, gateway.upstreams.open()
        slot[Gauge.OPEN_STREAMS] = gateway.open_streams
        slot[Gauge.JOURNAL_QUEUE], slot[Gauge.JOURNAL_LOST] = journal_writer.waiting, journal_writer.lost

    def render(self, version: str) -> bytes:
        """Return all metrics as text, summed over all workers."""
        return "\n".join(_text(self.shared, version)).encode() + b"\n"

    def _answered_locally(self, done: FinishedRequest) -> None:
        route = "other"
        if done.route in PATHS:
            route = done.route
        self.count("local_responses", str(done.status), route)

    def _recovered(self, outcome: Outcome) -> None:
        """Count the faults, probes, retries, rotations and fallbacks of a request."""
        name = outcome.connection.provider.name
        for attempt in outcome.attempts:
            verdict = "good"
            if attempt.fault is not None:
                verdict = str(attempt.fault.kind)
                self.count("faults", attempt.connection.provider.name, verdict)
            if attempt.probe:
                self.count("probes", attempt.connection.provider.name, verdict)
        for again in [attempt for attempt in outcome.attempts if attempt.was_sent][1:]:
            self.count("retries", again.connection.provider.name)
        for before, after in pairwise(outcome.attempts):
            if _rotated(before, after):
                self.count("rotations", after.connection.provider.name)
        if outcome.active_fallback:
            self.count("fallbacks", name)
        if outcome.from_memory:
            self.count("from_memory", name)


def _cells_of(name: str) -> int:
    """Return the number of cells that a name of the shared counters has."""
    if name == _REQUEST:
        return _REQUEST_CELLS
    return 1


def _rotated(before: Attempt, after: Attempt) -> bool:
    """Return whether two attempts in a row used two keys of one provider."""
    return (
        before.connection.provider.name == after.connection.provider.name
        and before.connection.label != after.connection.label
    )


def _text(shared: Shared, version: str) -> Iterator[str]:
    """Return the lines of all metrics."""
    requests: dict[_LabelValues, _Cells] = {}
    counted: dict[_LabelValues, float] = {}
    for name, cells in shared.read(_cells_of):
        if name[0] == _REQUEST:
            _add(requests, name[1:], cells)
        else:
            counted[name] = counted.get(name, 0.0) + cells[0]
    yield from _family("build_info", "gauge", "The version that runs.", [(f'version="{version}"', 1)])
    yield from _request_metrics(requests)
    for counter, (labels, what) in COUNTERS.items():
        rows = [(_labels(labels, name[1:]), value) for name, value in counted.items() if name[0] == counter]
        yield from _family(f"{counter}_total", "counter", what, rows)
    yield from _fixed_metrics([shared.fixed(number) for number in range(shared.slots)])


def _request_metrics(requests: Mapping[_LabelValues, _Cells]) -> Iterator[str]:
    """Return the lines of the metrics of requests that went to a provider."""
    totals = [
        (_labels(("provider", "dialect", "status"), key), sum(cells[_TOOK:_TOOK_SUM]))
        for key, cells in requests.items()
    ]
    yield from _family("requests_total", "counter", "Requests by the status that their client got.", totals)
    sums: dict[_LabelValues, _Cells] = {}
    for key, cells in requests.items():
        _add(sums, key[:1], cells)
    providers = [(_labels(("provider",), key), cells) for key, cells in sorted(sums.items())]
    took = [(labels, cells[_TOOK:_TOOK_SUM], cells[_TOOK_SUM]) for labels, cells in providers]
    yield from _histogram("request_seconds", "From the request's head to the end of its answer.", took)
    first = [(labels, cells[_FIRST:_FIRST_SUM], cells[_FIRST_SUM]) for labels, cells in providers]
    yield from _histogram(
        "first_byte_seconds", "From the request's head to the first byte of its answer.", first
    )
    tokens = []
    for labels, cells in providers:
        tokens.append((f'{labels},direction="in"', cells[_TOKENS_IN]))
        tokens.append((f'{labels},direction="out"', cells[_TOKENS_OUT]))
    yield from _family("tokens_total", "counter", "Tokens as the providers counted them.", tokens)


def _fixed_metrics(workers: Sequence[Mapping[Gauge, float]]) -> Iterator[str]:
    """Return the lines of the fixed cells, summed over all workers."""
    for gauge, rows in groupby(_GAUGES, key=lambda row: row[0]):
        cells = list(rows)
        values = [(label, sum(worker[cell] for worker in workers)) for _, cell, label, _ in cells]
        yield from _family(gauge, "gauge", cells[0][3], values)
    for total, cell, what in _TOTALS:
        value = sum(worker[cell] for worker in workers)
        yield from _family(f"{total}_total", "counter", what, [("", value)])


def _add(sums: dict[_LabelValues, _Cells], labels: _LabelValues, cells: Sequence[float]) -> None:
    known = sums.get(labels, [0.0] * _REQUEST_CELLS)
    sums[labels] = [a + b for a, b in zip(known, cells, strict=True)]


def _histogram(name: str, what: str, rows: Iterable[tuple[str, Sequence[float], float]]) -> Iterator[str]:
    """Return the lines of a histogram; a row holds labels, counts by bucket, and the sum of the values."""
    yield from _family(name, "histogram", what, [])
    for labels, counts, total in rows:
        heights = list(accumulate(counts))
        for bound, height in zip((*map(_number, BOUNDS), "+Inf"), heights, strict=True):
            yield f'holdfast_{name}_bucket{{{labels},le="{bound}"}} {_number(height)}'
        yield f"holdfast_{name}_sum{{{labels}}} {_number(total)}"
        yield f"holdfast_{name}_count{{{labels}}} {_number(heights[-1])}"


def _family(name: str, kind: str, what: str, rows: Iterable[tuple[str, float]]) -> Iterator[str]:
    """Return the lines of one metric; a row holds labels and a value."""
    yield f"# HELP holdfast_{name} {what}"
    yield f"# TYPE holdfast_{name} {kind}"
    for labels, value in sorted(rows):
        shown = ""
        if labels:
            shown = f"{{{labels}}}"
        yield f"holdfast_{name}{shown} {_number(value)}"


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


_number: Callable[[float], str] = "{:.15g}".format
