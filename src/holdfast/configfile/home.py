"""Where the files are, and what holdfast.toml says as it stands."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import presets
from ..core.config import Config
from ..core.errors import ConfigError, Problem
from ..core.identity import Pin
from ..vault.atomic import cannot, quoted, stamp
from .lines import Lines
from .parse import parse

_SYNTAX = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_PROJECT_FILE = ".holdfast.toml"


@dataclass(frozen=True, slots=True)
class Home:
    """Where the files are: `config` is holdfast.toml, `secrets` is secrets.toml, `state` the directory of state.db."""

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
        return cls(place.user_config_path / "holdfast.toml", place.user_state_path, place.user_data_path / "secrets.toml")

    @classmethod
    def at(cls, directory: Path) -> Home:
        """Everything in one directory."""
        directory = directory.expanduser().absolute()
        return cls(directory / "holdfast.toml", directory, directory / "secrets.toml")


def load(home: Home) -> Config:
    """The configuration as it stands; a file that is missing is an empty one. Raises ConfigError with every problem in it."""
    text = read(home.config)
    return understood(text, home.config, Lines(text, home.config.name).place, f"{home.config} is wrong:")


def revision(home: Home) -> tuple[int, int, int] | None:
    """Changes whenever the file does; costs one stat. None when there is no file."""
    return stamp(home.config)


def project_pin(directory: Path) -> tuple[Pin, Path] | None:
    """The pin that a project's .holdfast.toml selects, from `directory` upwards, and that file. Such a file comes with other
    people's code: it may select among the user's providers, never define or redirect one. Raises ConfigError otherwise."""
    for place in (directory, *directory.parents):
        path = place / _PROJECT_FILE
        if path.is_file():
            text = read(path)
            document, lines = document_of(text, path), Lines(text, str(path))
            pin = document.pop("pin", None)
            what = "a project may select a pin and nothing else: it never defines or redirects a provider"
            problems = [Problem(name, what, f"remove it here; your own file is {Home.find().config}", lines.place(name)) for name in document]
            if not isinstance(pin, str):
                problems.append(Problem("pin", "must be the only line: a provider and a model", 'pin = "provider/model"', lines.place("pin")))
            if problems:
                raise ConfigError(f"{path} is wrong:", problems=problems, next_step="holdfast models")
            return Pin.parse(str(pin)), path
    return None


def read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text", next_step=f"file {quoted(path)}") from None
    except OSError as error:
        raise cannot("read", path, error) from None


def document_of(text: str, path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = _SYNTAX.fullmatch(str(error))
        what, line, column = match.groups() if match else (str(error), None, None)
        what, place = (what, f"{path.name}:{line}:{column}") if line else (f"{what}: the file ends too early", path.name)
        step = f"${{EDITOR:-vi}} +{line or '$'} {quoted(path)}"
        raise ConfigError(f"{path} is not TOML:", problems=[Problem("syntax", what, "", place)], next_step=step) from None


def understood(text: str, path: Path, place: Callable[[str], str], otherwise: str) -> Config:
    try:
        return parse(document_of(text, path), presets=presets.find, place=place)
    except ConfigError as error:
        raise ConfigError(otherwise, problems=error.problems, next_step=error.next_step) from None
