"""The settings of the C library's allocator for a process that carries long bodies.

Without them glibc gives the memory of a prompt of 1 MB back to the system after each request, and the next
one finds every page unmapped: half of the time of a long prompt is spent on that."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from contextlib import suppress

# From malloc.h: the option and its value in bytes, by the variable with which a user sets it.
_OPTIONS = {
    "MALLOC_TRIM_THRESHOLD_": (-1, 128 * 1024 * 1024),
    "MALLOC_TOP_PAD_": (-2, 16 * 1024 * 1024),
    "MALLOC_MMAP_THRESHOLD_": (-3, 32 * 1024 * 1024),
}


def keep_freed_memory(environ: Mapping[str, str] = os.environ) -> bool:
    """Let the allocator keep what is freed, up to 128 MB at the end of its memory. What the user has set in
    `environ` stays. Return False where the C library has no such settings."""
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        options = [row for name, row in _OPTIONS.items() if not environ.get(name)]
        return all(mallopt(option, value) for option, value in options)
    return False
