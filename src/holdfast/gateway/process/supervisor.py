"""Several workers on one port: the supervisor starts the workers, restarts those that die, and passes signals
on.

It is one thread without an event loop and opens no store, so that forking is safe at any time. It never
handles a request: a worker that is killed loses only its own connections. When the supervisor itself is
killed, its workers end as on SIGTERM.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from ...credentials.oauth_source import LONGEST
from ..telemetry.log import line
from ..telemetry.shared_counters import Gauge, Shared
from .handover import REPLACED, SocketOffer

_DELAYS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Seconds until a worker is restarted after its first death, its second in a row, and so on."""
_STEADY = 10.0
"""Seconds after which a death counts as the first again."""
_GRACE = 5.0
"""Seconds that workers get to end before they are killed."""
_TO_END = LONGEST + _GRACE
"""Seconds that they get beyond their time to drain: one may be renewing a sign-in."""
_LOOK_EVERY = 1.0
"""Seconds between two calls of `Supervisor.look`."""
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Start = Callable[[int, int, int], int]
"""Serves as a worker and returns its exit code. Its arguments: the worker's number, the pipe to which it
writes that number when it is ready, and the pipe that closes when the supervisor ends."""


@dataclass(slots=True)
class _WorkerProcess:
    """A worker and its process: `pid` is 0 while none runs; `due` says when it is started again.

    `since` and `due` are in seconds of the monotonic clock; `deaths` counts early deaths in a row.
    """

    number: int
    pid: int = 0
    since: float = 0.0
    deaths: int = 0
    due: float = 0.0
    was_ready: bool = False


@dataclass(slots=True)
class Supervisor:
    """Runs `workers` processes of `start` until a signal ends it.

    `ready` is called once when all of them accept requests, `look` about every second, and `end` once at the
    first signal to end: it closes the listening sockets here, which would take connections that no worker
    accepts. `patience` returns the seconds that workers get to drain. `offer` has the sockets for a gateway
    that replaces this one.
    """

    workers: int
    shared: Shared
    start: Start
    ready: Callable[[], None]
    look: Callable[[], None]
    end: Callable[[], None]
    patience: Callable[[], float]
    offer: SocketOffer
    _workers: list[_WorkerProcess] = field(init=False)
    _ended_by: int = 0
    _killed_at: float = 0.0
    _announced: bool = False
    _code: int = 0
    _wake_pipe: tuple[int, int] = field(init=False)
    _ready_pipe: tuple[int, int] = field(init=False)
    _lifeline: tuple[int, int] = field(init=False)

    def run(self) -> int:
        """Run until all workers have ended.

        Return the exit code: that of the first worker which could not start, 130 after an interrupt, else 0.
        """
        self._workers = [_WorkerProcess(number) for number in range(self.workers)]
        self._wake_pipe, self._ready_pipe, self._lifeline = os.pipe(), os.pipe(), os.pipe()
        for end in (*self._wake_pipe, self._ready_pipe[0]):
            os.set_blocking(end, False)
        handlers = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        wakeup_fd = signal.set_wakeup_fd(self._wake_pipe[1], warn_on_full_buffer=False)
        try:
            while self._start_due() or any(worker.pid for worker in self._workers):
                self._wait()
        finally:
            signal.set_wakeup_fd(wakeup_fd)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            for end in (*self._wake_pipe, *self._ready_pipe, *self._lifeline):
                os.close(end)
        if not self._code and self._ended_by == signal.SIGINT:
            return 128 + signal.SIGINT
        return self._code

    def _start_due(self) -> bool:
        """Start the workers that do not run and whose time has come. Return False once the gateway ends."""
        if self._ended_by:
            return False
        now = time.monotonic()
        for worker in self._workers:
            if not worker.pid and now >= worker.due:
                self._fork(worker)
        return True

    def _fork(self, worker: _WorkerProcess) -> None:
        worker.since, worker.was_ready = time.monotonic(), False
        starts = self.shared.fixed(worker.number)[Gauge.STARTS]
        self.shared.put(worker.number, Gauge.STARTS, starts + 1)
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            worker.pid = pid
            return
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            for end in (*self._wake_pipe, self._ready_pipe[0], self._lifeline[1]):
                os.close(end)
            code = self.start(worker.number, self._ready_pipe[1], self._lifeline[0])
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)

    def _wait(self) -> None:
        """Wait for a signal, a worker that is ready, or the time of the next start, and handle it."""
        wake, ready = self._wake_pipe[0], self._ready_pipe[0]
        offered = self.offer.watched
        handles = [wake, ready, *(sock.fileno() for sock in offered)]
        readable, _, _ = select.select(handles, (), (), self._next_due())
        if ready in readable:
            self._are_ready(os.read(ready, 256))
        if wake in readable:
            for number in os.read(wake, 256):
                self._signalled(number)
        if not {wake, ready}.issuperset(readable) and self.offer.step():
            self._begin_end(signal.SIGTERM, REPLACED)
        self._collect()
        if self._killed_at and time.monotonic() >= self._killed_at:
            self._send(signal.SIGKILL)
        self.look()

    def _next_due(self) -> float:
        """Return the seconds until something has to be done without a signal, at most `_LOOK_EVERY`."""
        times = [time.monotonic() + _LOOK_EVERY]
        if not self._ended_by:
            times += [worker.due for worker in self._workers if not worker.pid]
        if self._killed_at:
            times.append(self._killed_at)
        return max(0.0, min(times) - time.monotonic())

    def _are_ready(self, numbers: bytes) -> None:
        for number in numbers:
            self._workers[number].was_ready = True
        if not self._announced and all(worker.was_ready for worker in self._workers):
            self._announced = True
            self.ready()

    def _signalled(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._send(signal.SIGHUP)
        elif number in (signal.SIGTERM, signal.SIGINT):
            self._begin_end(number, signal.SIGTERM)  # a second one cuts the answers that are still running

    def _begin_end(self, reason: int, number: int) -> None:
        """End for a reason (a signal), and send the workers signal `number`."""
        if not self._ended_by:
            self._killed_at = time.monotonic() + self.patience() + _TO_END
            self.end()
        self._ended_by = self._ended_by or reason
        self._send(number)

    def _collect(self) -> None:
        """Take note of the processes that ended, and plan their restart or the end of all."""
        for worker in self._workers:
            if not worker.pid:
                continue
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if not pid:
                continue
            worker.pid = 0
            self.shared.ended(worker.number)
            code = os.waitstatus_to_exitcode(status)
            if self._ended_by:
                continue
            if self._announced:
                self._plan_restart(worker, pid, code)
            else:
                self._give_up(code)

    def _give_up(self, code: int) -> None:
        """End all workers, since one of them could not even start; it has reported the reason itself."""
        self._code, self._ended_by = max(code, 1), signal.SIGTERM
        self._killed_at = time.monotonic() + _GRACE
        self._send(signal.SIGTERM)

    def _plan_restart(self, worker: _WorkerProcess, pid: int, code: int) -> None:
        lived = time.monotonic() - worker.since
        if lived >= _STEADY:
            worker.deaths = 0
        worker.deaths += 1
        delay = _DELAYS[min(worker.deaths, len(_DELAYS)) - 1]
        worker.due = time.monotonic() + delay
        how = f"ended with {code}"
        if code < 0:
            how = f"killed by {signal.Signals(-code).name}"
        say(
            "worker-died",
            "error",
            worker=worker.number,
            died=pid,
            how=how,
            lived=round(lived, 1),
            again_in=delay,
        )

    def _send(self, number: int) -> None:
        """Send a signal to all workers."""
        for worker in self._workers:
            if worker.pid:
                with suppress(ProcessLookupError):
                    os.kill(worker.pid, number)


def say(event: str, level: str, /, **facts: object) -> None:
    """Write one line of the log, from a process without threads. Never raises: its reader may be gone."""
    with suppress(OSError):
        os.write(sys.stderr.fileno(), line(event, level, facts))
