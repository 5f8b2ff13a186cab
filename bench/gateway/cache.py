"""The programs that the benchmark needs and the project does not ship: two C programs, built here, and the
peers, by the exact versions and hashes in `suites/locks`; nginx in the version of the machine's Debian.

They are kept below `.cache/bench`. Nothing needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from suites import installing

PLACE = Path(__file__).parents[2] / ".cache" / "bench"
_STAMP = ".holdfast-bench"
"""The file that names the packages of a complete directory."""
_SOURCES = Path(__file__).parents[1] / "c"
_PATIENCE = 900.0
"""Seconds that a command may take."""


class NotInstalled(Exception):
    """A tool or a peer cannot be installed here; the text gives the reason in one line."""


def run(argv: Sequence[str | Path], cwd: Path | None = None) -> str:
    """Return the output of a command, both streams. Raises `NotInstalled` with its last line where it
    fails."""
    try:
        done = subprocess.run(
            [str(argument) for argument in argv],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{Path(argv[0]).name}: {error}") from error
    output = (done.stdout + done.stderr).strip()
    if done.returncode:
        last = (output or "no output").splitlines()[-1]
        raise NotInstalled(f"{Path(argv[0]).name} ended with {done.returncode}: {last}")
    return output


def program(name: str) -> Path:
    """Return one of our C programs, built if its source is newer."""
    source, built = _SOURCES / f"{name}.c", PLACE / name
    if not built.exists() or built.stat().st_mtime < source.stat().st_mtime:
        compiler = shutil.which("gcc") or shutil.which("cc")
        if sys.platform != "linux" or compiler is None:
            raise NotInstalled(
                f"{source.name} needs Linux (epoll) and gcc; on Debian and Ubuntu: apt install gcc libc6-dev"
            )
        PLACE.mkdir(parents=True, exist_ok=True)
        run([compiler, "-O2", "-Wall", "-Wextra", "-o", built, source])
    return built


def environment_of(name: str) -> Path:
    """Return the directory of an environment of `suites/packages.toml`, installed by its lock if need be.
    Raises `NotInstalled`; the installer's own words stand above its text."""
    folder = PLACE / name
    try:
        installing.ensure(name, folder)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise NotInstalled(f"{name}: {error}") from error
    return folder


def version_of(python: Path, package: str) -> str:
    """Return the version of a package in the environment of `python`."""
    return run([python, "-c", f"from importlib.metadata import version; print(version({package!r}))"])


def debian_package(name: str, *packages: str) -> Path:
    """Return the directory of unpacked Debian packages: unpacking, unlike installing, needs no root."""
    folder = PLACE / name
    if not _complete(folder, packages):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        run(["apt-get", "download", *packages], cwd=folder)
        for archive in folder.glob("*.deb"):
            run(["dpkg", "-x", archive, folder])
        _mark_complete(folder, packages)
    return folder


def _complete(folder: Path, wanted: Sequence[str]) -> bool:
    """Return whether exactly these packages were installed there completely."""
    stamp = folder / _STAMP
    return stamp.exists() and stamp.read_text("utf-8") == "\n".join(wanted)


def _mark_complete(folder: Path, wanted: Sequence[str]) -> None:
    (folder / _STAMP).write_text("\n".join(wanted), "utf-8")


def environment(**more: str) -> dict[str, str]:
    """Return the environment of all measured programs: no proxy, and no setting of the user who measures."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **more}
