"""Installs the clients' environments where they differ from environments.toml. Needs PyPI, the npm registry,
and node with npm."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".cache" / "clients"
WANTED = tomllib.loads(Path(__file__).with_name("environments.toml").read_text())


def python(name: str) -> Path:
    """The interpreter of an environment."""
    return PLACE / name / "bin" / "python"


def ensure() -> None:
    """Install what is missing or of another version. Raises CalledProcessError with the installer's own words
    above it."""
    uv = str(Path(sys.executable).with_name("uv"))
    for name, packages in WANTED["python"].items():
        if not _is(PLACE / name, packages):
            subprocess.run(
                [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(PLACE / name)], check=True
            )
            subprocess.run(
                [uv, "pip", "install", "--quiet", "--python", str(python(name)), *packages], check=True
            )
            _mark(PLACE / name, packages)
    node = PLACE / "node"
    if not _is(node, WANTED["node"]):
        node.mkdir(parents=True, exist_ok=True)
        (node / "package.json").write_text(json.dumps({"private": True, "dependencies": WANTED["node"]}))
        subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"],
            cwd=node,
            check=True,
        )
        _mark(node, WANTED["node"])


def _is(folder: Path, wanted: object) -> bool:
    mark = folder / ".installed"
    return mark.exists() and mark.read_text() == json.dumps(wanted)


def _mark(folder: Path, wanted: object) -> None:
    (folder / ".installed").write_text(json.dumps(wanted))


if __name__ == "__main__":
    ensure()
