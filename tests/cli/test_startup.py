"""What a command costs before it does anything: what it imports, and CPU."""

from __future__ import annotations

import json
import math
import os
import pty
import resource
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from cli.furnishing import Cli, child_environment, contents
from holdfast.credentials import SecretsFile
from holdfast.distribution import install_command

_INTERRUPT = b"\x03"
QUICK = [
    ["key", "list"],
    ["session", "list"],
    ["env", "--session", "s"],
    ["provider", "list"],
    ["completion", "bash"],
]
HEAVY = {
    "asyncio",
    "httpx",
    "httpx2",
    "openai",
    "anthropic",
    "pydantic",
    "prompt_toolkit",
    "rich",
    "tomlkit",
    "subprocess",
    "holdfast.sdk.api",
    "holdfast.engine.state",
}
LISTS_MODULES = (
    "import json, sys; from holdfast.cli import main; code = main(sys.argv[1:]); "
    "print('\\n' + json.dumps([code, sorted(sys.modules)]))"
)


@pytest.mark.parametrize("arguments", QUICK, ids=" ".join)
def test_a_quick_command_imports_nothing_heavy(arguments: list[str], cli: Cli, furnished: Path) -> None:
    cli("session", "pin", "s", "mimo/mimo-pro")
    done = subprocess.run(
        [sys.executable, "-c", LISTS_MODULES, *arguments],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules = json.loads(done.stdout.splitlines()[-1])
    allowed = {"subprocess"} if arguments[0] == "completion" else set()  # click asks bash for its version
    assert (code, HEAVY.intersection(modules) - allowed) == (0, set())


def cpu(*command: str) -> float:
    """Return the CPU seconds (user and system) that a child takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=child_environment(), capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("arguments", QUICK[:3], ids=" ".join)
def test_a_quick_command_costs_little_more_than_its_command_line_library(
    arguments: list[str], cli: Cli, furnished: Path
) -> None:
    """The promise is 150 ms of CPU with compiled bytecode. Machines differ, so here it is measured in imports
    of click alone, and the best of up to ten rounds counts."""
    cli("session", "pin", "s", "mimo/mimo-pro")
    command = library = math.inf
    for _ in range(10):
        command = min(command, cpu(sys.executable, "-m", "holdfast", *arguments))
        library = min(library, cpu(sys.executable, "-c", "import click"))
        if command < 4 * library:
            break
    assert command < 4 * library


def test_without_click_it_says_how_to_install_it(furnished: Path) -> None:
    blocked = (
        "import sys; sys.modules['click'] = None; "
        "from holdfast.cli import main; sys.exit(main(['key', 'list']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", blocked], env=child_environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "holdfast: the command line needs the package 'click'",
        f"  run: {install_command('cli')}",
    ]


def test_the_program_ends_with_the_exit_code_of_its_command(furnished: Path) -> None:
    for arguments, code in (
        (["provider", "list"], 0),
        (["session", "show", "s"], 3),
        (["provider", "show", "nobody"], 2),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "holdfast", *arguments],
            env=child_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (code, False)


def test_a_reader_that_leaves_early_is_no_error(furnished: Path) -> None:
    many = "\n".join(f'[provider.p{number}]\nurl = "https://p{number}.example/v1"' for number in range(2000))
    (furnished / "holdfast.toml").write_text(many)
    command = f"set -o pipefail; {sys.executable} -m holdfast provider list --json | head -1"
    done = subprocess.run(
        ["bash", "-c", command], env=child_environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[\n", "")


def _end_of(process: subprocess.Popen[bytes], again: Callable[[], object]) -> int:
    """Return the exit code of a program, and call `again` as long as it waits: an interrupt that comes just
    before a read begins leaves the read waiting, as it does for a person, who presses the key once more."""
    for _ in range(5):
        with suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=5)
        again()
    return process.wait(timeout=5)


def on_a_terminal(arguments: list[str], answer: bytes) -> tuple[int, bytes]:
    """Run the program on a terminal of its own and type `answer` once it asks for a secret.

    Return its exit code and what the terminal showed. What is typed before the program turned echoing off is
    discarded by the terminal, so that is waited for.
    """
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "holdfast", *arguments]

    def login() -> None:
        # A shell that starts the tests in the background has them ignore the interrupts of its terminal.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.login_tty(slave)

    with subprocess.Popen(command, env=child_environment(), preexec_fn=login) as process:  # noqa: PLW1509
        try:
            shown = b""
            while b"not shown" not in shown:
                shown += os.read(master, 1024)
            while termios.tcgetattr(slave)[3] & termios.ECHO:
                time.sleep(0.01)
            os.write(master, answer)
            code = _end_of(process, again=lambda: answer == _INTERRUPT and os.write(master, answer))
            while select.select([master], [], [], 0)[0]:
                shown += os.read(master, 1024)
        finally:
            process.kill()
            os.close(slave)
            os.close(master)
    return code, shown


def test_a_key_is_asked_for_on_a_terminal_and_never_shown(furnished: Path) -> None:
    code, output = on_a_terminal(["key", "add", "both", "--label", "typed"], b"sk-typed-canary-0123456789\n")
    assert (code, b"canary" in output) == (0, False)
    assert SecretsFile(furnished / "secrets.toml").get("both", "typed") is not None


def test_a_question_that_is_interrupted_ends_with_130_and_changes_nothing(furnished: Path) -> None:
    before = contents(furnished)
    code, output = on_a_terminal(["key", "add", "both"], _INTERRUPT)
    assert (code, b"Traceback" in output) == (130, False)
    assert contents(furnished) == before
