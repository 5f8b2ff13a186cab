"""A program as our child: found, asked for its version, run with the terminal and our signals, and its end
passed on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from ..core.errors import CannotHandOver
from .base import Harness, version_of

_PATIENCE = 30.0
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def find(harness: Harness, environ: Mapping[str, str]) -> str:
    """The program's path. Raises CannotHandOver when it is not installed."""
    found = shutil.which(harness.executable, path=environ.get("PATH"))
    if found is None:
        raise CannotHandOver(
            f"{harness.title} is not installed: there is no '{harness.executable}' on PATH",
            next_step=harness.install,
        )
    return found


def version(program: str, environ: Mapping[str, str], directory: Path) -> tuple[int, ...]:
    """The version that the program tells, () when it tells none. Raises CannotHandOver when it cannot be
    started."""
    try:
        told = subprocess.run(
            [program, "--version"],
            env=dict(environ),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ()
    except OSError as error:
        raise CannotHandOver(
            f"{program} cannot be started: {error.strerror or type(error).__name__}",
            next_step=f"ls -l {program}",
        ) from None
    return version_of((told.stdout + b"\n" + told.stderr).decode("utf-8", "replace"))


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a program to its end in our terminal; its exit code, or less than 0 the signal that ended it.
    Signals for us are signals for it: those of the terminal reach it by themselves, the others are passed on.
    Raises CannotHandOver when it cannot be started."""
    waiting: list[int] = []
    child: list[subprocess.Popen[bytes]] = []

    def forward(number: int, _: FrameType | None) -> None:
        for one in child:
            one.send_signal(number)
        if not child:
            waiting.append(number)

    forwarded = _FORWARDED if sys.stdin is not None and sys.stdin.isatty() else (*_FORWARDED, signal.SIGINT)
    before = {number: signal.signal(number, forward) for number in forwarded}
    before |= {
        number: signal.signal(number, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGQUIT)
        if number not in before
    }
    try:
        child.append(subprocess.Popen(list(argv), env=dict(environ)))
        for number in waiting:
            child[0].send_signal(number)
        code = child[0].wait()
    except OSError as error:
        raise CannotHandOver(
            f"{argv[0]} cannot be started: {error.strerror or os.strerror(error.errno or 0)}",
            next_step=f"ls -l {argv[0]}",
        ) from None
    finally:
        for one in child:
            if one.poll() is None:  # we are leaving for a reason of our own, and it would outlive its gateway
                one.terminate()
                one.wait()
        for number, handler in before.items():
            signal.signal(number, handler)
    return code
