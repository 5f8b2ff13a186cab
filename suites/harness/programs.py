"""Installs the real programs that are missing or differ from their locks. Needs npm, and PyPI for two of
them."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from suites.installing import ensure, place

PLACE = place("harness")
STARTS: dict[str, str] = tomllib.loads(Path(__file__).with_name("programs.toml").read_text("utf-8"))
NODE = PLACE / "node" / "node_modules" / ".bin"
# Pi's dialect of references before its change is driven by an older release, under the name that people type.
COMMANDS = {"pi": "pi", "pi-old": "pi", "continue": "cn"}


def environments(name: str) -> tuple[str, str]:
    """The environments of packages.toml that a program is started from."""
    return "harness-node", f"harness-{name}"


def directory(name: str) -> Path:
    """A directory with this program, and no other, under the name that people type. Installs it if need be;
    raises CalledProcessError."""
    for environment in environments(name):
        ensure(environment, place(environment))
    shim = PLACE / "bin" / name / COMMANDS.get(name, name)
    shim.parent.mkdir(parents=True, exist_ok=True)
    target = STARTS[name].format(folder=PLACE / name, node=NODE / "node")
    shim.write_text(f'#!/bin/sh\nPATH="{NODE}:$PATH" exec {target} "$@"\n')
    shim.chmod(0o755)
    return shim.parent


if __name__ == "__main__":
    for name in sys.argv[1:] or STARTS:
        sys.stdout.write(f"{name}: {directory(name)}\n")
