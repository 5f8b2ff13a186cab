"""The costs of a request in the engine, from its start over one good answer to its outcome, with store, vault
and evidence; and of its line in the journal, which is written later, many lines of a session together."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import holdfast.sdk.api
from holdfast.core.identity import Dialect
from holdfast.core.steps import Answer, Send
from holdfast.engine.state import Engine

from .measure import Figure, figure

_BATCH = 500
"""Requests that are written together: a quarter of a second at 2,000 a second."""
_SESSIONS = 50
CONFIG = """\
[provider.bench]
url = "https://bench.example/v1"
models = ["bench-1"]
keys = ["env:HOLDFAST_BENCH_KEY"]
"""
_USAGE = {"input": 1_200, "output": 340}


def figures(rounds: int) -> list[Figure]:
    """Measure all of them, in microseconds of CPU time a request."""
    os.environ["HOLDFAST_BENCH_KEY"] = "sk-bench-0123456789abcdef"
    with tempfile.TemporaryDirectory() as home:
        Path(home, "holdfast.toml").write_text(CONFIG, "utf-8")
        with holdfast.sdk.api.open(home) as opened:
            sessions = [opened.session(f"bench-{number}", "bench/bench-1").id for number in range(_SESSIONS)]
            engine = opened.engine
            single, many = _rounds(engine, sessions[:1], rounds), _rounds(engine, sessions, rounds)
            counted = _rounds(engine, sessions[:1], rounds, _USAGE)
    return [
        figure(
            "engine",
            "a request that is answered well, all decisions and what they need",
            single[0],
            budget=15.0,
        ),
        figure("engine", "its line in the journal, one busy session", single[1], budget=8.0),
        figure("engine", f"its line in the journal, {_SESSIONS} sessions at once", many[1], budget=8.0),
        figure(
            "engine", "its line in the journal and what the provider counted, one busy session", counted[1]
        ),
    ]


def _rounds(
    engine: Engine, sessions: list[str], rounds: int, usage: dict[str, int] | None = None
) -> tuple[list[float], list[float]]:
    """Return the microseconds of a request, and those of writing its line, round by round.

    The first round only warms up.
    """
    asked: list[float] = []
    written: list[float] = []
    for _ in range(rounds + 1):
        began = time.thread_time_ns()
        for number in range(_BATCH):
            request(engine, sessions[number % len(sessions)], usage)
        done = time.thread_time_ns()
        engine.journal_writer.flush()
        asked.append((done - began) / 1_000 / _BATCH)
        written.append((time.thread_time_ns() - done) / 1_000 / _BATCH)
    return asked[1:], written[1:]


def request(engine: Engine, session: str, usage: dict[str, int] | None) -> None:
    request_run = engine.start_request(session, Dialect.OPENAI_CHAT, "bench-1")
    while (step := request_run.step) is not None:
        if isinstance(step, Send):
            request_run.secret(step.connection)
            now = request_run.now()
            request_run.answer(Answer(now, sent_at=now))
        else:
            request_run.perform()
    if usage is not None:
        request_run.stream_ended(None, "bench-1", usage)
