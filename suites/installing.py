"""Installs what the suites drive: exact versions and hashes from suites/locks, and no script that is not
listed. `python suites/installing.py NAME FOLDER` installs one environment of packages.toml, `--lock` resolves
all of them anew."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2

HERE = Path(__file__).resolve().parent
TABLES = Path(os.environ.get("SUITES_TABLES", HERE))
"""The folder with packages.toml and its locks; another one tries other versions (newest.py)."""
LOCKS = TABLES / "locks"
PACKAGES: dict[str, dict[str, Any]] = tomllib.loads((TABLES / "packages.toml").read_text("utf-8"))
_UV = str(Path(sys.executable).with_name("uv"))
_QUIET = ["--silent", "--no-audit", "--no-fund"]
_MARK = ".installed"
_COMPILED = ("hermes", "harness-hermes", "litellm")
"""Whose first start would take minutes on a loaded machine, because it compiles all that it imports."""
_CACHE = HERE.parent / ".cache"


def place(name: str) -> Path:
    """The folder of an environment: `harness-pi` is in .cache/harness/pi."""
    suite, _, rest = name.partition("-")
    if name == "litellm-node":  # beside the environment that is the folder `litellm`
        return _CACHE / name
    return _CACHE / suite / rest if rest else _CACHE / suite


def ensure(name: str, folder: Path) -> None:
    """Install an environment into `folder` where something else is there than its lock says. Raises
    CalledProcessError with the installer's own words above it, and ValueError for another hash."""
    kind = next(kind for kind in _INSTALL if name in PACKAGES[kind])
    wanted = _digest(name, kind)
    mark = folder / _MARK
    if mark.exists() and mark.read_text("utf-8") == wanted:
        return
    sys.stderr.write(f"installing {name}\n")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _INSTALL[kind](name, folder)
    mark.write_text(wanted, "utf-8")


def lock_of(name: str, kind: str) -> Path:
    """The file that holds the exact versions and hashes of an environment."""
    if kind == "python":
        return LOCKS / f"{name}.txt"
    return LOCKS / name / "package-lock.json"


def _digest(name: str, kind: str) -> str:
    if kind in ("packed", "sources"):
        return str(PACKAGES[kind][name]["integrity"])
    allowed = json.dumps(PACKAGES["scripts"]).encode()
    return hashlib.sha256(lock_of(name, kind).read_bytes() + allowed).hexdigest()


def _python(name: str, folder: Path) -> None:
    """Install wheels only: they run nothing when they are installed."""
    python = str(folder / "bin" / "python")
    _run([_UV, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)])
    command = [_UV, "pip", "install", "--quiet", "--python", python, "--no-deps", "--require-hashes"]
    if name in _COMPILED:
        command.append("--compile-bytecode")
    _run([*command, "--only-binary", ":all:", "--requirement", str(lock_of(name, "python"))])


def _npm(name: str, folder: Path) -> None:
    """Install what the lock names, then run the scripts that packages.toml lists."""
    for file in lock_of(name, "npm").parent.iterdir():
        shutil.copy(file, folder)
    _run(["npm", "ci", *_QUIET, "--ignore-scripts"], folder)
    for package in PACKAGES["scripts"]:
        if (folder / "node_modules" / package).exists():
            _run(["npm", "rebuild", "--silent", "--foreground-scripts", package], folder)


def _source(name: str, folder: Path) -> None:
    """Unpack the source of one package of PyPI, after its hash was compared. Nothing of it runs."""
    wanted = PACKAGES["sources"][name]
    command = [_UV, "pip", "compile", "--quiet", "--no-deps", "--no-header", "--format", "pylock.toml", "-"]
    text = subprocess.run(command, input=wanted["package"], check=True, capture_output=True, text=True).stdout
    (package,) = tomllib.loads(text)["packages"]
    archive = folder / "source.tar.gz"
    archive.write_bytes(httpx2.get(package["sdist"]["url"], follow_redirects=True, timeout=120).content)
    _unpack(archive, wanted)


def _packed(name: str, folder: Path) -> None:
    """Unpack one package of npm, after its hash was compared."""
    wanted = PACKAGES["packed"][name]
    text = subprocess.run(
        ["npm", "pack", "--json", "--ignore-scripts", wanted["package"]],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    _unpack(folder / json.loads(text)[0]["filename"], wanted)


def _unpack(archive: Path, wanted: dict[str, str]) -> None:
    """Unpack an archive where it lies. Raises ValueError if it has another hash than packages.toml says."""
    algorithm, _, expected = wanted["integrity"].partition("-")
    digest = hashlib.new(algorithm, archive.read_bytes()).digest()
    if digest != base64.b64decode(expected):
        raise ValueError(f"{wanted['package']} has another hash than packages.toml says")
    _run(["tar", "-xzf", archive.name, "--no-same-owner"], archive.parent)
    archive.unlink()


def _run(command: list[str], folder: Path | None = None) -> None:
    subprocess.run(command, cwd=folder, check=True)


_INSTALL = {"python": _python, "npm": _npm, "machines": _npm, "packed": _packed, "sources": _source}


def lock(name: str) -> None:
    """Resolve an environment anew, and write its lock. The lock names no registry."""
    if name in PACKAGES["python"]:
        _lock_python(name)
    elif name in PACKAGES["npm"]:
        _lock_npm(name, {"dependencies": PACKAGES["npm"][name]})
    elif name in PACKAGES["machines"]:
        _lock_npm(name, {"optionalDependencies": PACKAGES["machines"][name]})


def _lock_python(name: str) -> None:
    wanted = "\n".join(PACKAGES["python"][name])
    command = [
        _UV,
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
    ]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "-"]
    command += ["--output-file", str(lock_of(name, "python"))]
    subprocess.run(command, input=wanted, text=True, check=True, stdout=subprocess.DEVNULL)


def _lock_npm(name: str, wanted: dict[str, Any]) -> None:
    folder = lock_of(name, "npm").parent
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps({"private": True, **wanted}, indent=1) + "\n", "utf-8")
    command = ["npm", "install", *_QUIET, "--ignore-scripts", "--package-lock-only"]
    _run([*command, "--omit-lockfile-registry-resolved"], folder)


def lock_all(names: Sequence[str] = ()) -> None:
    """Write the locks of these environments, or of all."""
    for name in names or [*PACKAGES["python"], *PACKAGES["npm"], *PACKAGES["machines"]]:
        lock(name)


def main(arguments: list[str]) -> None:
    """Run as a program."""
    if arguments[:1] == ["--lock"]:
        lock_all(arguments[1:])
        return
    name, folder = arguments
    ensure(name, Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
