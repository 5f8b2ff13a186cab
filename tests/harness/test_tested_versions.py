"""The versions that a plan says were driven are those that the suite of real programs installs."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from holdfast.harness import HARNESSES

_PACKAGES = Path(__file__).parents[2] / "suites" / "packages.toml"
_VERSION = re.compile(r"(?:@|==|^)(\d+(?:\.\d+)+)")


def installed(name: str, packages: dict[str, dict[str, Any]]) -> set[str]:
    """The versions at which packages.toml installs a program; empty if it does not."""
    rows = [kind[f"harness-{name}"] for kind in packages.values() if f"harness-{name}" in kind]
    return {match for text in re.findall(r'"([^"]+)"', json.dumps(rows)) for match in _VERSION.findall(text)}


def test_the_version_of_each_plan_is_that_which_is_installed_and_driven() -> None:
    packages = tomllib.loads(_PACKAGES.read_text("utf-8"))
    tested = {name: {harness.tested} - {""} for name, harness in HARNESSES.items()}
    assert tested == {name: installed(name, packages) for name in HARNESSES}
