"""What the benchmark needs and the project does not ship: two C programs, built here, and the peers,
installed from their own registries.

Everything lands below `.cache/bench` and is kept; removing that directory brings newer versions. Nothing
needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PLACE = Path(__file__).parents[2] / ".cache" / "bench"
_SOURCES = Path(__file__).parents[1] / "c"
_PATIENCE = 900.0


class NotInstalled(Exception):
    """A tool or a peer cannot be had here; the text says why, in one line."""


def run(argv: Sequence[str | Path], cwd: Path | None = None) -> str:
    """The output of a command, both streams. Raises `NotInstalled` with its last line when it fails."""
    try:
        done = subprocess.run(
            [str(one) for one in argv],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"{Path(argv[0]).name}: {error}") from error
    said = (done.stdout + done.stderr).strip()
    if done.returncode:
        raise NotInstalled(
            f"{Path(argv[0]).name} ended with {done.returncode}: {said.splitlines()[-1] if said else 'without a word'}"
        )
    return said


def program(name: str) -> Path:
    """One of our C programs, built when its source is newer."""
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


def python_with(name: str, *requirements: str) -> Path:
    """The Python of a virtual environment of its own that holds these packages."""
    place = PLACE / name
    python = place / "bin" / "python"
    if not _complete(place, requirements):
        run([sys.executable, "-m", "venv", "--clear", place])
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements])
        _complete(place, requirements, now=True)
    return python


def version_of(python: Path, package: str) -> str:
    """The version of a package in such an environment."""
    return run([python, "-c", f"from importlib.metadata import version; print(version({package!r}))"])


def npm_package(name: str, package: str) -> Path:
    """The directory of an npm package, installed in a place of its own."""
    place = PLACE / name
    if not _complete(place, [package]):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", place, package])
        _complete(place, [package], now=True)
    return place / "node_modules" / package


def debian_package(name: str, *packages: str) -> Path:
    """The root of these Debian packages, unpacked and not installed: that needs no root."""
    place = PLACE / name
    if not _complete(place, packages):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        run(["apt-get", "download", *packages], cwd=place)
        for archive in place.glob("*.deb"):
            run(["dpkg", "-x", archive, place])
        _complete(place, packages, now=True)
    return place


def _complete(place: Path, wanted: Sequence[str], *, now: bool = False) -> bool:
    """Whether exactly this was installed there to the end; with `now`, note that it was."""
    stamp, text = place / ".holdfast-bench", "\n".join(wanted)
    if now:
        stamp.write_text(text, "utf-8")
    return stamp.exists() and stamp.read_text("utf-8") == text


def environment(**more: str) -> dict[str, str]:
    """The environment of everything that is measured: no proxy, no setting of whoever measures."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", **more}
