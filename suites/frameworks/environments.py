"""Installs the frameworks' environments where they differ from their locks. Needs PyPI."""

from __future__ import annotations

from pathlib import Path

from suites import installing

ROOT = Path(__file__).resolve().parents[2]
_PREFIX = "frameworks-"
NAMES = [name.removeprefix(_PREFIX) for name in installing.PACKAGES["python"] if name.startswith(_PREFIX)]


def python(name: str) -> Path:
    """Install a framework's environment if it is missing or of another version, and return its interpreter.
    Raises CalledProcessError with the installer's own words above it."""
    folder = ROOT / ".cache" / "frameworks" / name
    installing.ensure(f"{_PREFIX}{name}", folder)
    return folder / "bin" / "python"
