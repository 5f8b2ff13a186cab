"""A child that is forked by tests/children.py is as one that is started by subprocess."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import children

PROGRAMS = {
    "its arguments": "import sys; print(sys.argv, sys.path[0], __name__)",
    "its directory and environment": "import os; print(os.getcwd(), sorted(os.environ.items()))",
    "its input": "import sys; print(sys.stdin.read().upper())",
    "an exit code": "import sys; sys.exit(3)",
    "an exit with words": "raise SystemExit('no')",
    "an end by a signal": "import os; os.kill(os.getpid(), 9)",
    "another signal": "import os; os.kill(os.getpid(), 15)",
    "what it does at its end": "import atexit; atexit.register(print, 'last')",
    "a thread that outlives its main program": (
        "import threading, time; threading.Thread(target=lambda: (time.sleep(0.05), print('late'))).start()"
    ),
    "a module of ours": "import runpy, sys; sys.argv[1:] = ['--version']; runpy.run_module('holdfast')",
    "another program in its place": (
        "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'import sys; print(sys.argv)', 'x'])"
    ),
    "text that is not ASCII": "import sys; print('é 漢字'); print('ü', file=sys.stderr)",
}


def outcome(run: Any, command: list[str], directory: Path) -> tuple[int, str, str]:
    done = run(
        command,
        input="typed",
        capture_output=True,
        text=True,
        env={"HOME": str(directory), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        cwd=directory,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_forked_child_is_like_a_started_one(program: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", program, "a b", "c"]
    assert outcome(children.run, command, tmp_path) == outcome(subprocess.run, command, tmp_path)


def test_a_file_that_is_run_finds_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("HERE = 'beside'")
    (tmp_path / "program.py").write_text("import sys, beside; print(beside.HERE, sys.argv[1:], __file__)")
    command = [sys.executable, str(tmp_path / "program.py"), "x"]
    assert outcome(children.run, command, Path("/")) == outcome(subprocess.run, command, Path("/"))


def test_a_failure_of_a_forked_child_is_shown_and_counts(tmp_path: Path) -> None:
    code, out, errors = outcome(children.run, [sys.executable, "-c", "1/0"], tmp_path)
    assert (code, out, errors.splitlines()[-1]) == (1, "", "ZeroDivisionError: division by zero")


def test_a_forked_child_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        children.run([sys.executable, "-c", "import time; time.sleep(30)"], timeout=0.05)


def test_a_forked_child_can_be_told_to_end_and_is_watched() -> None:
    with children.Popen([sys.executable, "-c", "import time; time.sleep(30)"]) as child:
        assert child.poll() is None
        child.terminate()
        assert child.wait(10) == -15
    assert child.poll() == -15
