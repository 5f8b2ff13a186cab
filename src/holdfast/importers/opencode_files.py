"""The files of opencode, merged as opencode merges them (1.18: config.ts): tables member by member, any other
value by the later file. A project's file may redirect a provider, so none is read unless it is named."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..harness import jsonc
from .read_files import mapping, merged, table_of

GLOBAL = ("config.json", "opencode.json", "opencode.jsonc")
_HOME = ("opencode.jsonc", "opencode.json")
_FILE = re.compile(r"\{file:([^}]+)\}")


def config_of(path: Path | None, environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return the configuration and the names of the files that it is of. Raises ConfigError when one cannot
    be read."""
    config: dict[str, Any] = {}
    names: list[str] = []
    for name, table in _tables(path, environ):
        config = merged(config, table)
        names.append(name)
    return config, names


def data_directory(environ: Mapping[str, str]) -> Path:
    """Return the directory of auth.json."""
    return Path(environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "opencode"


def _tables(path: Path | None, environ: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in _files(path, environ):
        table = table_of(file)
        if table is not None:
            yield file.name, _with_absolute_files(table, file.absolute().parent)
    inline = environ.get("OPENCODE_CONFIG_CONTENT", "")
    if path is None and inline:
        try:
            content = jsonc.parse(inline)
        except (jsonc.MalformedJsonc, ValueError):
            return
        yield "OPENCODE_CONFIG_CONTENT", _with_absolute_files(dict(mapping(content)), Path.cwd())


def _files(path: Path | None, environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield the files from the weakest to the strongest."""
    if path is not None and not path.is_dir():
        yield path
        return
    if path is not None:
        yield from (path / name for name in GLOBAL)
        return
    directory = Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "opencode"
    yield from (directory / name for name in GLOBAL)
    if environ.get("OPENCODE_CONFIG"):
        yield Path(environ["OPENCODE_CONFIG"]).expanduser()
    yield from (Path("~/.opencode").expanduser() / name for name in _HOME)


def _with_absolute_files(value: Any, directory: Path) -> Any:
    """Return the value with `{file:PATH}` relative to the file that says so."""
    if isinstance(value, Mapping):
        return {name: _with_absolute_files(inner, directory) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_absolute_files(inner, directory) for inner in value]
    if not isinstance(value, str):
        return value
    return _FILE.sub(lambda match: f"{{file:{directory / Path(match[1].strip()).expanduser()}}}", value)
