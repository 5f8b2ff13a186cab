"""A program as our child process: find it, ask for its version, run it with the terminal and our signals, and
pass on its exit code."""

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
from ..secrecy.core_dumps import users_core_limit
from .base import Harness, version_of

_VERSION_TIMEOUT = 30.0  # seconds for `--version`
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def find(harness: Harness, environ: Mapping[str, str]) -> str:
    """Return the program's path. Raises CannotHandOver when it is not installed."""
    path = shutil.which(harness.executable, path=environ.get("PATH"))
    if path is None:
        raise CannotHandOver(
            f"{harness.title} is not installed: there is no '{harness.executable}' on PATH",
            next_step=harness.install,
        )
    return path


def version(program: str, environ: Mapping[str, str], directory: Path) -> tuple[int, ...]:
    """Return the version that the program prints; () when it prints none. Raises CannotHandOver when it
    cannot be started."""
    try:
        ended = subprocess.run(
            [program, "--version"],
            env=dict(environ),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_VERSION_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ()
    except OSError as error:
        raise CannotHandOver(
            f"{program} cannot be started: {error.strerror or type(error).__name__}",
            next_step=f"ls -l {program}",
        ) from None
    return version_of((ended.stdout + b"\n" + ended.stderr).decode("utf-8", "replace"))


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a program to its end in our terminal; return its exit code, or, below 0, the signal that ended it.

    Signals for us are passed on to it, except those that the terminal sends to both. Raises CannotHandOver
    when it cannot be started."""
    waiting: list[int] = []
    child: list[subprocess.Popen[bytes]] = []

    def forward(number: int, _: FrameType | None) -> None:
        for process in child:
            process.send_signal(number)
        if not child:
            waiting.append(number)

    before = {number: signal.signal(number, forward) for number in _forwarded()}
    for ignored in (signal.SIGINT, signal.SIGQUIT):
        if ignored not in before:
            before[ignored] = signal.signal(ignored, lambda *_: None)
    try:
        with users_core_limit():
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
        for process in child:
            if process.poll() is None:  # after an error of ours, the program would outlive its gateway
                process.terminate()
                process.wait()
        for forwarded, handler in before.items():
            signal.signal(forwarded, handler)
    return code


def _forwarded() -> tuple[signal.Signals, ...]:
    """Return the signals to pass on; the terminal, if there is one, sends SIGINT to the child by itself."""
    if sys.stdin is not None and sys.stdin.isatty():
        return _FORWARDED
    return (*_FORWARDED, signal.SIGINT)
