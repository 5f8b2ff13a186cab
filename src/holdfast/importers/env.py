"""`holdfast import env`: the known providers whose variables are set in this environment, each with that
variable as its key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..providers import presets
from .base import ImportResult, ResultBuilder, variable
from .read_files import variables_of


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> ImportResult:
    """Return one entry for each preset that has a variable; `path` is a .env file to read as well. Raises
    ConfigError when that cannot be read."""
    builder = ResultBuilder("env")
    set_by: Mapping[str, str] = {}
    if path is not None:
        set_by = variables_of(path)
    for preset, row in presets.rows().items():
        names = [name for name in row.get("env", ()) if (environ.get(name) or set_by.get(name, "")).strip()]
        if not names:
            continue
        first, *others = names
        key = variable(first, environ, set_by, str(path))
        if key is not None:
            location = "the environment"
            if key.secret is not None:
                location = str(path)
            builder.add(preset, {"preset": preset}, [key], location)
        for name in others:
            why = f"{first} is used for '{preset}'; to use both: holdfast key add {preset} --from env:{name}"
            builder.leave_out(name, why)
    return builder.result()
