"""Installs the judges' environments where they differ from their locks. Needs PyPI."""

from __future__ import annotations

import tomllib
from pathlib import Path

from suites import installing

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".cache" / "judges"
REFUSALS: dict[str, dict[str, dict[str, str]]] = tomllib.loads(
    Path(__file__).with_name("refusals.toml").read_text("utf-8")
)
"""By judge and API: what it asks that we answer otherwise, and why."""


def ensure(name: str) -> Path:
    """Install the judge NAME where it is missing or of another version, and return its folder. Raises
    CalledProcessError with the installer's own words above it."""
    folder = PLACE / name
    installing.ensure(f"judges-{name}", folder)
    return folder
