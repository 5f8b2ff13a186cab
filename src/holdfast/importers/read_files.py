"""Files of other programs, read within bounds and without trust: size, nesting, aliases and file kinds are
limited, YAML makes plain values only. A refusal names the file and the line and quotes nothing of them: it
may be a key."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .._files import quoted, read_text
from ..core.errors import ConfigError
from ..distribution import install_command
from ..harness import jsonc
from . import dotenv
from .json5 import NotJson5, as_json

LONGEST = 1024 * 1024
"""Most bytes of a file that is read."""
LONGEST_SLOW = 256 * 1024
"""Most bytes of a YAML or TOML file, whose parsers take seconds for a megabyte."""
_SLOW_SUFFIXES = (".yaml", ".yml", ".toml")
_MOST_DOTS = 200  # in one line: the time for a dotted name grows with the square of its parts
_DEEPEST = 64
_MOST_VALUES = 100_000


class _NotRead(ValueError):
    """A text cannot be read; the message quotes nothing of it."""


def text_of(path: Path) -> str | None:
    """Return the text of a regular file of at most LONGEST bytes of UTF-8; None when there is none. Raises
    ConfigError."""
    if not os.path.lexists(path):
        return None
    return read_text(path, LONGEST, ours=False)


def file_at(path: Path, name: str) -> Path:
    """Return the file `name` in the directory at `path`, else `path` itself."""
    if path.is_dir():
        return path / name
    return path


def table_of(path: Path) -> dict[str, Any] | None:
    """Return the table in a YAML, JSON (with comments) or TOML file, by its suffix; None without the file.
    Raises ConfigError."""
    return _as_table(path, _value_of(path, _PARSERS.get(path.suffix, _json)))


def json5_of(path: Path) -> dict[str, Any] | None:
    """Return the table in a JSON5 file; None without the file. Raises ConfigError."""
    return _as_table(path, _value_of(path, _json5))


def list_of(path: Path) -> list[Any] | None:
    """Return the list in a YAML or JSON file; None without the file. Raises ConfigError."""
    value = _value_of(path, _PARSERS.get(path.suffix, _json))
    if value is None or isinstance(value, list):
        return value
    if not value:
        return []
    raise _wrong(path, "is not a list of settings")


def toml_in(text: str) -> dict[str, Any] | None:
    """Return the table in a text of TOML, as another file has it in a value; None for anything else."""
    try:
        table: dict[str, Any] = _toml(text)
        _measure(table)
    except (ValueError, ArithmeticError, RecursionError):
        return None
    return table


def _as_table(path: Path, value: Any) -> dict[str, Any] | None:
    if value is None or isinstance(value, dict):
        return value
    raise _wrong(path, "is not a table of settings")


def _value_of(path: Path, parse: Callable[[str], Any]) -> Any:
    """Return the value in a file, an empty table for an empty file; None without the file. Raises
    ConfigError."""
    text = text_of(path)
    if text is None:
        return None
    if path.suffix in _SLOW_SUFFIXES and len(text.encode()) > LONGEST_SLOW:
        what = f"{path} is longer than {LONGEST_SLOW} bytes, which no configuration in this format is"
        raise ConfigError(what, next_step=f"ls -l {quoted(path)}")
    try:
        value = parse(text)
        _measure(value)
    except RecursionError:
        raise _wrong(path, "is nested too deeply to be read") from None
    except _NotRead as error:
        raise _wrong(path, str(error)) from None
    except (ValueError, ArithmeticError):
        # A number beyond Python's bounds, an impossible date: the error's own words may quote it.
        raise _wrong(path, "holds a value that cannot be read") from None
    if value is None:
        return {}
    return value


def variables_of(path: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that a .env file sets, with its references replaced, also by `environ`. Nothing in
    it is executed."""
    return dotenv.parse(text_of(path) or "", environ or {})


def mapping(value: object) -> Mapping[str, Any]:
    """Return `value` if it is a table, else an empty one: a value of a wrong type counts as missing."""
    if not isinstance(value, Mapping):
        return {}
    return {str(name): inner for name, inner in value.items()}


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return two configurations as one; `above` wins, table by table."""
    result = dict(below)
    for name, value in above.items():
        own = result.get(name)
        result[name] = value
        if isinstance(own, Mapping) and isinstance(value, Mapping):
            result[name] = merged(own, value)
    return result


def word(value: object) -> str:
    """Return `value` without surrounding space if it is text, else ""."""
    if not isinstance(value, str):
        return ""
    return value.strip()


def words(value: object) -> tuple[str, ...]:
    """Return the names in a list of strings or of tables with `id` or `name`, or the names of a table; each
    once."""
    if isinstance(value, Mapping):
        return tuple(dict.fromkeys(map(str, value)))
    if not isinstance(value, list):
        return ()
    names = (word(row) or word(mapping(row).get("id")) or word(mapping(row).get("name")) for row in value)
    return tuple(dict.fromkeys(filter(None, names)))


def _wrong(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"{path} {what}; nothing was taken from it", next_step=f"${{EDITOR:-vi}} {quoted(path)}"
    )


def _json(text: str) -> Any:
    try:
        return jsonc.parse(text)
    except jsonc.MalformedJsonc as error:
        raise _NotRead(f"is not JSON near line {error.line}") from None


def _json5(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(as_json(text))
    except NotJson5 as error:
        raise _NotRead(str(error)) from None
    except json.JSONDecodeError as error:
        raise _NotRead(f"is not JSON5 near line {error.lineno}") from None


def _toml(text: str) -> Any:
    import tomllib

    if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        raise _NotRead("has a name of more parts than a configuration has")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what = "is not TOML"
        position = re.search(r"\(at (.*)\)$", str(error))
        if position is not None:
            what += f" at {position[1]}"
        raise _NotRead(what) from None


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ModuleNotFoundError:
        raise ConfigError(
            "reading YAML needs the package 'pyyaml'", next_step=install_command("import")
        ) from None

    class Loader(yaml.SafeLoader):
        """Builds plain values only, and refuses a merge (`<<`) that multiplies without end."""

        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            if len(node.value) > _MOST_VALUES:
                raise _NotRead("merges more values than a configuration has")

    try:
        # Loader is a SafeLoader.
        return yaml.load(text, Loader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        what = "is not plain YAML"
        if error.problem_mark is not None:
            what += f" near line {error.problem_mark.line + 1}"
        raise _NotRead(what) from None
    except (yaml.YAMLError, TypeError, AttributeError):
        raise _NotRead("is not plain YAML") from None


_PARSERS = {".yaml": _yaml, ".yml": _yaml, ".toml": _toml}
"""How to parse a file, by its suffix; JSON with comments for all others."""


def _measure(value: object) -> None:
    """Raise ValueError for a value that is small on disk and endless when it is walked: aliases of aliases,
    or a loop of them."""
    todo: list[tuple[object, int]] = [(value, 0)]
    seen = 0
    while todo:
        item, depth = todo.pop()
        seen += 1
        if depth > _DEEPEST or seen > _MOST_VALUES:
            raise _NotRead("holds more values, or deeper ones, than a configuration has")
        if isinstance(item, Mapping):
            todo += [(inner, depth + 1) for inner in item.values()]
        elif isinstance(item, list):
            todo += [(inner, depth + 1) for inner in item]
