"""Play docs/guides/tour.md on this machine and write what the commands really print into it.

Each ```console block is a piece of one shell session, each ```python block is saved as agent.py before the
next command runs. The provider of the example runs in the background, on a free port in place of the one that
the page shows. What needs no provider (`make setup`) is not played.

python docs/_generate/tour.py --write     bring the page up to date
python docs/_generate/tour.py --check     exit 1 if the commands print something else, times and request ids
                                          apart"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "guides" / "tour.md"
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN_PORT, SHOWN_HOME = "41017", "/home/you"
PROVIDER = "python examples/provider.py"
SETUP = ("make setup", "source .venv/bin/activate")
"""Commands before the tour: the reader prepares the checkout, a test has it prepared."""
MARK = "\x1e"
PASSING = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "TIME"),
    (re.compile(r"\b\d+(?:\.\d+)? (?:ms|s|min|h)\b"), "A WHILE"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "REQUEST"),
)


@contextmanager
def provider() -> Iterator[str]:
    """Run the example's provider on a free port and yield that port."""
    command = [sys.executable, str(ROOT / "examples" / "provider.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            yield line.rpartition(":")[2].partition("/")[0]
        finally:
            process.kill()


def script(text: str, directory: Path) -> str:
    """Return the shell script that does what the page shows, with a mark before each command's output."""
    lines = ["exec 2>&1"]
    for kind, body in BLOCK.findall(text):
        if kind == "python":
            (directory / "agent.py").write_text(body, encoding="utf-8")
        lines += [
            f"printf '{MARK}'\n{command}"
            for command in commands(body)
            if kind == "console" and command not in (PROVIDER, *SETUP)
        ]
    return "\n".join(lines)


def commands(body: str) -> list[str]:
    """Return the commands of one console block."""
    return [line.removeprefix("$ ") for line in body.splitlines() if line.startswith("$ ")]


def played(text: str, home: Path) -> str:
    """Return the page with the output of this run. `home` is an empty directory in place of the user's."""
    with provider() as port:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        foreign = ("HOLDFAST_", "XDG_", "COVERAGE_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        environment |= {"HOME": str(home), "PATH": path, "NO_COLOR": "1"}
        shell = ["bash", "-c", script(text, home).replace(SHOWN_PORT, port)]
        done = subprocess.run(
            shell, cwd=home, env=environment, capture_output=True, text=True, timeout=110, check=False
        )
        printed = iter(done.stdout.replace(port, SHOWN_PORT).replace(str(home), SHOWN_HOME).split(MARK)[1:])
    greeting = f"A provider that misbehaves listens at http://127.0.0.1:{SHOWN_PORT}/v1\n"

    def output_of(command: str) -> str:
        if command in SETUP:
            return ""
        return greeting if command == PROVIDER else next(printed)

    def block(match: re.Match[str]) -> str:
        if match[1] == "python":
            return match[0]
        body = "".join(f"$ {command}\n{output_of(command)}" for command in commands(match[2]))
        return f"```console\n{body}```"

    return BLOCK.sub(block, text)


def steady(text: str) -> str:
    """Return `text` without what differs from run to run."""
    for passing, name in PASSING:
        text = passing.sub(name, text)
    return text


def main(arguments: list[str]) -> int:
    before = DOCUMENT.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as home:
        after = played(before, Path(home))
    if "Traceback" in after:
        sys.stderr.write("a command of the tour failed; the page is unchanged\n")
        return 1
    if arguments == ["--write"]:
        DOCUMENT.write_text(after if steady(after) != steady(before) else before, encoding="utf-8")
    elif arguments != ["--check"]:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    elif steady(after) != steady(before):
        sys.stderr.write("docs/guides/tour.md is out of date; run: python docs/_generate/tour.py --write\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
