"""The JSON Schema of holdfast.toml, by which an editor completes and checks the file.

A copy of it is beside the file, and a line in the file names the copy."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from .._files import locked, write_private
from .home import Home, byte_order_mark, read
from .toml_text import with_line_ends_of

NAME = "holdfast.schema.json"
LINE = f"#:schema ./{NAME}"
"""What editors look for at the top of a TOML file."""


def text() -> str:
    """Return the schema of this version."""
    return files("holdfast.config").joinpath(NAME).read_text("utf-8")


def path_of(home: Home) -> Path:
    """Return where the copy is."""
    return home.config.with_name(NAME)


def put(home: Home) -> None:
    """Write the copy beside holdfast.toml, and the line that names it into a file that names none. Raises
    ConfigError."""
    write_private(path_of(home), text())
    with locked(home.config):
        before = read(home.config)
        if before and not any(line.startswith("#:schema ") for line in before.splitlines()):
            after = with_line_ends_of(before, f"{LINE}\n\n{before}")
            write_private(home.config, byte_order_mark(home.config) + after)


def renew(home: Home) -> None:
    """Bring a copy that is there up to date. Raises ConfigError."""
    if path_of(home).exists() and path_of(home).read_text("utf-8", "replace") != text():
        write_private(path_of(home), text())
