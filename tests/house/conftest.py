"""What the house tests look at: the files of the project, and the syntax trees of its source."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

from house import syntax

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "holdfast"
_NOT_OURS = {"__pycache__", "dist", "build", "htmlcov"}


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def sources() -> dict[str, str]:
    """The Python files of the product, by their path inside the package."""
    trees = {
        path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(PACKAGE.rglob("*.py"))
    }
    assert "core/identity.py" in trees
    return trees


@pytest.fixture(scope="session")
def trees(sources: dict[str, str]) -> dict[str, ast.Module]:
    return {name: syntax.parse(text) for name, text in sources.items()}


@pytest.fixture(scope="session")
def files() -> list[Path]:
    """The files that belong to the project: what git tracks or would add, or, in an unpacked archive, what is
    not a tool's."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(
            ["git", "ls-files", "-z", "-co", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        paths = [
            path
            for path in ROOT.rglob("*")
            if not any(part in _NOT_OURS or part.startswith(".") for part in path.relative_to(ROOT).parts)
        ]
    paths = [path for path in paths if path.is_file()]
    assert ROOT / "pyproject.toml" in paths
    return paths
