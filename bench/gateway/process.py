"""Programs that are started here, and the CPU time and memory of each with all its children, read from /proc.

A program is started in a session of its own; all processes of that session belong to it. CPU time is exact to
10 ms for each process.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from ..measure import on_core
from . import cache

GATEWAY_CORE, LOAD_CORE = 0, -1
"""The gateway under test has a core to itself; load generator and provider share the last one."""

_TICK = float(os.sysconf("SC_CLK_TCK"))
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of CPU time."""

    user: float = 0.0
    system: float = 0.0

    @property
    def total(self) -> float:
        return self.user + self.system

    def __sub__(self, earlier: Cpu) -> Cpu:
        return Cpu(self.user - earlier.user, self.system - earlier.system)


class Program:
    """A running program on one core, on any for None, its output in a file. End it with `stop`."""

    def __init__(
        self, argv: Sequence[str | Path], environ: Mapping[str, str], log: Path, core: int | None
    ) -> None:
        self._log = log
        with log.open("wb") as out, nullcontext() if core is None else on_core(core):
            self._child = subprocess.Popen(
                [str(argument) for argument in argv],
                env=cache.environment(HOME=str(log.parent), **environ),
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def ended(self) -> bool:
        return self._child.poll() is not None

    def output(self) -> str:
        """Return all its output so far."""
        return self._log.read_text("utf-8", "replace")

    def cpu(self) -> Cpu:
        """Return its CPU time since its start, without the time of children that have ended."""
        user = system = 0
        for _, fields in self._members():
            user += int(fields[11])
            system += int(fields[12])
        return Cpu(user / _TICK, system / _TICK)

    def memory(self) -> float:
        """Return its resident megabytes; pages that its processes share count for each of them."""
        return sum(int(fields[21]) for _, fields in self._members()) * _PAGE / 1e6

    def settle(self, patience: float = 20.0) -> None:
        """Wait until it has finished the work that an earlier load left, for at most `patience` seconds."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            before = self.cpu()
            time.sleep(0.2)
            if (self.cpu() - before).total <= 0.02:
                return

    def stop(self) -> None:
        """End it and its children, gently first."""
        for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            until = time.monotonic() + patience
            members = [pid for pid, _ in self._members()]
            for pid in members:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    continue
            while time.monotonic() < until:
                self._child.poll()
                if not any(True for _ in self._members()):
                    return
                time.sleep(0.02)

    def _members(self) -> Iterator[tuple[int, list[str]]]:
        """Return the running processes of its session, with their fields of /proc/PID/stat from the state
        on."""
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit():
                continue
            try:
                fields = Path(entry.path, "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == self._child.pid and fields[0] != "Z":
                yield int(entry.name), fields


@contextmanager
def started(
    argv: Sequence[str | Path], environ: Mapping[str, str], log: Path, core: int
) -> Iterator[Program]:
    """Run a program until the block ends."""
    program = Program(argv, environ, log, core)
    try:
        yield program
    finally:
        program.stop()


class Bystanders:
    """The number of cores that other programs keep busy: the work of all cores, without that of `ours` and of
    our ended children."""

    def __init__(self, ours: Sequence[Program]) -> None:
        self._ours = ours
        self._before, self._began = self._others(), time.monotonic()

    def cores(self) -> float:
        """Return their share since this object was created: 1 is one core all the time."""
        return max(0.0, (self._others() - self._before) / (time.monotonic() - self._began))

    def _others(self) -> float:
        """Return the seconds that other programs have worked since the machine's start."""
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (
            _busy()
            - children.ru_utime
            - children.ru_stime
            - sum(program.cpu().total for program in self._ours)
        )


def _busy() -> float:
    """Return the seconds that all cores have worked since the machine's start."""
    ticks = [int(count) for count in Path("/proc/stat").read_text("ascii").partition("\n")[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / _TICK
