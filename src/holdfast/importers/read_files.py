"""Files of other programs, read within bounds and without trust: size, nesting, aliases and file kinds are
limited, YAML makes plain values only. A refusal names the file and the line, never a word of what stands
there: it may be a key."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._files import quoted, read_text
from ..core.errors import ConfigError
from ..distribution import install_command
from ..harness import jsonc

LONGEST, LONGEST_SLOW = 1024 * 1024, 256 * 1024
"""How many bytes are read of a file; the second of YAML and TOML, whose parsers take seconds for a
megabyte."""
_MOST_DOTS = 200  # in one line: the time for a dotted name grows with the square of its parts
_DEEPEST, _MOST = 64, 100_000
_DOTENV = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=(.*)", re.ASCII)


class _NotRead(ValueError):
    """Why a text cannot be read, in words that quote nothing of it."""


def text_of(path: Path) -> str | None:
    """Return what stands in a regular file of at most LONGEST bytes of UTF-8; None when there is none. Raises
    ConfigError."""
    return read_text(path, LONGEST, ours=False) if os.path.lexists(path) else None


def table_of(path: Path) -> dict[str, Any] | None:
    """The table that a YAML, JSON (with comments) or TOML file holds, by its suffix; None without the file.
    Raises ConfigError."""
    text = text_of(path)
    if text is None:
        return None
    if path.suffix in (".yaml", ".yml", ".toml") and len(text.encode()) > LONGEST_SLOW:
        what = f"{path} is longer than {LONGEST_SLOW} bytes, which no configuration in this format is"
        raise ConfigError(what, next_step=f"ls -l {quoted(path)}")
    read = {".yaml": _yaml, ".yml": _yaml, ".toml": _toml}.get(path.suffix, _json)
    try:
        found = read(text)
        found = {} if found is None else found
        _measure(found)
    except RecursionError:
        raise _wrong(path, "is nested too deeply to be read") from None
    except _NotRead as error:
        raise _wrong(path, str(error)) from None
    except (
        ValueError,
        ArithmeticError,
    ):  # a number beyond Python's bounds, an impossible date: the words may quote it
        raise _wrong(path, "holds a value that cannot be read") from None
    if not isinstance(found, dict):
        raise _wrong(path, "is not a table of settings")
    return found


def _wrong(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"{path} {what}; nothing was taken from it", next_step=f"${{EDITOR:-vi}} {quoted(path)}"
    )


def _json(text: str) -> Any:
    try:
        return jsonc.parse(text)
    except jsonc.MalformedJsonc as error:
        raise _NotRead(f"is not JSON near line {error.line}") from None


def _toml(text: str) -> Any:
    import tomllib

    if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        raise _NotRead("has a name of more parts than belong into a configuration")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"\(at (.*)\)$", str(error))
        raise _NotRead(f"is not TOML{f' at {line[1]}' if line else ''}") from None


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ModuleNotFoundError:
        raise ConfigError(
            "reading YAML needs the package 'pyyaml'", next_step=install_command("import")
        ) from None

    class Loader(yaml.SafeLoader):
        """Plain values only, and no merge (`<<`) that multiplies without end."""

        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            if len(node.value) > _MOST:
                raise _NotRead("merges more than belongs into a configuration")

    try:
        return yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise _NotRead("is not plain YAML" + (f" near line {mark.line + 1}" if mark else "")) from None
    except (yaml.YAMLError, TypeError, AttributeError):
        raise _NotRead("is not plain YAML") from None


def _measure(value: object) -> None:
    """Raises ValueError for what is small on disk and endless when it is walked: aliases of aliases, or a
    loop of them."""
    todo, seen = [(value, 0)], 0
    while todo:
        one, depth = todo.pop()
        seen += 1
        if depth > _DEEPEST or seen > _MOST:
            raise _NotRead("holds more, or deeper, than belongs into a configuration")
        inner = one.values() if isinstance(one, Mapping) else one if isinstance(one, list) else ()
        todo += [(each, depth + 1) for each in inner]


def variables_of(path: Path) -> dict[str, str]:
    """NAME=value lines of a .env file; quotes and trailing comments go. Nothing in it is executed or
    expanded."""
    found: dict[str, str] = {}
    for line in (text_of(path) or "").splitlines():
        if match := _DOTENV.fullmatch(line.strip()):
            name, value = match[1], match[2].strip()
            quote = value[:1] if value[:1] in ("'", '"') else ""
            found[name] = (
                value[1:].partition(quote)[0] if quote else re.split(r"\s#", value, maxsplit=1)[0].rstrip()
            )
    return found


def mapping(value: object) -> Mapping[str, Any]:
    """`value` if it is a table, else an empty one: a wrong type means that nothing was said there."""
    return {str(name): one for name, one in value.items()} if isinstance(value, Mapping) else {}


def word(value: object) -> str:
    """`value` if it is text, without surrounding space, else ""."""
    return value.strip() if isinstance(value, str) else ""


def words(value: object) -> tuple[str, ...]:
    """The names in a list of strings or of tables with `id` or `name`, or the names of a table; each once."""
    if isinstance(value, Mapping):
        return tuple(dict.fromkeys(str(name) for name in value))
    rows = value if isinstance(value, list) else []
    names = (word(one) or word(mapping(one).get("id")) or word(mapping(one).get("name")) for one in rows)
    return tuple(dict.fromkeys(name for name in names if name))
