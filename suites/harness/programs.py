"""Installs the real programs that are missing or of another version than programs.toml says. Needs npm, and
PyPI for two of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".cache" / "harness"
WANTED: dict[str, Any] = tomllib.loads(Path(__file__).with_name("programs.toml").read_text("utf-8"))
KINDS = {name: kind for kind in ("npm", "pack", "python") for name in WANTED[kind]}
NODE = PLACE / "node" / "node_modules" / ".bin"
# Pi's dialect of references before its change is driven by an older release, under the name that people type.
COMMANDS = {"pi": "pi", "pi-old": "pi", "continue": "cn"}


def directory(name: str) -> Path:
    """A directory with this program, and no other, under the name that people type. Installs it if need be;
    raises CalledProcessError."""
    _ensure("node", WANTED["node"], _npm)
    kind = KINDS[name]
    _ensure(name, WANTED[kind][name], {"npm": _npm, "pack": _pack, "python": _python}[kind])
    shim = PLACE / "bin" / name / COMMANDS.get(name, name)
    shim.parent.mkdir(parents=True, exist_ok=True)
    start = WANTED[kind][name]["start"]
    target = {
        "npm": f"{PLACE}/{name}/node_modules/.bin/{start}",
        "pack": f"{NODE}/node {PLACE}/{name}/{start}",
        "python": f"{PLACE}/{name}/bin/{start}",
    }[kind]
    shim.write_text(f'#!/bin/sh\nPATH="{NODE}:$PATH" exec {target} "$@"\n')
    shim.chmod(0o755)
    return shim.parent


def _ensure(name: str, wanted: dict[str, Any], install: Any) -> None:
    mark = PLACE / name / ".installed"
    if mark.exists() and mark.read_text() == str(wanted):
        return
    shutil.rmtree(PLACE / name, ignore_errors=True)
    (PLACE / name).mkdir(parents=True)
    install(PLACE / name, wanted)
    mark.write_text(str(wanted))


def _npm(folder: Path, wanted: dict[str, Any]) -> None:
    # Programs of their own architecture are fetched by scripts of their packages.
    (folder / "package.json").write_text('{"private": true}')
    subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", wanted["package"]],
        cwd=folder,
        check=True,
    )


def _pack(folder: Path, wanted: dict[str, Any]) -> None:
    """The package without its dependencies: its bundle holds them."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", wanted["package"]], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.split()[-1]
    subprocess.run(["tar", "-xzf", packed, "--no-same-owner"], cwd=folder, check=True)
    (folder / packed).unlink()


def _python(folder: Path, wanted: dict[str, Any]) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
    subprocess.run(
        [
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            str(folder / "bin" / "python"),
            wanted["package"],
            *wanted.get("extra", []),
        ],
        check=True,
    )


if __name__ == "__main__":
    for name in sys.argv[1:] or KINDS:
        sys.stdout.write(f"{name}: {directory(name)}\n")
