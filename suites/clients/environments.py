"""Installs the clients' environments where they differ from their locks. Needs PyPI, the npm registry, and
node with npm."""

from __future__ import annotations

from pathlib import Path

from suites import installing

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".cache" / "clients"
_PREFIX = "clients-"


def python(name: str) -> Path:
    """The interpreter of an environment."""
    return PLACE / name / "bin" / "python"


def ensure() -> None:
    """Install what is missing or of another version. Raises CalledProcessError with the installer's own words
    above it."""
    for kind in ("python", "npm"):
        for name in installing.PACKAGES[kind]:
            if name.startswith(_PREFIX):
                installing.ensure(name, PLACE / name.removeprefix(_PREFIX))


if __name__ == "__main__":
    ensure()
