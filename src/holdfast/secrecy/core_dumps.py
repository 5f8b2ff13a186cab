"""No core dump of a process of ours: it would hold every key that was read.

Linux alone can also keep other programs of the same user out of a process's memory. Elsewhere, and for a core
pattern that obeys the limit, the limit has to do.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PR_SET_DUMPABLE = 4
_chosen: list[tuple[int, int]] = []
"""The user's own limit, once it was lowered."""


def forbid_core_dumps() -> None:
    """Let this process leave no core dump, from now on and in its forks; with HOLDFAST_DEBUG=1 it may."""
    if _chosen or os.environ.get("HOLDFAST_DEBUG") == "1":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    _chosen.append((soft, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if sys.platform == "linux":
        import ctypes  # takes milliseconds

        with suppress(OSError, AttributeError):  # a C library without it
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


@contextmanager
def users_core_limit() -> Iterator[None]:
    """Give the user's own limit back for as long as a program of theirs is started, which inherits it."""
    if not _chosen:
        yield
        return
    resource.setrlimit(resource.RLIMIT_CORE, _chosen[0])
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (0, _chosen[0][1]))
