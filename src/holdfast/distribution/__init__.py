"""Holdfast as an installed package: its version, the commands that install it with an extra or update it, and
the systems that it does not run on.

The distribution is called `holdfast-llm`; a package called `holdfast` on the public index belongs to somebody
else. Ours is not published yet, so every command names the checkout or the wheel that the running copy was
installed from (PEP 610).
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

DISTRIBUTION = "holdfast-llm"
UNKNOWN_ORIGIN = "/path/to/holdfast"
"""The checkout in a command when it is unknown where the running copy was installed from."""

SYSTEM = os.name
NOT_HERE = "Holdfast does not run on Windows itself yet: its locks and signals are those of Unix"
INSTEAD = "wsl --install   (then install and run Holdfast inside it)"


@dataclass(frozen=True, slots=True)
class Origin:
    """The checkout or the wheel that this copy was installed from; editable: it runs there."""

    path: Path
    editable: bool = False


def version() -> str:
    """Return the version of Holdfast that runs, or `unknown` when it was never installed."""
    from importlib import metadata

    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"


def runs_here() -> bool:
    """Return whether Holdfast runs on this system; where not, `NOT_HERE` and `INSTEAD` say so."""
    return SYSTEM != "nt"


def origin() -> Origin | None:
    """Return where this copy was installed from, or None when that is unknown or no longer there."""
    from importlib import metadata

    try:
        recorded = json.loads(metadata.distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return None
    url = urlsplit(recorded.get("url", ""))
    path = Path(unquote(url.path))
    if url.scheme != "file" or not path.exists():
        return None
    return Origin(path, editable=recorded.get("dir_info", {}).get("editable", False))


def install_command(extra: str) -> str:
    """Return the command that installs this copy again, with the packages of `extra` (pyproject.toml)."""
    return _install(origin(), extra)


def update_command() -> str:
    """Return the command that updates: pull the checkout, or install one from a path to fill in."""
    source = origin()
    if source is None or not (source.path / ".git").exists():
        return _install(None)
    pull = f"git -C {_quoted(str(source.path))} pull"
    if source.editable:
        return pull
    return f"{pull} && {_install(source)}"


def namesake() -> str:
    """Return the version of a package called `holdfast` that overwrites ours, or nothing."""
    from importlib import metadata

    try:
        return metadata.version("holdfast")
    except metadata.PackageNotFoundError:
        return ""


def without_namesake_command() -> str:
    """Return the command that removes the package `holdfast` and ours, which share files, and adds ours."""
    uninstall = f"{_python()} -m pip uninstall -y"
    if not _has_pip():
        uninstall = f"uv pip uninstall --python {_python()}"
    return f"{uninstall} holdfast {DISTRIBUTION} && {_install(origin())}"


def _install(source: Origin | None, extra: str = "") -> str:
    """Return the command that installs `source` into the environment that runs now."""
    words = [f"{_python()} -m pip install"]
    if not _has_pip():
        words = [f"uv pip install --python {_python()}"]
    if source is not None and source.editable:
        words.append("-e")
    target = UNKNOWN_ORIGIN
    if source is not None:
        target = str(source.path)
    if extra:
        target += f"[{extra}]"
    words.append(_quoted(target))
    return " ".join(words)


def _quoted(word: str) -> str:
    from shlex import quote

    return quote(word)


def _python() -> str:
    return _quoted(sys.executable)


def _has_pip() -> bool:
    from importlib.util import find_spec

    return find_spec("pip") is not None
