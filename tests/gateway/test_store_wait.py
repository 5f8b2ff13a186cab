"""`holdfast serve --wait-for-store`: a gateway that starts before its database does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from children import Popen
from gateway.served import write_config
from gateway.test_serve import begun
from holdfast.core.errors import StoreError
from holdfast.gateway.process.store_wait import wait_for_store
from holdfast.store import Store
from holdfast.store.memory import MemoryStore
from holdfast.store.opening import may_pass
from tables import rows

AWAY = '[gateway]\nstore = "postgresql://127.0.0.1:1/nothing"\n'


def failed(cause: BaseException | None) -> StoreError:
    """The error of a store that could not be opened."""
    error = StoreError("the store failed", next_step="holdfast doctor")
    error.__cause__ = cause
    return error


class Time:
    """A clock that moves when somebody sleeps, and a store that opens at a time."""

    def __init__(self, opens_at: float, error: StoreError) -> None:
        self.now, self.told = 100.0, list[float]()
        self._opens_at, self._error = opens_at, error

    def open(self) -> Store:
        if self.now < self._opens_at:
            raise self._error
        return MemoryStore()

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def wait(self, seconds: float) -> None:
        wait_for_store(
            self.open,
            seconds,
            tell=lambda _, left: self.told.append(left),
            clock=lambda: self.now,
            sleep=self.sleep,
        )


@rows(
    "opens_after, patience, waited, reports",
    [
        (0, 60, 0, []),
        (3, 60, 3, [60]),
        (25, 60, 25, [60, 50, 40]),
        (59.9, 60, 60, [60, 50, 40, 30, 20, 10]),
    ],
)
def test_a_store_is_waited_for_and_the_reason_told_now_and_then(
    opens_after: float, patience: float, waited: float, reports: list[float]
) -> None:
    time = Time(100 + opens_after, failed(psycopg.OperationalError("connection refused")))
    time.wait(patience)
    assert (time.now - 100, time.told) == (waited, reports)


@rows(
    "cause, waits",
    [
        (psycopg.OperationalError("connection refused"), True),
        (psycopg.errors.CannotConnectNow("the database system is starting up"), True),
        (TimeoutError("no answer"), True),
        (psycopg.errors.InsufficientPrivilege("permission denied"), False),
        (None, False),
    ],
)
def test_what_no_waiting_changes_is_told_at_once(cause: BaseException | None, waits: bool) -> None:
    time = Time(1000.0, failed(cause))
    with pytest.raises(StoreError):
        time.wait(60)
    assert may_pass(failed(cause)) is waits
    assert (time.now - 100, bool(time.told)) == (60.0 * waits, waits)


def test_the_command_waits_says_so_and_ends_as_it_does_without_waiting(home: Path) -> None:
    write_config(home, AWAY)
    done = begun(home, "--wait-for-store", "300ms", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    waiting, refused = map(json.loads, done.stderr.splitlines())
    assert (waiting["event"], 0 < waiting["seconds"] <= 0.3) == ("store-awaited", True)
    assert "refused" in waiting["what"]
    assert refused["error"]["what"] == waiting["what"]
    done = begun(home, "--wait-for-store", "soon")
    assert done.returncode == 2
    assert "'soon' is no time to wait" in done.stderr


def test_a_gateway_that_waits_ends_when_it_is_told_to(home: Path) -> None:
    write_config(home, AWAY)
    command = [sys.executable, "-m", "holdfast", "serve", "--wait-for-store", "60s"]
    environ = {**os.environ, "HOLDFAST_HOME": str(home)}
    with Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "store-awaited" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
