"""Looks up the newest versions of the coding agents that `make test-harness` drives.

python suites/newest.py FOLDER     write packages.toml and its locks, with the newest versions, into a folder
python suites/newest.py --write    take these versions over into suites/, with new locks
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
_UV = str(Path(sys.executable).with_name("uv"))
_OLD = ("harness-node", "harness-pi-old")
"""What every agent needs, and what is driven because it is old."""
_PACKED = re.compile(r'package = "(?P<name>.+)@(?P<version>[^"]+)", integrity = "(?P<integrity>[^"]+)"')
_NPM = re.compile(r'"(?P<name>[^"]+)" = "(?P<version>[0-9][^"]*)"')
_PYTHON = re.compile(r'"(?P<name>[^"=]+)==(?P<version>[^"]+)"')


def newest(text: str) -> tuple[str, list[str]]:
    """Return packages.toml with the newest version of each agent, and the environments that have others now.
    Raises CalledProcessError if a registry does not answer."""
    lines, changed = [], []
    for line in text.splitlines():
        environment = line.split('"')[1] if line.startswith('"harness-') else ""
        after = line if environment in ("", *_OLD) else _line(line)
        if after != line:
            changed.append(environment)
        lines.append(after)
    return "\n".join(lines) + "\n", changed


def _line(line: str) -> str:
    if match := _PACKED.search(line):
        version, integrity = _of_npm(match["name"])
        before = f"{match['name']}@{match['version']}", match["integrity"]
        return line.replace(before[0], f"{match['name']}@{version}").replace(before[1], integrity)
    head, mark, wanted = line.partition(" = ")
    wanted = _PYTHON.sub(lambda match: f'"{match["name"]}=={_of_pypi(match["name"])}"', wanted)
    return head + mark + _NPM.sub(lambda match: f'"{match["name"]}" = "{_of_npm(match["name"])[0]}"', wanted)


def _of_npm(name: str) -> tuple[str, str]:
    about = json.loads(_output(["npm", "view", name, "version", "dist.integrity", "--json"]))
    return about["version"], about["dist.integrity"]


def _of_pypi(name: str) -> str:
    command = [_UV, "pip", "compile", "--quiet", "--no-deps", "--no-header", "--no-annotate", "-"]
    return _output(command, name).strip().partition("==")[2]


def _output(command: list[str], given: str = "") -> str:
    done = subprocess.run(command, input=given, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def main(arguments: list[str]) -> int:
    """Run as a program. Return the exit code."""
    if len(arguments) != 1:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    folder = HERE if arguments == ["--write"] else Path(arguments[0]).resolve()
    if folder != HERE:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(HERE / "locks", folder / "locks")
    text, changed = newest((HERE / "packages.toml").read_text("utf-8"))
    (folder / "packages.toml").write_text(text, "utf-8")
    sys.stdout.write(f"newer than in packages.toml: {', '.join(changed) or 'none'}\n")
    if changed:
        locking = [sys.executable, str(HERE / "installing.py"), "--lock", *changed]
        subprocess.run(locking, check=True, env=os.environ | {"SUITES_TABLES": str(folder)})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
