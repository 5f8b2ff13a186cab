"""The paths of Holdfast's files, and the configuration in them."""

from __future__ import annotations

import codecs
import math
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._files import quoted, read_text, stamp
from ..core.config import Config
from ..core.errors import ConfigError, ConnectionLost, IdentityError, Problem
from ..core.identity import Pin
from ..core.routing import provider_of
from ..providers import presets
from . import old_words
from .parse import parse
from .positions import Lines
from .toml_text import join

_SYNTAX = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_PROJECT_FILE = ".holdfast.toml"
_LONGEST_PROJECT_FILE = 4096
_SECOND = 1_000_000_000
_COARSE_CLOCK, _FINE_CLOCK = 2 * _SECOND, _SECOND // 50
"""How much earlier (nanoseconds) a file's times may be than the moment at which it was changed."""


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of the files: `config` is holdfast.toml, `secrets` is secrets.toml, `state` the directory of
    state.db."""

    config: Path
    state: Path
    secrets: Path

    @classmethod
    def find(cls, environ: Mapping[str, str] = os.environ) -> Home:
        """Return HOLDFAST_HOME if it is set, else the platform's directories for configuration, state and
        data."""
        if chosen := environ.get("HOLDFAST_HOME"):
            return cls.at(Path(chosen))
        import platformdirs

        platform = platformdirs.PlatformDirs("holdfast", appauthor=False)
        return cls(
            platform.user_config_path / "holdfast.toml",
            platform.user_state_path,
            platform.user_data_path / "secrets.toml",
        )

    @classmethod
    def at(cls, directory: Path) -> Home:
        """Return a home with everything in one directory."""
        directory = directory.expanduser().absolute()
        return cls(directory / "holdfast.toml", directory, directory / "secrets.toml")

    @property
    def pepper(self) -> Path:
        """Return the file of this home's own secret: it recognises keys by it, and proves its gateways."""
        return self.secrets.with_name("pepper")

    @property
    def profiles(self) -> Path:
        """Return the directory of the user's own error vocabularies."""
        return self.config.parent / "profiles"


def load(home: Home, *, in_use: bool = False) -> Config:
    """Return the configuration; a file that is missing counts as empty. Raises ConfigError with every problem
    in it, and for a missing or empty file that is `in_use`: an editor is writing it, or it was lost."""
    text = read(home.config)
    if in_use and not text:
        raise ConfigError(f"{home.config} is missing or empty", next_step="holdfast init")
    lines = Lines(text, home.config.name)
    config = understood(text, home.config, lines.locate, f"{home.config} is wrong:")
    lines.read()  # now: a gateway asks on its event loop
    return config


def revision(home: Home) -> tuple[int, int, int] | None:
    """Return a value that changes whenever the file does, for one stat; None when there is no file."""
    return stamp(home.config)


def unchanged_since(home: Home) -> float:
    """Return the time (epoch seconds) of the last change of holdfast.toml; infinite where it is unknown.

    The later one of the file's two times counts (st_mtime and st_ctime): copying or restoring a file may set
    st_mtime back. For a link it is unknown: the link may have pointed elsewhere. The times of a file system
    are a little early; where they have whole seconds (on FAT even ones), by up to two seconds."""
    try:
        status = home.config.lstat()
    except OSError:
        return math.inf
    if not stat.S_ISREG(status.st_mode) or home.config.parent.is_symlink():
        return math.inf
    latest = max(status.st_mtime_ns, status.st_ctime_ns)
    early_by = _FINE_CLOCK
    if latest % _SECOND == 0:
        early_by = _COARSE_CLOCK
    return (latest + early_by) / _SECOND


def project_pin(config: Config, directory: Path | None = None) -> tuple[Pin, Path] | None:
    """Return the pin that a project's .holdfast.toml selects, and the path of that file; None without one. It
    is looked for from `directory` (default: the working directory) upwards.

    Such a file comes with other people's code: it may select among the user's providers, never define or
    redirect one. Raises ConfigError when it has anything else, ConnectionLost when the user has no provider
    of that name."""
    try:
        directory = directory or Path.cwd()
    except FileNotFoundError:  # the working directory was deleted
        return None
    path = _project_file(directory)
    if path is None:
        return None
    pin = _selected(path)
    try:
        provider_of(config, pin)
    except ConnectionLost as lost:
        what = f"{path} selects '{pin}', and no provider of yours is called '{pin.provider}'"
        raise ConnectionLost(
            what,
            candidates=lost.candidates,
            next_step="holdfast session pin SESSION PROVIDER/MODEL   (your own choice)",
        ) from None
    return pin, path


def _project_file(directory: Path) -> Path | None:
    for parent in (directory, *directory.parents):
        path = parent / _PROJECT_FILE
        # Path.is_file raises in a directory that we may not read; os.path.isfile returns False.
        if os.path.isfile(path):  # noqa: PTH113
            return path
    return None


def _selected(path: Path) -> Pin:
    """Return the pin in a project's file. Raises ConfigError with all its mistakes."""
    text = read(path, _LONGEST_PROJECT_FILE)
    document, lines = document_of(text, path), Lines(text, str(path))
    written, problems = document.pop("pin", None), []
    for name in (join("", name) for name in document):
        what = "a project may select a pin and nothing else: it never defines or redirects a provider"
        fix = "remove it here; providers belong in your own holdfast.toml"
        problems.append(Problem(name, what, fix, lines.locate(name)))
    fix = 'pin = "provider/model"'
    if not isinstance(written, str):
        what = "must be the only line: a provider and a model"
        problems.append(Problem("pin", what, fix, lines.locate("pin")))
    elif not problems:
        try:
            return Pin.parse(written)
        except IdentityError as error:
            problems.append(Problem("pin", error.what, fix, lines.locate("pin")))
    raise ConfigError(
        f"{path} is wrong:", problems=problems, next_step="holdfast models   (lists what can be selected)"
    )


def read(path: Path, longest: int | None = None) -> str:
    """Return the file's text, "" when there is none. Raises ConfigError, also for one of more than
    `longest` bytes."""
    return read_text(path, longest) or ""


def byte_order_mark(path: Path) -> str:
    """Return the byte order mark that the file begins with, or nothing."""
    try:
        with path.open("rb") as file:
            first = file.read(len(codecs.BOM_UTF8))
    except FileNotFoundError:
        return ""
    if first == codecs.BOM_UTF8:
        return first.decode()
    return ""


def document_of(text: str, path: Path) -> dict[str, Any]:
    """Parse TOML. Raises ConfigError with the line of the mistake; `path` is the file in its message."""
    import tomllib

    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(
            f"{path} is nested too deeply to be read", next_step=f"${{EDITOR:-vi}} {quoted(path)}"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(path, str(error)) from None


def _syntax_error(path: Path, message: str) -> ConfigError:
    """Return the error for a message of tomllib, which ends with a line or with `end of document`."""
    match = _SYNTAX.fullmatch(message)
    what, line, column = message, None, None
    if match is not None:
        what, line, column = match.groups()
    if line:
        problem = Problem("syntax", what, "", f"{path.name}:{line}:{column}")
    else:
        problem = Problem("syntax", f"{what}: the file ends too early", "", path.name)
    step = f"${{EDITOR:-vi}} +{line or '$'} {quoted(path)}"
    return ConfigError(f"{path} is not TOML:", problems=[problem], next_step=step)


def understood(text: str, path: Path, locate: Callable[[str], str], otherwise: str) -> Config:
    """Return the configuration in `text`. Raises ConfigError: `otherwise`, then every problem, with the line
    that `locate` gives for a TOML path."""
    document = document_of(text, path)
    old = old_words.problems(document, text, path.name)
    step = f"${{EDITOR:-vi}} {quoted(path)}"
    try:
        config = parse(
            old_words.renamed(document),
            presets=presets.find,
            locate=old_words.as_written(locate, document),
            known_at=presets.known_at,
        )
    except ConfigError as error:
        if not old:
            step = error.next_step
        elif old[0].fix:
            step = f"{old[0].fix}   (after correcting the other lines)"
        raise ConfigError(otherwise, problems=[*old, *error.problems], next_step=step) from None
    if old:
        raise ConfigError(otherwise, problems=old, next_step=old[0].fix or step)
    return config
