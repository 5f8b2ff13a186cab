"""The costs of the store's operations, of starting a command, and of importing the library."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import count as counter
from pathlib import Path

from holdfast.core.changes import KeySucceeded
from holdfast.core.identity import Dialect, Pin
from holdfast.core.session import Session
from holdfast.store.journal_events import Attempted, Event
from holdfast.store.sqlite import SqliteStore

from .measure import Figure, figure, in_turn

_TIMES = 7
_URL = "https://bench.example/v1"
_DETAIL = Attempted(number=1, key="main", url=_URL, dialect=Dialect.OPENAI_CHAT, seconds=1.25)


def store_figures(rounds: int) -> list[Figure]:
    """Measure each operation of the SQLite store on a file, in microseconds of CPU time."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        store = stack.enter_context(SqliteStore(Path(folder) / "state.db"))
        store.save_session(Session("bench", Pin.parse("bench/bench-1")), None)
        for number in range(50):
            store.apply([_succeeded(f"k{number}", 1.0)], 1.0)
        event = Event(at=1.0, detail=_DETAIL, session="bench", request="request", pin="bench/bench-1")
        clock = counter(2)

        def lease() -> None:
            taken = store.lease("probe", "bench", 10.0)
            assert taken is not None
            store.release(taken)

        operations: dict[str, tuple[Callable[[], object], int]] = {
            "checking for changes": (store.revision, 1),
            "reading one session": (lambda: store.session("bench"), 1),
            "reading the evidence on 50 keys": (store.evidence, 1),
            "one line of the journal, 100 at once": (lambda: store.record([event] * 100), 100),
            "one verdict, durable": (lambda: store.apply([_succeeded("k0", next(clock))], 1.0), 1),
            "taking and releasing a lease": (lease, 1),
        }
        samples = in_turn({name: _repeat(work) for name, (work, _) in operations.items()}, 100, rounds)
        return [
            figure("store", name, [value / operations[name][1] for value in samples[name]])
            for name in samples
        ]


def _succeeded(key: str, at: float) -> KeySucceeded:
    return KeySucceeded(key, _URL, model="bench-1", account="", at=at, durable=True)


def _repeat(work: Callable[[], object]) -> Callable[[int], None]:
    def run(times: int) -> None:
        for _ in range(times):
            work()

    return run


def start_figures() -> list[Figure]:
    """Measure whole processes in milliseconds of CPU time, user and system.

    The figure is the best of several: noise only adds to the cost of a start.
    """
    with tempfile.TemporaryDirectory() as home:
        Path(home, "holdfast.toml").write_text(
            f'[provider.bench]\nurl = "{_URL}"\nkeys = ["env:HOLDFAST_BENCH_KEY"]\n', "utf-8"
        )
        environ = os.environ | {"HOLDFAST_HOME": home, "HOLDFAST_BENCH_KEY": "sk-bench-0123456789abcdef"}
        return [
            _start("`holdfast key list`", ["-m", "holdfast", "key", "list"], environ, 150.0),
            _start("`import holdfast`", ["-c", "import holdfast"], environ, None),
            _start("`import holdfast`, and its names used", ["-c", "from holdfast import *"], environ, None),
            _start("Python alone", ["-c", "pass"], environ, None),
        ]


def _start(name: str, arguments: Sequence[str], environ: dict[str, str], budget: float | None) -> Figure:
    samples = sorted(_child_ms(arguments, environ) for _ in range(_TIMES))
    best, worst = round(samples[0], 1), round(samples[-1], 1)
    return Figure(group="start", name=name, unit="ms", value=best, low=best, high=worst, budget=budget)


def _child_ms(arguments: Sequence[str], environ: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments],
        env=environ,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1_000
