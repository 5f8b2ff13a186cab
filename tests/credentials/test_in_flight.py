"""A renewal that was asked for is finished, however the program ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from children import run
from holdfast.credentials.in_flight import InFlight, NotFinished
from holdfast.credentials.secrets_file import Grant, SecretsFile
from holdfast.values.secret import Secret
from signins.authority import Authority

PROGRAM = """
import os, signal, sys, threading, time, multiprocessing
from pathlib import Path
import httpx2, holdfast

def ask(hf, number=0):
    session = hf.session(f"s{number}", "corp/m")
    with httpx2.Client(transport=session.transport(), base_url="http://holdfast.invalid/v1") as client:
        return client.post("/chat/completions", json={"model": "m", "messages": []}).status_code

def has_asked():
    while not Path(os.environ["ASKED"]).exists():
        time.sleep(0.01)

def beside(hf):
    threading.Thread(target=ask, args=(hf,), daemon=True).start()
    has_asked()

hf = holdfast.open(Path(sys.argv[1]))
"""

ENDS = {
    "end of the program": "beside(hf)",
    "exit": "beside(hf); sys.exit(0)",
    "close": "beside(hf); hf.close(); os._exit(0)",
    "error": "beside(hf); 1 / 0",
    "aclose": "import asyncio; beside(hf); asyncio.run(hf.aclose()); os._exit(0)",
    "interrupt": (
        "def interrupt():\n"
        "    has_asked()\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Thread(target=interrupt).start()\n"
        "ask(hf)"
    ),
    "interrupt of a loop": (
        "import asyncio\n"
        "async def turn():\n"
        "    session = hf.session('s', 'corp/m')\n"
        "    async with httpx2.AsyncClient(transport=session.async_transport(),"
        " base_url='http://holdfast.invalid/v1') as client:\n"
        "        await client.post('/chat/completions', json={'model': 'm', 'messages': []})\n"
        "async def main():\n"
        "    turning = asyncio.create_task(turn())\n"
        "    await asyncio.to_thread(has_asked)\n"
        "    turning.cancel()\n"
        "    await turning\n"
        "asyncio.run(main())"
    ),
    "child of multiprocessing": (
        "child = multiprocessing.get_context('fork').Process(target=lambda: beside(hf))\n"
        "child.start(); child.join()"
    ),
    "fork during it": ("beside(hf)\nif os.fork() == 0:\n    os._exit(0)\nos.wait()"),
}


@pytest.fixture
def authority(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    with Authority(thinks=0.4) as made:
        (home / "holdfast.toml").write_text(made.config())
        made.issue()
        now = time.time()
        tokens = (Secret(made.access), Secret(made.refresh))
        SecretsFile(home / "secrets.toml").put_grant("corp", Grant("g1", 0, *tokens, now - 3600, now - 10))
        monkeypatch.setenv("ASKED", str(home / "asked"))
        made.begun = (home / "asked").touch
        yield made


@pytest.mark.parametrize("end", ENDS)
def test_no_token_is_lost_however_a_program_ends_that_renews(
    home: Path, authority: Authority, end: str
) -> None:
    run([sys.executable, "-c", PROGRAM + ENDS[end], str(home)], capture_output=True, timeout=30)
    grant = SecretsFile(home / "secrets.toml").grant("corp")
    assert grant is not None
    assert (authority.refreshes, grant.generation, grant.refresh) == (1, 1, Secret(authority.refresh))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_no_token_is_lost_by_a_command_that_is_ended_by_a_signal(
    home: Path, authority: Authority, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "holdfast", "check", "corp"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (home / "asked").exists():
        time.sleep(0.02)
    child.send_signal(number)
    assert child.wait(20) == 128 + number
    grant = SecretsFile(home / "secrets.toml").grant("corp")
    assert grant is not None
    assert (authority.refreshes, grant.generation) == (1, 1)


def test_work_that_takes_too_long_is_not_waited_for() -> None:
    flight, ends = InFlight(0.05), threading.Event()
    with pytest.raises(NotFinished, match="no answer within"):
        flight.finish(lambda: ends.wait(10), patience=0.01)
    began = time.monotonic()
    flight.settle()
    assert time.monotonic() - began < 1
    ends.set()


def test_the_error_of_the_work_is_that_of_whoever_waits_for_it() -> None:
    with pytest.raises(ZeroDivisionError):
        InFlight(5.0).finish(lambda: 1 / 0, patience=5.0)
    assert InFlight(5.0).finish(lambda: "done", patience=5.0) == "done"


def test_a_forked_child_waits_for_no_work_of_its_parent() -> None:
    flight, ends = InFlight(5.0), threading.Event()
    waiting = threading.Thread(target=flight.finish, args=(lambda: ends.wait(10), 5.0))
    waiting.start()
    began = time.monotonic()
    child = os.fork()
    if not child:
        flight.settle()
        os._exit(int(time.monotonic() - began > 1))
    assert os.waitpid(child, 0)[1] == 0
    ends.set()
    waiting.join()
