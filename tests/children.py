"""Child processes that start in hundredths of a second.

    from children import Popen, run

    run([sys.executable, "-m", "holdfast", "provider", "list"], capture_output=True, text=True)

`Popen` and `run` are those of `subprocess`, for commands of this Python. A child that is started as usual
first imports for half a second what every other child imports too. Here one without threads imports it once
and forks for each child, which then has arguments, environment, directory, open files and modules called
`__main__` as a new process has. Where the start itself is what a test is about (what it imports, what it
costs, the shell around it), the test uses `subprocess`."""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import types
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_NUMBER = struct.Struct("i")
_LONGEST = 1 << 17
"""Bytes of a message: a command and its environment."""
_LATER = (
    "asyncio",
    "httpx2",
    "rich.console",
    "rich.table",
    "rich.text",
    "sqlite3",
    "tomlkit",
    "uvloop",
    "yaml",
)
"""What our modules import when they need it."""

# The side of the tests
# ----------------------------------------------------------------------------------------------------------


class _Forker:
    """The process that forks, one for each process of pytest. It ends with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def ask(self, message: Mapping[str, Any], files: Sequence[int]) -> None:
        """Have it fork. `files` become standard input, output and error, and the pipe for news of the
        child."""
        with self._lock:
            control = self._control or self._start()
        socket.send_fds(control, [json.dumps(message).encode()], files)

    def _start(self) -> socket.socket:
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * _LONGEST)
        with theirs:
            command = [sys.executable, str(Path(__file__)), str(theirs.fileno())]
            self._process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._control = control
        return control

    def end(self) -> None:
        """End the process, if it was ever needed."""
        if self._control is not None and self._process is not None:
            self._control.close()
            self._process.wait()
            self._control = self._process = None


forker = _Forker()


class Popen(subprocess.Popen):  # type: ignore[type-arg]
    """A child that is forked from a process which has imported our packages."""

    def _execute_child(self, args: Any, *more: Any) -> None:
        executable, preexec, _, pass_fds, cwd, env, _, _, shell, *pipes = more
        assert args[0] == sys.executable
        assert not any((executable, preexec, pass_fds, shell)), "this needs subprocess"
        inner, outer = socket.socketpair()
        ends = [end if end >= 0 else number for number, end in enumerate((pipes[0], pipes[3], pipes[5]))]
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        message = {
            "command": [str(arg) for arg in args[1:]],
            "environ": {
                str(name): str(value) for name, value in (os.environ if env is None else env).items()
            },
            "directory": str(cwd or Path.cwd()),
        }
        with inner:
            forker.ask(message, [*ends, inner.fileno()])
        self._news = outer
        self._close_pipe_fds(*pipes[:6])  # type: ignore[attr-defined]
        self.pid = self._read()
        self._child_created = True

    def _read(self) -> int:
        data = self._news.recv(_NUMBER.size)
        assert data, "the process that forks has ended"
        return int(_NUMBER.unpack(data)[0])

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        """Return the exit code if the child has ended."""
        with suppress(subprocess.TimeoutExpired):
            self._wait(timeout=0)
        return self.returncode

    def _wait(self, timeout: float | None) -> int:
        if self.returncode is None:
            with self._waitpid_lock:  # type: ignore[attr-defined]
                if self.returncode is None:
                    if not select.select([self._news], [], [], timeout)[0]:
                        raise subprocess.TimeoutExpired(self.args, timeout or 0)
                    self.returncode = os.waitstatus_to_exitcode(self._read())
                    self._news.close()
        return self.returncode


def run(
    command: Sequence[Any],
    *,
    check: bool = False,
    capture_output: bool = False,
    timeout: float | None = None,
    input: Any = None,
    **more: Any,
) -> Any:
    """Run a child to its end, as subprocess.run does."""
    if capture_output:
        more |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    if input is not None:
        more["stdin"] = subprocess.PIPE
    with Popen([str(part) for part in command], **more) as process:
        try:
            out, errors = process.communicate(input, timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(process.args, process.returncode, out, errors)
    if check:
        done.check_returncode()
    return done


# The side of the children
# ----------------------------------------------------------------------------------------------------------


def _prepare() -> None:
    """Import what children import."""
    import holdfast

    modules = [
        name
        for _, name, _ in pkgutil.walk_packages(holdfast.__path__, "holdfast.")
        if not name.endswith("__main__")
    ]
    for name in [*modules, *_LATER]:
        with suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # none of this is ever garbage: no child looks at it


def _serve(control: socket.socket) -> dict[str, Any]:
    """Fork for each message until the tests have ended. Return a message, in the child that is for it."""
    running: set[int] = set()
    while True:
        data, files, _, _ = socket.recv_fds(control, _LONGEST, 4)
        if not data:
            sys.exit()
        message: dict[str, Any] = json.loads(data)
        pid = os.fork()
        if not pid:
            control.close()
            _watch_a_child(files)
            return message
        for end in files:
            os.close(end)
        running.add(pid)
        running -= {pid for pid in running if os.waitpid(pid, os.WNOHANG)[0]}


def _watch_a_child(files: Sequence[int]) -> None:
    """Fork once more: the parent says when the child has ended, and how; only the child returns."""
    *ends, news = files
    pid = os.fork()
    if not pid:
        for number, end in enumerate(ends):
            os.dup2(end, number)
        for end in files:
            os.close(end)
        return
    for end in (0, 1, 2, *ends):
        with suppress(OSError):
            os.close(end)
    os.write(news, _NUMBER.pack(pid))
    status = os.waitpid(pid, 0)[1]
    with suppress(OSError):  # nobody waits any more
        os.write(news, _NUMBER.pack(status))
    os._exit(0)


def _become(message: Mapping[str, Any]) -> None:
    """Do what a new process with this command does."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(message["environ"])
    os.chdir(message["directory"])
    os.execv = _replace  # type: ignore[assignment]
    _run(message["command"])


def _replace(_: str, command: Sequence[str]) -> None:
    """Become another command of this Python without a new start."""
    assert command[0] == sys.executable
    _run(command[1:])
    sys.exit()


def _run(command: Sequence[str]) -> None:
    first, *rest = command
    if first == "-P":
        sys.path[0] = str(Path(__file__) / "nothing is imported from beside the program")
        _run_program(rest)
    elif first == "-W":
        warnings.simplefilter(rest[0])  # type: ignore[arg-type]
        _run(rest[1:])
    else:
        sys.path[0] = "" if first in ("-m", "-c") else str(Path(first).resolve().parent)
        _run_program(command)


def _run_program(command: Sequence[str]) -> None:
    """Run a module, a text or a file as the main program."""
    first, *rest = command
    if first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = ["-c", *rest[1:]]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), main.__dict__)
    else:
        sys.argv = [first, *rest]
        runpy.run_path(first, run_name="__main__")


def _end(code: Any) -> None:
    """End as a process does: with its threads, what it registered for its end, and all that it wrote. Only
    the imported modules are not taken apart one by one, which would take ten times as long as all else."""
    if not (code is None or isinstance(code, int)):
        sys.stderr.write(f"{code}\n")
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    gc.collect()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit((code or 0) & 0xFF)


def main(control: int) -> None:
    """Serve the tests; in a child, run its program and end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _prepare()
    message = _serve(socket.socket(fileno=control))
    code: Any = None
    try:
        _become(message)
    except SystemExit as end:
        code = end.code
    except Exception:  # noqa: BLE001 - as the interpreter does
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    _end(code)


if __name__ == "__main__":
    main(int(sys.argv[1]))
