"""Commands that start our own Python: the only place that writes one."""

from __future__ import annotations

import sys


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs one of our modules with the Python that runs now.

    With -P the working directory is not on its path: a package `holdfast` or a file `secrets.py` in a project
    is not run because a command of ours was started there.
    """
    return [sys.executable, "-P", "-m", module, *arguments]
