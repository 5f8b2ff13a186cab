"""Play docs/guides/first-hour.md on this machine and write what the programs really print into it.

Each ```console block is a piece of one shell session; a command of a ```console terminal block is played in
a terminal, with the answers below. A ```console agents block needs the real Claude Code and Codex: without
them on the PATH it stays as it is. The provider runs here, on a free port in place of the shown one.

python docs/_generate/first_hour.py --write     bring the page up to date
python docs/_generate/first_hour.py --check     exit 1 if something else is printed; times, ids and versions
                                                may differ
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from holdfast.fake_provider import Behaviour, ScriptedProvider, SeenRequest, ok, status, wrong_door

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "guides" / "first-hour.md"
BLOCK = re.compile(r"^```console( terminal| agents|)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN_PORT, SHOWN_HOME = "41017", "/home/you"
KEY, SPARE = "acme-key-0123456789", "acme-spare-0123456789"
MARK = "\x1e"
AGENTS = ("claude", "codex")
QUOTA = {
    "message": "You exceeded your current quota, please check your plan and billing details.",
    "type": "insufficient_quota",
    "code": "insufficient_quota",
}
DROPPED = re.compile(r"^warning: Codex could not find bubblewrap[^\n]*\n", re.MULTILINE)
"""What is printed on some machines only."""
PASSING = (
    (re.compile(r"@project-[0-9a-f]{8}\b"), "@project-ID"),
    (re.compile(r"\bkept-[0-9a-f]{8}\b"), "kept-ID"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "TIME"),
    (re.compile(r"\b\d+(?:\.\d+)? (?:ms|s|min|h)\b"), "A WHILE"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b[0-9a-f]{16}\b"), "ID"),
    (re.compile(r"\bv\d+\.\d+\.\d+\b"), "VERSION"),
    (re.compile(r"\b\d+ (requests?|attempts?)\b"), r"SOME \1"),
    (re.compile(r"answered \d+(; |\n)"), r"answered SOME\1"),
    (re.compile(r"^\d{4}-\d\d-\d\dT[^\n]*\n", re.MULTILINE), ""),  # a program's own log
    (re.compile(r"(tokens used\n)[\d,]+"), r"\1SOME"),
)


def answer(seen: SeenRequest) -> Behaviour:
    """Answer by the key: the first one has no credit left for an agent, whose requests offer tools."""
    if not seen.path.endswith("/chat/completions"):
        return wrong_door()
    if seen.key == KEY and json.loads(seen.body).get("tools"):
        return status(429, {"error": QUOTA})
    return ok("Still here.") if seen.key in (KEY, SPARE) else status(401)


def commands(body: str) -> list[str]:
    """Return the commands of one block."""
    return [line.removeprefix("$ ") for line in body.splitlines() if line.startswith("$ ")]


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the kind and the commands of each block."""
    for kind, body in BLOCK.findall(text):
        yield kind.strip(), commands(body)


def played(text: str, home: Path, path: str = "") -> str:
    """Return the page with the output of this run. `home` is an empty directory in place of the user's;
    `path` has the directories of the agents, or is empty."""
    with ScriptedProvider(answer, models=["big-model", "small-model"]) as provider:
        environment = _environment(home, path or _stubs(home))
        real = text.replace(SHOWN_PORT, str(provider.port))
        printed = {
            "": iter(_in_a_shell(real, home, environment, agents=bool(path))),
            "terminal": (
                _in_a_terminal(each, provider.url, home, environment) for each in _of(real, "terminal")
            ),
        }

        def output_of(kind: str, command: str) -> str:
            output = next(printed["terminal" if kind == "terminal" else ""])
            output = output.replace(str(provider.port), SHOWN_PORT).replace(str(home), SHOWN_HOME)
            return f"$ {command}\n{DROPPED.sub('', output)}"

        def block(match: re.Match[str]) -> str:
            kind = match[1].strip()
            if kind == "agents" and not path:
                return match[0]
            body = "".join(output_of(kind, command) for command in commands(match[2]))
            return f"```console{match[1]}\n{body}```"

        return BLOCK.sub(block, text)


def _of(text: str, wanted: str) -> list[str]:
    return [command for kind, body in blocks(text) if kind == wanted for command in body]


def _stubs(home: Path) -> str:
    """Return a directory with programs that are only there to be found, as setup looks for them."""
    for name in AGENTS:
        stub = home / "bin" / name
        stub.parent.mkdir(exist_ok=True)
        stub.write_text("#!/bin/sh\necho 9.9.9\n")
        stub.chmod(0o755)
    return str(home / "bin")


def _environment(home: Path, path: str) -> dict[str, str]:
    """Return the environment of a user who has these agents, and no other."""
    for name in ("project", "tmp"):
        (home / name).mkdir()
    return {
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "PATH": os.pathsep.join([path, str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        "NO_COLOR": "1",
        "TERM": "dumb",
        "LANG": "C.UTF-8",
    }


def _in_a_shell(text: str, home: Path, environment: dict[str, str], *, agents: bool) -> list[str]:
    """Return what each command of the session prints."""
    lines = ["exec 2>&1 </dev/null"]
    for kind, body in blocks(text):
        if kind == "" or (kind == "agents" and agents):
            lines += [f"printf '{MARK}'\n{command}" for command in body]
    shell = ["bash", "-c", "\n".join(lines)]
    done = subprocess.run(
        shell, cwd=home / "project", env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    return done.stdout.split(MARK)[1:]


def _in_a_terminal(command: str, url: str, home: Path, environment: dict[str, str]) -> str:
    """Return what the screen shows while each question gets its answer."""
    answers = [("name of a preset", url), ("not shown", KEY), ("number or name", "1")]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(home / "project")
        os.execvpe("bash", ["bash", "-c", command], environment)  # noqa: S606 - this is the shell
    shown, ends, seen = b"", time.monotonic() + 60, 0
    while select.select([terminal], [], [], max(0.0, ends - time.monotonic()))[0]:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # the child has closed its terminal
            break
        if answers and answers[0][0].encode() in shown[seen:]:
            seen = len(shown)
            os.write(terminal, f"{answers.pop(0)[1]}\n".encode())
    os.close(terminal)
    os.waitpid(child, 0)
    return shown.decode().replace("\r\n", "\n")


def steady(text: str) -> str:
    """Return `text` without what differs from run to run."""
    for passing, name in PASSING:
        text = passing.sub(name, text)
    return text


def main(arguments: list[str]) -> int:
    before = DOCUMENT.read_text(encoding="utf-8")
    folders = [str(Path(program).parent) for program in map(shutil.which, AGENTS) if program]
    with tempfile.TemporaryDirectory() as home:
        path = os.pathsep.join(folders) if len(folders) == len(AGENTS) else ""
        after = played(before, Path(home), path)
    if arguments == ["--write"]:
        DOCUMENT.write_text(after if steady(after) != steady(before) else before, encoding="utf-8")
    elif arguments != ["--check"]:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    elif steady(after) != steady(before):
        sys.stderr.write(
            f"{DOCUMENT.name} is out of date; run: python docs/_generate/first_hour.py --write\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
