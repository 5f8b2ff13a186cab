"""What runs on a maintainer's machine besides the product is installed by exact versions and hashes, and runs
no script of its own at its installation unless the reason is written down."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tables import rows

ROOT = Path(__file__).resolve().parents[2]
SUITES = ROOT / "suites"
PACKAGES: dict[str, dict[str, Any]] = tomllib.loads((SUITES / "packages.toml").read_text("utf-8"))
OF_NPM = {**PACKAGES["npm"], **PACKAGES["machines"]}
_EXACT = re.compile(r"([A-Za-z0-9._-]+)(\[[a-z,]+\])?==([0-9][0-9a-z.]*)")
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+(-[a-z0-9.]+)?")
# An installer's call, and what it must say besides.
INSTALLS = {
    re.compile(r"""pip["']?,?\s+["']?(install|sync)\b"""): re.compile(r"--require-hashes|--no-deps"),
    re.compile(r"""\bnpm["']?,?\s+["']?(install|i|exec|add)\b|\bnpx\b"""): re.compile(r"--package-lock-only"),
    re.compile(r"""\bnpm["']?,?\s+["']?ci\b"""): re.compile(r"--ignore-scripts"),
}
_LINES = 4
"""Lines over which a call is written at most."""


def packages_of(name: str) -> dict[str, dict[str, Any]]:
    """The packages in a lock of npm, by their path; the first is the project itself."""
    lock = json.loads((SUITES / "locks" / name / "package-lock.json").read_text("utf-8"))
    return {path: entry for path, entry in lock["packages"].items() if path}


@rows("name", PACKAGES["python"])
def test_no_package_of_python_is_installed_without_version_and_hash(name: str) -> None:
    text = (SUITES / "locks" / f"{name}.txt").read_text("utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())
    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []
    pinned = {entry.split(maxsplit=1)[0] for entry in entries}
    for wanted in PACKAGES["python"][name]:
        exact = _EXACT.fullmatch(wanted)
        assert exact, f"{wanted} is no exact version"
        assert f"{exact[1]}=={exact[3]}" in pinned


@pytest.mark.parametrize("name", OF_NPM)
def test_no_package_of_npm_is_installed_without_version_and_hash(name: str) -> None:
    packages = packages_of(name)
    assert [
        path for path, entry in packages.items() if not entry.get("integrity", entry.get("inBundle"))
    ] == []
    assert [path for path, entry in packages.items() if "resolved" in entry] == []
    for package, wanted in OF_NPM[name].items():
        version = wanted.rpartition("@")[2]  # `npm:NAME@VERSION` is a package under another name
        assert _VERSION.fullmatch(version), f"{package} {version} is no exact version"
        assert packages[f"node_modules/{package}"]["version"] == version


@pytest.mark.parametrize("name", PACKAGES["packed"])
def test_no_package_is_unpacked_without_version_and_hash(name: str) -> None:
    wanted = PACKAGES["packed"][name]
    assert _VERSION.fullmatch(wanted["package"].rpartition("@")[2])
    assert wanted["integrity"].startswith("sha512-")


def test_no_source_is_unpacked_without_version_and_hash() -> None:
    for wanted in PACKAGES["sources"].values():
        assert _EXACT.fullmatch(wanted["package"])
        assert re.fullmatch(r"sha256-[A-Za-z0-9+/]{43}=", wanted["integrity"])


def test_a_script_that_a_package_runs_at_its_installation_has_a_reason() -> None:
    with_scripts = {
        path.rpartition("node_modules/")[2]
        for name in OF_NPM
        for path, entry in packages_of(name).items()
        if entry.get("hasInstallScript")
    }
    assert PACKAGES["scripts"].keys() <= with_scripts, "a script that is allowed and does not exist"
    assert all(len(reason) > 20 for reason in PACKAGES["scripts"].values())


def test_no_file_installs_anything_but_what_is_pinned(root: Path, files: list[Path]) -> None:
    folders = SUITES, root / "bench", root / "docs"
    scripts = [path for path in files if path.suffix == ".py"]
    of_ours = [path for path in scripts if any(map(path.is_relative_to, folders))]
    of_ours += [root / "Makefile", *(root / ".ci").iterdir()]
    loose = []
    for path in of_ours:
        lines = path.read_text("utf-8").splitlines()
        for number, line in enumerate(lines):
            call = "\n".join(lines[number : number + _LINES])
            loose += [
                f"{path.relative_to(root)}:{number + 1}"
                for installs, must in INSTALLS.items()
                if installs.search(line) and not must.search(call)
            ]
    assert loose == []


@pytest.mark.parametrize(
    "line",
    ['["npm", "install", "x"]', "npx x", '[uv, "pip", "install", "x"]', "uv pip install x", '"npm", "ci"'],
)
def test_the_search_for_installs_finds_every_way_to_write_one(line: str) -> None:
    assert [
        installs for installs, must in INSTALLS.items() if installs.search(line) and not must.search(line)
    ]
