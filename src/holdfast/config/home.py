"""Where the files are, and what holdfast.toml says as it stands."""

from __future__ import annotations

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
from .positions import Lines, join

_SYNTAX = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_PROJECT_FILE = ".holdfast.toml"
_LONGEST_PROJECT_FILE = 4096
_SECOND = 1_000_000_000
_COARSE_CLOCK, _FINE_CLOCK = 2 * _SECOND, _SECOND // 50
"""How far (nanoseconds) a file's times may lie before the moment at which it was changed."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where the files are: `config` is holdfast.toml, `secrets` is secrets.toml, `state` the directory of
    state.db."""

    config: Path
    state: Path
    secrets: Path

    @classmethod
    def find(cls, environ: Mapping[str, str] = os.environ) -> Home:
        """HOLDFAST_HOME if it is set, else the platform's directories for configuration, state and data."""
        if chosen := environ.get("HOLDFAST_HOME"):
            return cls.at(Path(chosen))
        import platformdirs

        place = platformdirs.PlatformDirs("holdfast", appauthor=False)
        return cls(
            place.user_config_path / "holdfast.toml",
            place.user_state_path,
            place.user_data_path / "secrets.toml",
        )

    @classmethod
    def at(cls, directory: Path) -> Home:
        """Everything in one directory."""
        directory = directory.expanduser().absolute()
        return cls(directory / "holdfast.toml", directory, directory / "secrets.toml")


def load(home: Home, *, in_use: bool = False) -> Config:
    """The configuration as it stands; a file that is missing is an empty one. Raises ConfigError with every
    problem in it, and for a missing or empty file that is `in_use`: an editor is at work, or it was lost."""
    text = read(home.config)
    if in_use and not text:
        raise ConfigError(f"{home.config} is gone or empty", next_step="holdfast init")
    return understood(text, home.config, Lines(text, home.config.name).place, f"{home.config} is wrong:")


def revision(home: Home) -> tuple[int, int, int] | None:
    """Changes whenever the file does; costs one stat. None when there is no file."""
    return stamp(home.config)


def unchanged_since(home: Home) -> float:
    """Return the time (epoch seconds) since when holdfast.toml stands there as it does; infinite where nobody
    can tell.

    The time of the file's own entry counts beside that of its content, which whoever copies or restores a
    file may set back. A link may have been pointed elsewhere, and neither file would tell. The clock of a
    file system is a little behind; one that counts whole seconds (FAT counts every other one) is so by two.
    """
    try:
        status = home.config.lstat()
    except OSError:
        return math.inf
    if not stat.S_ISREG(status.st_mode) or home.config.parent.is_symlink():
        return math.inf
    latest = max(status.st_mtime_ns, status.st_ctime_ns)
    behind = _COARSE_CLOCK if latest % _SECOND == 0 else _FINE_CLOCK
    return (latest + behind) / _SECOND


def project_pin(config: Config, directory: Path | None = None) -> tuple[Pin, Path] | None:
    """The pin that a project's .holdfast.toml selects, from `directory` (where this process runs) upwards,
    and that file; None without one.

    Such a file comes with other people's code: it may select among the user's providers, never define or
    redirect one. Raises ConfigError when it says anything else, ConnectionLost when the provider that it
    selects is none of the user's."""
    try:
        directory = directory or Path.cwd()
    except FileNotFoundError:  # it was deleted under us
        return None
    places = (place / _PROJECT_FILE for place in (directory, *directory.parents))
    path = next((path for path in places if os.path.isfile(path)), None)  # noqa: PTH113 - it is False, and no error, where we may not look
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


def _selected(path: Path) -> Pin:
    text = read(path, _LONGEST_PROJECT_FILE)
    document, lines = document_of(text, path), Lines(text, str(path))
    written, problems = document.pop("pin", None), []
    for name in (join("", name) for name in document):
        what = "a project may select a pin and nothing else: it never defines or redirects a provider"
        problems.append(
            Problem(
                name, what, "remove it here; a provider stands in your own holdfast.toml", lines.place(name)
            )
        )
    try:
        if isinstance(written, str) and not problems:
            return Pin.parse(written)
        if not isinstance(written, str):
            problems.append(
                Problem(
                    "pin",
                    "must be the only line: a provider and a model",
                    'pin = "provider/model"',
                    lines.place("pin"),
                )
            )
    except IdentityError as error:
        problems.append(Problem("pin", error.what, 'pin = "provider/model"', lines.place("pin")))
    raise ConfigError(
        f"{path} is wrong:", problems=problems, next_step="holdfast models   (lists what can be selected)"
    )


def read(path: Path, longest: int | None = None) -> str:
    """Return the file's text, "" when there is none. Raises ConfigError, also for one of more than
    `longest` bytes."""
    return read_text(path, longest) or ""


def document_of(text: str, path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError(
            f"{path} is nested too deeply to be read", next_step=f"${{EDITOR:-vi}} {quoted(path)}"
        ) from None
    except tomllib.TOMLDecodeError as error:
        match = _SYNTAX.fullmatch(str(error))
        what, line, column = match.groups() if match else (str(error), None, None)
        what, place = (
            (what, f"{path.name}:{line}:{column}")
            if line
            else (f"{what}: the file ends too early", path.name)
        )
        step = f"${{EDITOR:-vi}} +{line or '$'} {quoted(path)}"
        raise ConfigError(
            f"{path} is not TOML:", problems=[Problem("syntax", what, "", place)], next_step=step
        ) from None


def understood(text: str, path: Path, place: Callable[[str], str], otherwise: str) -> Config:
    """Return the configuration that `text` writes. Raises ConfigError: `otherwise`, then every problem."""
    document = document_of(text, path)
    old = old_words.problems(document, text, path.name)
    try:
        place = old_words.as_written(place, document)
        today = old_words.renamed(document)
        config = parse(today, presets=presets.find, place=place, known_at=presets.known_at)
    except ConfigError as error:
        step = f"{old_words.UPGRADE}   (after correcting the other lines)" if old else error.next_step
        raise ConfigError(otherwise, problems=[*old, *error.problems], next_step=step) from None
    if old:
        raise ConfigError(otherwise, problems=old, next_step=old_words.UPGRADE)
    return config
