"""A key is made once: by programs of any kind that ask at the same time, and whenever one of them is killed.

`make nightly` kills 200 times (KILLS); by default one moment stands for all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from children import Popen
from gateway.served import serving
from holdfast.core.provisioning_state import State
from holdfast.credentials.secrets_file import SecretsFile
from holdfast.engine.provisioning import Ready
from holdfast.fake_provider.control import slow

from .conftest import GENERATE, ROLES, TRIAL, Rig

KILLS = int(os.environ.get("KILLS", "1"))
SPAN = 0.4
"""Seconds in which a program obtains its key, on a machine that is not busy."""
PATHS = {"amazee": TRIAL, "litellm": GENERATE}
CLI = [sys.executable, "-m", "holdfast", "provision"]


def anew(rig: Rig, kind: str) -> None:
    """A home and a service without a key."""
    rig.kind = kind
    for path in [*rig.home.glob("state.db*"), *rig.home.glob("sealed/*"), rig.home / "secrets.toml"]:
        path.unlink(missing_ok=True)
    (rig.home / "holdfast.toml").write_text("")
    rig.gateway.keys.clear()
    rig.gateway.minted = 0
    rig.gateway._signups.clear()
    rig.provider.requests.clear()
    rig.gateway.spoil(PATHS[kind], slow(0.1))


def moments() -> Iterator[float]:
    """Return when to kill: evenly spread over the time that the work takes."""
    for number in range(KILLS):
        yield SPAN * (number + 0.5) / KILLS


def killed_after(rig: Rig, seconds: float, command: list[str] | None = None) -> None:
    """Let another program ask, or run this command, and kill it after some seconds."""
    if command is not None:
        process = Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    else:
        process = rig.child("calls", count=1)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        process.stdin.write("go\n")
        process.stdin.flush()
    time.sleep(seconds)
    process.kill()
    process.communicate(timeout=20)
    if (rig.home / "state.db").exists():
        with rig.open():
            pass
        rig.leases_end()


def stored_keys(rig: Rig) -> tuple[str, ...]:
    return SecretsFile(rig.home / "secrets.toml").labels("trial")


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.timeout(1800)
def test_a_program_that_is_killed_at_any_moment_leaves_one_key_at_most(rig: Rig, kind: str) -> None:
    wrong: list[tuple[float, Any]] = []
    for moment in moments():
        anew(rig, kind)
        killed_after(rig, moment)
        results = [rig.start(), rig.start(consent=None)]
        ready = all(isinstance(result, Ready) for result in results)
        left_to_the_operator = results == ["needs_operator"] * 2 and not stored_keys(rig)
        if rig.gateway.minted > 1 or not (ready or (kind == "amazee" and left_to_the_operator)):
            wrong.append((moment, results))
    assert wrong == []


@pytest.mark.parametrize("kind", PATHS)
@pytest.mark.timeout(1800)
def test_a_retirement_that_is_killed_at_any_moment_can_be_finished(rig: Rig, kind: str) -> None:
    wrong = []
    for moment in moments():
        anew(rig, kind)
        assert isinstance(rig.start(), Ready)
        killed_after(rig, moment, [*CLI, "retire", "trial"])
        with rig.open() as held:
            record = held.engine.store.provision("trial")
            assert record is not None
            after, _ = held.provisioning.retire(record)
        left = [*stored_keys(rig), *rig.gateway.keys] if kind == "litellm" else stored_keys(rig)
        if after.state is not State.RETIRED or left:
            wrong.append((moment, after.reason))
    assert wrong == []


@pytest.mark.parametrize("kind", list(PATHS)[: 1 + (KILLS > 1)])
def test_libraries_commands_and_gateways_that_ask_at_once_obtain_one_key(rig: Rig, kind: str) -> None:
    anew(rig, kind)
    roles = [f"--role={role}={','.join(patterns)}" for role, patterns in ROLES.items()]
    settings = [f"--set={name}={value}" for name, value in rig.settings.items()]
    obtain = [*CLI, "trial", "--kind", kind, *settings, *roles, "--accept"]
    with ExitStack() as stack:
        first = stack.enter_context(serving(rig.home))
        gateways = [first, stack.enter_context(serving(rig.home, token=first.token))]
        libraries = [stack.enter_context(rig.child("calls", count=2, patience=15.0)) for _ in range(2)]
        for library in libraries:
            assert library.stdout is not None
            assert library.stdin is not None
            library.stdout.readline()
            library.stdin.write("go\n")
            library.stdin.flush()
        pipes: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        commands = [stack.enter_context(Popen(obtain, **pipes)) for _ in range(2)]
        deadline = time.monotonic() + 20
        for gateway in gateways:
            while (answer := gateway.chat("trial/claude-sonnet-4-5")).status_code != 200:
                assert time.monotonic() < deadline, answer.text
                time.sleep(0.05)
        for command in commands:
            assert command.wait(20) == 0
        for library in libraries:
            assert library.communicate(timeout=20)[0] == '{"ready": 2}\n'
    assert (rig.gateway.minted, len(rig.gateway.keys), len(rig.mints)) == (1, 1, 1)
