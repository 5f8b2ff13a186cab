"""The log says enough to act on, and refused requests cannot fill a disk."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest

from holdfast.gateway.handler import LocalResponse
from holdfast.gateway.telemetry.log import Bridge, Log


@pytest.fixture
def written() -> list[bytes]:
    return []


@pytest.fixture
def log(written: list[bytes]) -> Log:
    return Log(write=written.append)


def log_lines(log: Log, written: list[bytes]) -> list[dict[str, Any]]:
    log.close()
    return [json.loads(line) for line in written]


def test_an_error_inside_is_logged_with_its_location_and_without_its_words(
    log: Log, written: list[bytes]
) -> None:
    bridge = Bridge(log)
    try:
        dict[str, str]()["a client's words"]
    except KeyError as error:
        bridge.emit(
            logging.LogRecord(
                "holdfast.gateway",
                logging.ERROR,
                "",
                0,
                "a request failed",
                None,
                (KeyError, error, error.__traceback__),
            )
        )
    (line,) = log_lines(log, written)
    assert (line["what"], line["error"]) == ("a request failed", "KeyError")
    assert line["where"][-1].startswith("test_log.py:")
    assert b"client's words" not in written[0]


def test_a_flood_of_refusals_is_logged_by_its_number(
    log: Log, written: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.5
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for _ in range(1000):
        log.finished(LocalResponse("", 401, "invalid_token"))
    now = 101.5
    log.finished(LocalResponse("", 401, "invalid_token"))
    for _ in range(100):
        log.finished(LocalResponse("", 404, "unknown_route"))
    lines = log_lines(log, written)
    assert [line["more"] for line in lines if "more" in line] == [980, 81]
    assert len(lines) == 20 + 1 + 20 + 1


def test_every_refusal_is_logged_where_every_request_is(written: list[bytes]) -> None:
    log = Log(access=True, write=written.append)
    for _ in range(100):
        log.finished(LocalResponse("", 401, "invalid_token"))
    assert len(log_lines(log, written)) == 100
