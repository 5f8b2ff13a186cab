"""The requests by which Http11Probe and h1spec judge a server, against a running gateway.

`tests/data/judges/requests.jsonl` holds ours, written after their cases: each with the outcomes that RFC 9110
and 9112 allow us, narrower than theirs where they allow more. `may`: the status of the first answer, or
`wait` where the gateway waits for the rest; `answers`: the number of answers, if not 1. A run of bytes that
is repeated is written as [bytes, times].
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import time
from collections import Counter
from pathlib import Path
from typing import Any

from gateway.conftest import StartGateway
from holdfast.testing import ScriptedProvider

CASES = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data/judges/requests.jsonl").read_text("utf-8").splitlines()
]
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Z]")
_QUIET = 0.5
"""Seconds without a byte on any connection after which all answers are there."""


def sent(case: dict[str, Any]) -> bytes:
    parts = case["send"]
    if isinstance(parts, str):
        parts = [parts]
    return "".join(part if isinstance(part, str) else part[0] * part[1] for part in parts).encode("latin-1")


def answers_to(port: int, requests: list[bytes]) -> list[tuple[bytes, bool]]:
    """Send each on a connection of its own. Return what came, and whether the gateway closed."""
    got: list[tuple[bytes, bool]] = [(b"", False)] * len(requests)
    with selectors.DefaultSelector() as waiting:
        for number, data in enumerate(requests):
            sock = socket.create_connection(("127.0.0.1", port), timeout=5)
            sock.sendall(data)
            waiting.register(sock, selectors.EVENT_READ, number)
        until = time.monotonic() + _QUIET
        while time.monotonic() < until:
            for key, _ in waiting.select(_QUIET):
                sock, number = key.fileobj, key.data  # type: ignore[assignment]
                try:
                    piece = sock.recv(65536)
                except ConnectionError:
                    piece = b""
                got[number] = (got[number][0] + piece, not piece)
                if not piece:
                    waiting.unregister(sock)
                    sock.close()
                until = time.monotonic() + _QUIET
        for key in [*waiting.get_map().values()]:
            key.fileobj.close()  # type: ignore[union-attr]
    return got


def fault_of(case: dict[str, Any], answer: bytes, closed: bool) -> str:
    """Return what a judge would say, "" for nothing."""
    statuses = [int(status) for status in _STATUS.findall(answer)]
    if "wait" in case["may"] and not statuses and not closed:
        return ""
    if not statuses or statuses[0] not in case["may"]:
        return f"{statuses} instead of {case['may']}, closed: {closed}"
    if len(statuses) != case.get("answers", 1):
        return f"{len(statuses)} answers: {statuses}"
    if statuses[0] == 400:
        of_the_body = "unreadable_body" in case.get("why", "")
        if (b'"unreadable_body"' in answer) != of_the_body:
            return "refused for another reason"
        if not of_the_body and not closed:
            return "the connection stays open behind what nobody can read"
    return ""


def test_no_judge_of_http_finds_a_fault_of_ours(gateway: StartGateway, provider: ScriptedProvider) -> None:
    entry = f'[provider.p]\nurl = "{provider.url}"\nmodels = ["m"]\nkeys = ["env:KEY_A"]\n'
    answers = answers_to(gateway(config=entry).port, [sent(case) for case in CASES])
    faults = {
        case["id"]: fault
        for case, (answer, closed) in zip(CASES, answers, strict=True)
        if (fault := fault_of(case, answer, closed))
    }
    assert faults == {}


def test_the_cases_of_both_judges_are_all_here_once() -> None:
    assert Counter(case["judge"] for case in CASES) == {"Http11Probe": 182, "h1spec": 33}
    assert max(Counter(case["id"] for case in CASES).values()) == 1
