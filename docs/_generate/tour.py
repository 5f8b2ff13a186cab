"""Plays the tour of README.md on this machine and writes what was really printed into it.

Each ```console block is a piece of one shell session, each ```python block is saved as agent.py before the
next command runs. `python examples/provider.py` is started in the background; its address stands for the one
that the README shows.

python docs/_generate/tour.py --write     bring README.md up to date
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
DOCUMENT = ROOT / "README.md"
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN_PORT, SHOWN_HOME = "41017", "/home/you"
PROVIDER = "python examples/provider.py"
MARK = "\x1e"
PASSING = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "TIME"),
    (re.compile(r"\b\d+(?:\.\d+)? (?:ms|s|min|h)\b"), "A WHILE"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "REQUEST"),
)


@contextmanager
def provider() -> Iterator[str]:
    """The example's provider, running; gives the port that it got."""
    with subprocess.Popen(
        [sys.executable, ROOT / "examples" / "provider.py"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            yield line.rpartition(":")[2].partition("/")[0]
        finally:
            process.kill()


def script(text: str, directory: Path) -> str:
    """The shell script that does what the README shows, with a mark before each command's output."""
    lines = ["exec 2>&1"]
    for kind, body in BLOCK.findall(text):
        if kind == "python":
            (directory / "agent.py").write_text(body, encoding="utf-8")
        lines += [
            f"printf '{MARK}'\n{command}"
            for command in commands(body)
            if kind == "console" and command != PROVIDER
        ]
    return "\n".join(lines)


def commands(body: str) -> list[str]:
    """The commands of one console block."""
    return [line.removeprefix("$ ") for line in body.splitlines() if line.startswith("$ ")]


def played(text: str, home: Path) -> str:
    """README.md with the output of this run; `home` is an empty directory that stands for the user's."""
    with provider() as port:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        foreign = ("HOLDFAST_", "XDG_", "COVERAGE_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        environment |= {"HOME": str(home), "PATH": path, "NO_COLOR": "1"}
        shell = ["bash", "-c", script(text, home).replace(SHOWN_PORT, port)]
        done = subprocess.run(
            shell, cwd=home, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        printed = iter(done.stdout.replace(port, SHOWN_PORT).replace(str(home), SHOWN_HOME).split(MARK)[1:])
    greeting = f"a provider that misbehaves listens at http://127.0.0.1:{SHOWN_PORT}/v1\n"

    def block(match: re.Match[str]) -> str:
        if match[1] == "python":
            return match[0]
        body = "".join(
            f"$ {command}\n{greeting if command == PROVIDER else next(printed)}"
            for command in commands(match[2])
        )
        return f"```console\n{body}```"

    return BLOCK.sub(block, text)


def steady(text: str) -> str:
    """`text` without what differs from run to run."""
    for passing, name in PASSING:
        text = passing.sub(name, text)
    return text


def main(arguments: list[str]) -> int:
    before = DOCUMENT.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as home:
        after = played(before, Path(home))
    if "Traceback" in after:
        sys.stderr.write("a command of the tour broke off; README.md was left as it is\n")
        return 1
    if arguments == ["--write"]:
        DOCUMENT.write_text(after if steady(after) != steady(before) else before, encoding="utf-8")
    elif arguments != ["--check"]:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    elif steady(after) != steady(before):
        sys.stderr.write(
            "README.md shows what the commands do not say: python docs/_generate/tour.py --write\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
