"""`python -m bench growth`: what a home costs that holds 1,000 rows of one kind, and 10, 100 and 1,000 times
as many: CPU time of a request, of a new session, of what another process changed, and of lists.

Each size is measured by a process of its own, on a home of its own in a SQLite file.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from statistics import median

import holdfast.sdk.api
from holdfast.core.changes import KeyFailed
from holdfast.core.faults import FaultClass
from holdfast.engine.sessions import begin_session
from holdfast.engine.state import Engine
from holdfast.store.sqlite import SqliteStore

from .engine import CONFIG, request
from .measure import progress

_URL = "https://bench.example/v1"
_FAULT = json.dumps({"kind": "rate_limited", "scope": "key_model", "status": 429})
_BASE = 1_000
_ROUNDS, _TIMES = 15, 20
_PAGE = 100
_AT_ONCE = 10_000


def _evidence(count: int, now: float) -> Iterator[tuple[object, ...]]:
    return ((f"{number:032x}", _URL, now - 1e6, now - number % 9e5, 0) for number in range(count))


def _cooldowns(count: int, now: float) -> Iterator[tuple[object, ...]]:
    return ((f"key:{number:032x}@{_URL}#m", now + 86_400, now, 1, _FAULT, 0) for number in range(count))


def _sessions(count: int, now: float) -> Iterator[tuple[object, ...]]:
    return ((f"s{number:09}", "bench/bench-1", now - number, now - number, 0) for number in range(count))


def _journal(count: int, now: float) -> Iterator[tuple[object, ...]]:
    detail = json.dumps({"number": 1, "key": "main", "url": _URL, "dialect": "openai-chat", "seconds": 0.5})
    for number in range(count):
        at = now - (count - number) * 0.5
        request_id = f"{int(at):08x}{number:08x}"
        yield at, "attempt", f"s{number % 1_000}", request_id, "bench/bench-1", detail


_TABLES: dict[str, tuple[str, Callable[[int, float], Iterator[tuple[object, ...]]]]] = {
    "evidence": ("evidence (fingerprint, url, first_ok, last_ok, seq)", _evidence),
    "cooldowns": ("cooldown (subject, until, since, level, fault, seq)", _cooldowns),
    "sessions": ("session (id, pin, created_at, changed_at, version)", _sessions),
    "journal": ("journal (at, kind, session, request, pin, detail)", _journal),
}
_COLUMNS = (
    "request µs",
    "after a change µs",
    "new session µs",
    "page ms",
    "why ms",
    "open ms",
    "memory MB",
    "file MB",
)


def main(arguments: Sequence[str]) -> int:
    """Measure, and print a line for each table and size. Return the exit code."""
    options = _options(arguments)
    if options.one:
        table, size = options.one
        print(json.dumps(_measure(table, int(size))))
        return 0
    head = ("rows", *_COLUMNS)
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for table in options.tables:
        for factor in options.factors:
            size = factor * _BASE
            progress(f"measuring: {size:,} {table}")
            line = [sys.executable, "-m", "bench", "growth", "--one", table, str(size)]
            done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
            figures = json.loads(done.stdout)
            cells = (f"{figures[name]:,.1f}" for name in _COLUMNS)
            print(f"| {table} × {size:,} | {' | '.join(cells)} |", flush=True)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--tables", type=lambda text: text.split(","), default=list(_TABLES), help=", ".join(_TABLES)
    )
    parser.add_argument(
        "--factors",
        type=lambda text: [int(factor) for factor in text.split(",")],
        default=[1, 10, 100, 1_000],
        help="of 1,000 rows (default 1,10,100,1000)",
    )
    parser.add_argument("--one", nargs=2, metavar=("TABLE", "ROWS"), help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _measure(table: str, size: int) -> dict[str, float]:
    os.environ["HOLDFAST_BENCH_KEY"] = "sk-bench-0123456789abcdef"
    with tempfile.TemporaryDirectory() as home:
        Path(home, "holdfast.toml").write_text(CONFIG, "utf-8")
        with holdfast.sdk.api.open(home) as opened:
            opened.session("s0", "bench/bench-1")
        path = Path(home, "state.db")
        _fill(path, table, size)
        gc.collect()
        began = time.process_time()
        with holdfast.sdk.api.open(home) as opened, SqliteStore(path) as other:
            opened.engine.catch_up()
            took = time.process_time() - began
            figures = _figures(opened.engine, other)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        return figures | {"open ms": took * 1e3, "memory MB": memory, "file MB": path.stat().st_size / 1e6}


def _fill(path: Path, table: str, size: int) -> None:
    columns, make = _TABLES[table]
    with closing(sqlite3.connect(path)) as connection:
        values = ", ".join("?" * (1 + columns.count(",")))
        connection.executemany(f"INSERT INTO {columns} VALUES ({values})", make(size, time.time()))
        connection.commit()


def _figures(engine: Engine, other: SqliteStore) -> dict[str, float]:
    numbers = iter(range(1_000_000))

    def after_a_change() -> None:
        at = time.time()
        fault = FaultClass.AUTH_REJECTED
        other.apply([KeyFailed(f"k{next(numbers)}", _URL, fault, at)], at)
        began = time.process_time()
        engine.catch_up()
        request(engine, "s0", None)
        samples.append((time.process_time() - began) * 1e6)

    samples: list[float] = []
    for _ in range(_ROUNDS):
        after_a_change()
    return {
        "request µs": _cpu(lambda: request(engine, "s0", None)),
        "after a change µs": median(samples),
        "new session µs": _cpu(lambda: begin_session(engine, f"new-{next(numbers)}", "bench-1")),
        "page ms": _cpu(lambda: engine.store.session_page(_PAGE)) / 1e3,
        "why ms": _cpu(lambda: engine.store.journal(session="s7", limit=_PAGE)) / 1e3,
    }


def _cpu(work: Callable[[], object]) -> float:
    """Return the microseconds of CPU time of one unit of work: the median of several rounds."""
    samples = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        for _ in range(_TIMES):
            work()
        samples.append((time.process_time() - began) / _TIMES * 1e6)
    return median(samples)
