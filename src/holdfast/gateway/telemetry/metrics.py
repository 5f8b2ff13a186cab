"""What the gateway counts, and how Prometheus reads it:
https://prometheus.io/docs/instrumenting/exposition_formats/ (text, 0.0.4).

Counting costs less than a microsecond a request and takes no lock. Whichever worker is asked answers for all
of them, also for those that are gone. No label holds a key, a model or anything else that a client could make
up: their number is that of the configuration."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from ...core.steps import Attempt, Outcome
from ..routing import DATA
from .shared_counters import Gauge, Shared, WorkerSlot

if TYPE_CHECKING:
    from ..ports import AdminContext, FinishedRequest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Upper bounds (seconds) of the latency histograms: from a model beside us to one that thinks for minutes."""
_BUCKETS = len(BOUNDS) + 1
# The cells of one request name: latencies and their sum, times to the first byte and their sum, tokens in and
# out.
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
    ("workers_ready", Gauge.READY, "", "Workers that take requests."),
)
_TOTALS: tuple[tuple[str, Gauge, str], ...] = (
    (
        "journal_lost",
        Gauge.JOURNAL_LOST,
        "Journal entries that were dropped because the store was too slow or failed.",
    ),
    ("worker_starts", Gauge.STARTS, "Worker processes started, the first ones included."),
    ("metrics_dropped", Gauge.UNNAMED, "Label sets that found no room and are not counted."),
)


def _cells_of(kind: str) -> int:
    return _REQUEST_CELLS if kind == _REQUEST else 1


class Metrics:
    """One worker's counters. `finished` is called on the event loop, `render` from anywhere."""

    def __init__(self, shared: Shared | None = None, slot: int = 0) -> None:
        self.shared = shared or Shared()
        self.slot: WorkerSlot = self.shared.slot(slot, _cells_of)
        self._cells = self.slot.cells
        self._requests: dict[tuple[str, str, int], int] = {}

    def finished(self, done: FinishedRequest) -> None:
        """One request came to its end."""
        outcome = done.outcome
        if outcome is None:
            self.count("local_responses", str(done.status), done.route if done.route in DATA else "other")
            return
        connection, seconds, usage = outcome.connection, done.seconds, done.usage
        place = connection.provider.name, connection.dialect, done.status
        at = self._requests.get(place)
        if at is None:
            at = self._requests[place] = self.slot.place(
                _REQUEST, connection.provider.name, str(connection.dialect), str(done.status)
            )
        cells = self._cells
        cells[at + bisect_left(BOUNDS, seconds)] += 1
        cells[at + _TOOK_SUM] += seconds
        first = done.first if done.streamed else seconds
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
        self._cells[self.slot.place(counter, *labels)] += 1

    def measure(self, gateway: AdminContext) -> None:
        """How things stand in this worker now. From any thread."""
        slot, journal_writer = self.slot, gateway.engine.journal_writer
        slot[Gauge.OPEN_CLIENTS], slot[Gauge.OPEN_PROVIDERS] = gateway.open_clients, gateway.upstreams.open()
        slot[Gauge.OPEN_STREAMS] = gateway.open_streams
        slot[Gauge.JOURNAL_QUEUE], slot[Gauge.JOURNAL_LOST] = journal_writer.waiting, journal_writer.lost

    def render(self, version: str) -> bytes:
        """Everything, summed over all workers."""
        return "\n".join(_text(self.shared, version)).encode() + b"\n"

    def _recovered(self, outcome: Outcome) -> None:
        """What happened besides one good attempt."""
        name = outcome.connection.provider.name
        for one in outcome.attempts:
            if one.fault is not None:
                self.count("faults", one.connection.provider.name, str(one.fault.kind))
            if one.probe:
                self.count(
                    "probes",
                    one.connection.provider.name,
                    "good" if one.fault is None else str(one.fault.kind),
                )
        for again in [one for one in outcome.attempts if one.was_sent][1:]:
            self.count("retries", again.connection.provider.name)
        for before, after in pairwise(outcome.attempts):
            if _rotated(before, after):
                self.count("rotations", after.connection.provider.name)
        if outcome.active_fallback:
            self.count("fallbacks", name)
        if outcome.from_memory:
            self.count("from_memory", name)


def _rotated(before: Attempt, after: Attempt) -> bool:
    return (
        before.connection.provider.name == after.connection.provider.name
        and before.connection.label != after.connection.label
    )


def _text(shared: Shared, version: str) -> Iterator[str]:
    requests: dict[tuple[str, ...], list[float]] = {}
    counted: dict[tuple[str, ...], float] = {}
    for name, cells in shared.read(_cells_of):
        if name[0] == _REQUEST:
            known = requests.setdefault(name[1:], [0.0] * _REQUEST_CELLS)
            requests[name[1:]] = [a + b for a, b in zip(known, cells, strict=True)]
        else:
            counted[name] = counted.get(name, 0.0) + cells[0]
    fixed = [shared.fixed(number) for number in range(shared.slots)]
    yield from _family("build_info", "gauge", "The version that runs.", [(f'version="{version}"', 1)])
    totals = [
        (_labels(("provider", "dialect", "status"), key), sum(cells[_TOOK:_TOOK_SUM]))
        for key, cells in requests.items()
    ]
    yield from _family("requests_total", "counter", "Requests by what their client got.", totals)
    yield from _histogram(
        "request_seconds", "From the request's head to the end of its answer.", requests, _TOOK, _TOOK_SUM
    )
    yield from _histogram(
        "first_byte_seconds",
        "From the request's head to the first byte of its answer.",
        requests,
        _FIRST,
        _FIRST_SUM,
    )
    by_provider = _by_provider(requests)
    tokens = [
        (f'{_labels(("provider",), key)},direction="{way}"', cells[at])
        for key, cells in by_provider
        for way, at in (("in", _TOKENS_IN), ("out", _TOKENS_OUT))
    ]
    yield from _family("tokens_total", "counter", "Tokens as the providers counted them.", tokens)
    for counter, (labels, what) in COUNTERS.items():
        rows = [(_labels(labels, name[1:]), value) for name, value in counted.items() if name[0] == counter]
        yield from _family(f"{counter}_total", "counter", what, rows)
    for number, (gauge, cell, label, what) in enumerate(_GAUGES):
        yield from _family(
            gauge,
            "gauge",
            what,
            [(label, sum(one[cell] for one in fixed))],
            heads=number == 0 or _GAUGES[number - 1][0] != gauge,
        )
    for total, cell, what in _TOTALS:
        yield from _family(f"{total}_total", "counter", what, [("", sum(one[cell] for one in fixed))])


def _by_provider(requests: dict[tuple[str, ...], list[float]]) -> list[tuple[tuple[str, ...], list[float]]]:
    sums: dict[tuple[str, ...], list[float]] = {}
    for key, cells in requests.items():
        sums[key[:1]] = [a + b for a, b in zip(sums.get(key[:1], [0.0] * _REQUEST_CELLS), cells, strict=True)]
    return sorted(sums.items())


def _histogram(
    name: str, what: str, requests: dict[tuple[str, ...], list[float]], start: int, total: int
) -> Iterator[str]:
    yield from _family(name, "histogram", what, [])
    for key, cells in _by_provider(requests):
        labels = _labels(("provider",), key)
        heights = list(accumulate(cells[start : start + _BUCKETS]))
        for bound, height in zip((*map(_number, BOUNDS), "+Inf"), heights, strict=True):
            yield f'holdfast_{name}_bucket{{{labels},le="{bound}"}} {_number(height)}'
        yield f"holdfast_{name}_sum{{{labels}}} {_number(cells[total])}"
        yield f"holdfast_{name}_count{{{labels}}} {_number(heights[-1])}"


def _family(
    name: str, kind: str, what: str, rows: Iterable[tuple[str, float]], *, heads: bool = True
) -> Iterator[str]:
    if heads:
        yield f"# HELP holdfast_{name} {what}"
        yield f"# TYPE holdfast_{name} {kind}"
    for labels, value in sorted(rows):
        yield f"holdfast_{name}{f'{{{labels}}}' if labels else ''} {_number(value)}"


def _labels(names: Sequence[str], values: Sequence[str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


_number: Callable[[float], str] = "{:.15g}".format
