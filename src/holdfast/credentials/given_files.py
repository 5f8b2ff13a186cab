"""Files that are given to this user to read: mounted secrets and configurations."""

from __future__ import annotations

import os
from pathlib import Path

from .._files import trusted_owners


def is_given(path: Path, status: os.stat_result) -> bool:
    """Return whether this user may read a file or directory but not change it: it is root's, or on a file
    system that is read-only here. `status` is that of `path`, links followed. Raises OSError."""
    owners = trusted_owners()
    if not owners:
        return False
    return status.st_uid != owners[0] or bool(os.statvfs(path).f_flag & os.ST_RDONLY)
