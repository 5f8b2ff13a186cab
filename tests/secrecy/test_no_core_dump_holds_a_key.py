"""No process of ours that has read a key leaves a core dump. A program that is run keeps its user's limit."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

HARD = resource.getrlimit(resource.RLIMIT_CORE)[1]
SOFT = 4096 if HARD < 0 else min(HARD, 4096)
ASK = f"""
import ctypes, os, resource, subprocess, sys
resource.setrlimit(resource.RLIMIT_CORE, ({SOFT}, {HARD}))
SHOW = "import resource; print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
def state():
    dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) if sys.platform == "linux" else 0
    return dumpable, resource.getrlimit(resource.RLIMIT_CORE)[0]
"""
CONTEXT = """
from holdfast.cli.context import CliContext
CliContext().vault
print(*state())
"""
GATEWAY = """
from holdfast.gateway import __main__ as gateway
gateway._serve = lambda options: print(*state()) or 0
gateway.main([])
"""
RUN = """
from holdfast.cli.context import CliContext
from holdfast.harness.process import run
CliContext().vault
run([sys.executable, "-c", SHOW], os.environ)
print(*state())
"""


def says(code: str, home: Path, **environ: str) -> list[str]:
    """What a process prints that runs `code`."""
    return subprocess.run(
        [sys.executable, "-c", ASK + code],
        env={"HOLDFAST_HOME": str(home), **environ},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


@pytest.mark.parametrize("code", [CONTEXT, GATEWAY], ids=["a command that reads keys", "the gateway"])
def test_no_core_dump_of_a_process_of_ours_can_hold_a_key(code: str, home: Path) -> None:
    assert says(code, home) == ["0", "0"]


def test_no_limit_of_ours_is_left_to_a_program_that_is_run(home: Path) -> None:
    assert says(RUN, home) == [str(SOFT), "0", "0"]


def test_no_debugger_is_kept_out_where_the_user_asks_for_one(home: Path) -> None:
    assert says(CONTEXT, home, HOLDFAST_DEBUG="1")[1] == str(SOFT)
