"""`holdfast import env`: the known providers whose variables are set in this environment, each with that
variable as its key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..providers import presets
from .base import Found, Gathering, variable
from .read_files import variables_of


def read(path: Path | None, environ: Mapping[str, str] = os.environ) -> Found:
    """One entry for each preset; a PATH is a .env file to look into as well. Raises ConfigError when that
    cannot be read."""
    gathered = Gathering("env")
    set_by = variables_of(path) if path is not None else {}
    for name, row in presets.rows().items():
        there = [one for one in row.get("env", ()) if (environ.get(one) or set_by.get(one, "")).strip()]
        keys = [key for one in there if (key := variable(one, environ, set_by, str(path)))]
        if keys:
            gathered.add(
                name, {"preset": name}, keys[:1], "the environment" if keys[0].secret is None else str(path)
            )
        for more in there[1:]:
            gathered.leave(
                more,
                f"{there[0]} is taken for '{name}'; to use both: holdfast key add {name} --from env:{more}",
            )
    return gathered.found()
