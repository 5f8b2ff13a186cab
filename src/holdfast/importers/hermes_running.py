"""The programs that use a Hermes home now, as far as another process can see them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..core.errors import ConfigError, HoldfastError
from .read_files import mapping, table_of

STOP_HERMES = "hermes gateway stop   (and leave its other programs), then run this again"
"""The next step for the user while hermes runs."""
_START_TIME = 19
"""Index of a process's start (in clock ticks) among the fields of /proc/PID/stat that follow its name."""


class InUse(HoldfastError):
    """Another program has the file open, so nothing was changed."""


def refuse_while_running(home: Path) -> None:
    """Raise InUse when another program uses the home."""
    who = running(home)
    if who:
        raise InUse(f"{who}; nothing was changed", next_step=STOP_HERMES)


def running(home: Path) -> str:
    """Return in words who uses the home: a live gateway by its pid file, or programs that have the database
    open (Linux only); "" when no one is seen."""
    try:
        record = mapping(table_of(home / "gateway.pid"))
    except ConfigError:
        record = {}
    pid = record.get("pid")
    if isinstance(pid, int) and pid > 0 and _lives(pid, record.get("start_time")):
        return f"the gateway runs (pid {pid})"
    database = os.path.realpath(home / "state.db")
    holders = [str(pid) for pid in _pids() if database in _open_files(pid)]
    if holders:
        return f"process {', '.join(holders)} has {database} open"
    return ""


def _lives(pid: int, started: object) -> bool:
    """Return whether the noted process is alive. The system uses a pid again, so its start (`started`, in
    clock ticks, None if it was not noted) has to agree as well where it can be read."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass  # it lives, and belongs to another user
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
        return started in (None, int(after_name.split()[_START_TIME]))
    except (OSError, ValueError, IndexError):
        return True


def _pids() -> list[int]:
    """Return the ids of all processes but this one; none where there is no /proc."""
    names: list[str] = []
    with suppress(OSError):
        names = [path.name for path in Path("/proc").iterdir()]
    return [int(name) for name in names if name.isdecimal() and int(name) != os.getpid()]


def _open_files(pid: int) -> Iterator[str]:
    with suppress(OSError):
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                yield str(handle.readlink())
