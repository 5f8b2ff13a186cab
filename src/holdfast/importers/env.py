"""`holdfast import env`: the known providers whose variables are set in this environment, each with that
variable as its key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..providers import presets
from .addresses import OfPreset
from .base import ResultBuilder
from .entries import ImportResult
from .keys import KeyReader, NoKey
from .read_files import variables_of


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return one entry for each preset that has a variable; `path` is a .env file to read as well. Raises
    ConfigError when that cannot be read."""
    set_by: Mapping[str, str] = {}
    if path is not None:
        set_by = variables_of(path)
    reader = KeyReader(environ, set_by, str(path))
    builder = ResultBuilder("env", reader, honours_base_urls=True)
    for preset, row in presets.rows().items():
        names = [name for name in row.get("env", ()) if reader.value(name)]
        if not names:
            continue
        first, *others = names
        key = reader.found(first)
        if isinstance(key, NoKey):
            builder.leave_out(first, key.why)
            continue
        builder.add(preset, OfPreset(preset), [key], location=key.location or "the environment")
        for name in others:
            why = f"{first} is used for '{preset}'; to use both: holdfast key add {preset} --from env:{name}"
            builder.leave_out(name, why)
    return builder.result()
