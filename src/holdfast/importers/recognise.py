"""Tell whose file a file is, so that one program's importer does not take another's for an empty one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._files import quoted
from ..core.errors import ConfigError
from .programs import DATABASES, PROGRAMS, Program
from .read_files import json5_of, list_of, mapping, table_of, text_of, variables_of
from .sqlite_rows import has_table

_DATABASES = (".db", ".sqlite", ".sqlite3")
_OTHER_FORMATS = (".toml", ".yaml", ".yml")
_NOTHING = "holdfast import --help   (lists the programs, and what is read)"


def refuse_foreign(program: Program, path: Path) -> None:
    """Raise ConfigError when a file, or the one in a directory, is another program's and not this one's."""
    for file in _candidates(program, path):
        owners = owners_of(file)
        if owners and program not in owners:
            raise _named(owners[0], path, file)
        if owners or file.name in program.files:
            return


def refuse_unnamed(path: Path) -> None:
    """Raise the ConfigError for a path that was given without a program: it names the program if the file is
    recognised."""
    files = [path]
    if path.is_dir():
        files = [path / name for program in PROGRAMS.values() for name in program.files]
    for file in files:
        owners = owners_of(file)
        if owners:
            raise _named(owners[0], path, file)
    raise ConfigError(f"{path} is no file of a program that is known here", next_step=_NOTHING)


def owners_of(file: Path) -> list[Program]:
    """Return the programs whose file this may be, the likeliest first: by its place, and by what is in it."""
    if not file.is_file():
        return []
    at_home = [program for program in PROGRAMS.values() if program.has_at(file.absolute())]
    return list(dict.fromkeys((*at_home, *_owners_of_content(file))))


def _owners_of_content(file: Path) -> list[Program]:
    """Return the programs by what is in a file; none for one that cannot be read."""
    if file.suffix in _DATABASES:
        return [
            PROGRAMS[name] for name, (table, columns) in DATABASES.items() if has_table(file, table, columns)
        ]
    try:
        if _is_dotenv(file):
            return _owners_of_variables(file)
        return _owners_of_value(_value_of(file))
    except ConfigError:
        return []


def _named(program: Program, path: Path, file: Path) -> ConfigError:
    what = f"{file} is a file of {program.title}"
    return ConfigError(what, next_step=f"holdfast import {program.name} {quoted(path)}")


def _candidates(program: Program, path: Path) -> Iterator[Path]:
    """Yield the files that are looked at for a path: in a directory the program's own first."""
    if not path.is_dir():
        yield path
        return
    names = dict.fromkeys((*program.files, *(name for other in PROGRAMS.values() for name in other.files)))
    yield from (path / name for name in names if (path / name).is_file())


def _is_dotenv(file: Path) -> bool:
    if file.name.startswith(".env") or file.suffix == ".env":
        return True
    return not file.suffix and not (text_of(file) or "").lstrip().startswith(("{", "["))


def _owners_of_variables(file: Path) -> list[Program]:
    """Return who may have written a .env file: any program, so that of variables alone is none refused."""
    if not variables_of(file):
        return []
    return [PROGRAMS[name] for name in ("env", "gemini", "aider", "hermes", "continue", "goose", "qwen")]


def _owners_of_value(value: Any) -> list[Program]:
    programs = PROGRAMS.values()
    if isinstance(value, list):
        rows = [mapping(row) for row in value]
        return [program for program in programs if any(map(program.of_rows, rows))]
    return [program for program in programs if program.marks(mapping(value))]


def _value_of(file: Path) -> Any:
    """Return the table or the list in a file. Raises ConfigError."""
    if file.suffix not in _OTHER_FORMATS:
        return json5_of(file)
    try:
        return table_of(file)
    except ConfigError:
        return list_of(file)
