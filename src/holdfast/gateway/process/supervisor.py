"""Several workers on one port: the supervisor binds the port, starts the workers, starts anew what dies, and
hands signals on.

It is one thread without an event loop and opens no store, so that forking is safe at any time. It never
touches a request: a worker that is killed takes its own connections along and nobody else's. When the
supervisor itself is killed, its workers end as on SIGTERM."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from ..telemetry.log import line
from ..telemetry.shared_counters import Gauge, Shared

_DELAYS = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""How long (seconds) a worker's place stays empty after one death, two in a row, and so on."""
_STEADY = 10.0
_GRACE = 5.0
_LOOK_EVERY = 1.0
_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

Start = Callable[[int, int, int], int]
"""Serves as worker number N, tells a pipe when it is ready, watches another that ends with the supervisor;
its exit code."""


@dataclass(slots=True)
class _Place:
    """A worker's place: who is in it, or from when on it is filled again."""

    number: int
    pid: int = 0
    since: float = 0.0
    deaths: int = 0
    due: float = 0.0
    was_ready: bool = False


@dataclass(slots=True)
class Supervisor:
    """Runs `workers` processes of `start` until told to end. `ready` is called once when all take requests,
    `look` about every second, `end` once when it is told to end: a listening socket that stays open would
    take connections that nobody accepts."""

    workers: int
    shared: Shared
    start: Start
    ready: Callable[[], None]
    look: Callable[[], None]
    end: Callable[[], None]
    patience: Callable[[], float]
    _places: list[_Place] = field(init=False)
    _ended_by: int = 0
    _killed_at: float = 0.0
    _announced: bool = False
    _code: int = 0
    _wake: tuple[int, int] = field(init=False)
    _told: tuple[int, int] = field(init=False)
    _life: tuple[int, int] = field(init=False)

    def run(self) -> int:
        """The exit code: that of the first worker which could not start, 130 after an interrupt, else 0."""
        self._places = [_Place(number) for number in range(self.workers)]
        self._wake, self._told, self._life = os.pipe(), os.pipe(), os.pipe()
        for end in (*self._wake, self._told[0]):
            os.set_blocking(end, False)
        before = {one: signal.signal(one, lambda *_: None) for one in _SIGNALS}
        former = signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        try:
            while self._fill() or any(one.pid for one in self._places):
                self._wait()
        finally:
            signal.set_wakeup_fd(former)
            for one, handler in before.items():
                signal.signal(one, handler)
            for end in (*self._wake, *self._told, *self._life):
                os.close(end)
        return self._code or (130 if self._ended_by == signal.SIGINT else 0)

    def _fill(self) -> bool:
        """Start a worker in every empty place whose time has come; whether the gateway goes on."""
        now = time.monotonic()
        for place in self._places:
            if not self._ended_by and not place.pid and now >= place.due:
                self._fork(place)
        return not self._ended_by

    def _fork(self, place: _Place) -> None:
        place.since, place.was_ready = time.monotonic(), False
        self.shared.put(place.number, Gauge.STARTS, self.shared.fixed(place.number)[Gauge.STARTS] + 1)
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            place.pid = pid
            return
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for one in _SIGNALS:
                signal.signal(one, signal.SIG_DFL)
            for end in (*self._wake, self._told[0], self._life[1]):
                os.close(end)
            code = self.start(place.number, self._told[1], self._life[0])
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)

    def _wait(self) -> None:
        """Until something happens: a signal, a worker that is ready, or a place's time."""
        now = time.monotonic()
        dues = [one.due - now for one in self._places if not one.pid and not self._ended_by]
        if self._killed_at:
            dues.append(self._killed_at - now)
        readable, _, _ = select.select(
            (self._wake[0], self._told[0]), (), (), max(0.0, min([*dues, _LOOK_EVERY]))
        )
        if self._told[0] in readable:
            self._are_ready(os.read(self._told[0], 256))
        for number in os.read(self._wake[0], 256) if self._wake[0] in readable else b"":
            self._signalled(number)
        self._collect()
        if self._killed_at and time.monotonic() >= self._killed_at:
            self._send(signal.SIGKILL)
        self.look()

    def _are_ready(self, numbers: bytes) -> None:
        for number in numbers:
            self._places[number].was_ready = True
        if not self._announced and all(one.was_ready for one in self._places):
            self._announced = True
            self.ready()

    def _signalled(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._send(signal.SIGHUP)
        elif number in (signal.SIGTERM, signal.SIGINT):
            if not self._ended_by:
                self._killed_at = time.monotonic() + self.patience() + _GRACE
                self.end()
            self._ended_by = self._ended_by or number
            self._send(signal.SIGTERM)  # a second one cuts what is still running

    def _collect(self) -> None:
        """Who ended, and what follows from it."""
        for place in self._places:
            done, status = os.waitpid(place.pid, os.WNOHANG) if place.pid else (0, 0)
            if not done:
                continue
            place.pid = 0
            self.shared.ended(place.number)
            code = os.waitstatus_to_exitcode(status)
            if self._ended_by:
                continue
            if not self._announced:  # it could not even start, and has said why
                self._code, self._ended_by = code if code > 0 else 1, signal.SIGTERM
                self._killed_at = time.monotonic() + _GRACE
                self._send(signal.SIGTERM)
                continue
            lived = time.monotonic() - place.since
            place.deaths = 1 if lived >= _STEADY else place.deaths + 1
            delay = _DELAYS[min(place.deaths, len(_DELAYS)) - 1]
            place.due = time.monotonic() + delay
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
            say(
                "worker-died",
                "error",
                worker=place.number,
                died=done,
                how=how,
                lived=round(lived, 1),
                again_in=delay,
            )

    def _send(self, number: int) -> None:
        for one in self._places:
            if one.pid:
                with suppress(ProcessLookupError):
                    os.kill(one.pid, number)


def say(event: str, level: str, /, **facts: object) -> None:
    """One line of the log, from a process without threads. Never raises: nobody may be reading any more."""
    with suppress(OSError):
        os.write(sys.stderr.fileno(), line(event, level, facts, ()))


__all__: Sequence[str] = ["Supervisor"]
