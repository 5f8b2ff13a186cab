"""Requests with the same head that are under way together: each is sent on its own connection alone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .conftest import Running, request  # type: ignore[import-not-found]
from .raw_provider import RawProvider, Said, raw_provider  # type: ignore[import-not-found]
from .served import eventually  # type: ignore[import-not-found]
from .test_the_fast_path import BODY, GOOD, LIMITS, MODEL, answer, beside  # type: ignore[import-not-found]

MINE, OTHER = "sk-aaaa-0123456789abcdef", "sk-bbbb-0123456789abcdef"
CONFIG = '[provider.{}]\nurl = "{}"\nmodels = ["{}"]\nkeys = ["env:{}"]\n'


@pytest.fixture
def raws() -> Iterator[list[RawProvider]]:
    with ExitStack() as stack:
        yield [stack.enter_context(raw_provider()) for _ in range(2)]


@pytest.fixture
def plane(home: Path, raws: list[RawProvider], monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A gateway with two providers, that has answered this session's requests to both."""
    monkeypatch.setenv("KEY_A", MINE)
    monkeypatch.setenv("KEY_B", OTHER)
    rows = zip(("mine", "other"), raws, "AB", strict=True)
    text = "".join(CONFIG.format(name, raw.url, MODEL, f"KEY_{key}") for name, raw, key in rows)
    (home / "holdfast.toml").write_text(text)
    running = Running(home, LIMITS, None, "uvloop")
    try:
        running.holdfast.session("s", f"mine/{MODEL}")
        for raw in raws:
            raw.says(GOOD)
        yield running
    finally:
        running.close()


class Client:
    """A client that keeps its connection."""

    def __init__(self, plane: Running) -> None:
        self.sock = plane.connect()

    def asks(self, model: str, *, pause: float = 0.0) -> bytes:
        """Send a request, its body apart after a `pause`, and return the answer."""
        body = json.dumps(BODY | {"model": model}).encode()
        head = request("chat/completions", body, holdfast_session="s")[: -len(body)]
        if pause:
            self.sock.sendall(head)
            time.sleep(pause)
            self.sock.sendall(body)
        else:
            self.sock.sendall(head + body)
        got = b""
        while b"chat.completion" not in got and (more := self.sock.recv(65536)):
            got += more
        return got


def test_a_key_goes_to_no_other_provider_whose_request_has_the_same_head(
    plane: Running, raws: list[RawProvider]
) -> None:
    mine, other = raws
    waits, came = threading.Event(), threading.Event()
    slow, quick = Client(plane), Client(plane)
    slow.asks(MODEL)
    for _ in range(4):
        quick.asks(f"other/{MODEL}")
        plane.holdfast.engine.journal_writer.flush()
    slow.asks(f"other/{MODEL}")

    def slowly(_: bytes) -> Said:
        came.set()
        waits.wait(5)
        return Said([GOOD])

    mine.answer = slowly
    first = threading.Thread(target=slow.asks, args=(MODEL,))
    first.start()
    came.wait(5)
    quick.asks(f"other/{MODEL}", pause=0.05)
    waits.set()
    first.join()
    mine.says(GOOD)
    for _ in range(3):
        slow.asks(MODEL)
    slow.sock.close()
    quick.sock.close()
    for raw, key in ((mine, MINE), (other, OTHER)):
        keys = {line for head in raw.requests for line in head.split(b"\r\n") if b"authorization" in line}
        assert keys == {b"authorization: Bearer " + key.encode()}


def test_bytes_behind_a_repeated_answer_end_their_connection(plane: Running, raws: list[RawProvider]) -> None:
    (mine, _), client = raws, Client(plane)
    for _ in range(5):
        client.asks(MODEL)
        plane.holdfast.engine.journal_writer.flush()
    pool = plane.plane.upstreams.to(mine.root)
    mine.says(beside("x-new: 1"), answer())
    client.asks(MODEL)
    eventually(lambda: not pool.open)
    mine.says(GOOD)
    assert b"chat.completion" in client.asks(MODEL)
    client.sock.close()
