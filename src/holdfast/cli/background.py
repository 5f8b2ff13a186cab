"""A gateway that runs in the background: its start, its end, and its log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .output import say
from .progress import waiting

if TYPE_CHECKING:
    from ..gateway.registry import RunningGateway

_LOOKS_EVERY = 0.1
"""Seconds between two looks at a process or a file."""


def start(command: Sequence[str], log: Path, *, as_json: bool) -> int:
    """Start a gateway that outlives this terminal, and print its announcement.

    Return 0; where it could not start, print what it wrote to its log, and return its exit code."""
    written = log.stat().st_size if log.exists() else 0
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
        encoding="utf-8",
    )
    if process.stdout is None:
        raise RuntimeError("a pipe was asked for")
    announced: list[str] = []
    with waiting("the gateway starts"), process.stdout:
        for line in process.stdout:
            announced.append(line.rstrip("\n"))
            if line == "\n":
                break
        else:
            process.wait()
    if process.returncode is not None:
        sys.stderr.write("".join(_since(log, written)))
        return process.returncode or 1
    process.returncode = 0  # it outlives us: nobody waits for it
    say(*announced[:-1])
    if not as_json:
        say(f"  in the background, process {process.pid}; its log is {log}", "  end it: holdfast stop")
    return 0


def stop(gateway: RunningGateway, still_runs: Callable[[], bool], patience: float) -> bool:
    """Ask a gateway to end, which lets its running answers end. Return whether it did within `patience`
    seconds."""
    os.kill(gateway.pid, signal.SIGTERM)
    until = time.monotonic() + patience
    while still_runs():
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOKS_EVERY)
    return True


def lines_of(log: Path, number: int, *, follow: bool) -> Iterator[str]:
    """Yield the last `number` lines of a log; with `follow`, then each line that is added, without end."""
    from collections import deque

    most: int | None = number
    while True:
        seen = log.stat()
        with log.open(encoding="utf-8", errors="replace") as file:
            yield from deque(file, maxlen=most)
            if not follow:
                return
            while not _was_replaced(log, seen):
                time.sleep(_LOOKS_EVERY)
                yield from file
            yield from file
        most = None  # of the next part, all


def _was_replaced(log: Path, seen: os.stat_result) -> bool:
    """Return whether another file has this path, so that the one that was `seen` is complete."""
    try:
        return not os.path.samestat(seen, log.stat())
    except FileNotFoundError:
        return False


def _since(log: Path, position: int) -> Iterator[str]:
    """Yield the lines of a log after a position in bytes."""
    if not log.exists():
        return
    with log.open("rb") as file:
        file.seek(position)
        yield file.read().decode("utf-8", "replace")
