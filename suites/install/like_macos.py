"""Takes from a Linux what macOS lacks, and says that this is macOS.

Every interpreter of an environment runs it at its start, by a .pth file. It cannot show what other file
systems do, a system without /proc, shorter names of sockets, or launchd."""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import select
import signal
import socket
import sys
import types
from typing import Any

LACKS: dict[types.ModuleType, str] = {
    os: "O_PATH O_TMPFILE copy_file_range eventfd fdatasync memfd_create pidfd_open pipe2 posix_fadvise "
    "posix_fallocate sched_getaffinity sched_setaffinity splice",
    socket: "MSG_NOSIGNAL SO_DOMAIN SO_PEERCRED SO_PROTOCOL TCP_CORK TCP_DEFER_ACCEPT TCP_KEEPIDLE "
    "TCP_QUICKACK TCP_USER_TIMEOUT",
    fcntl: "F_GETLEASE F_NOTIFY F_OFD_SETLK F_SETLEASE F_SETPIPE_SZ F_SETSIG",
    select: "epoll",
    signal: "SIGPWR SIGRTMAX SIGRTMIN SIGSTKFLT pidfd_send_signal sigtimedwait sigwaitinfo",
    resource: "prlimit",
}
_OF_THE_C_LIBRARY = ("mallopt", "prctl", "renameat2")
_look_up = ctypes.CDLL.__getattr__


def _function(library: ctypes.CDLL, name: str) -> Any:
    if name in _OF_THE_C_LIBRARY:
        raise AttributeError(name)
    return _look_up(library, name)


def _proxies() -> types.ModuleType:
    """Return the module that asks macOS for the user's proxies, where there are none."""
    module: Any = types.ModuleType("_scproxy")
    module._get_proxies = dict
    module._get_proxy_settings = lambda: {"exclude_simple": False, "exceptions": []}
    return module  # type: ignore[no-any-return]


for _module, _names in LACKS.items():
    for _name in _names.split():
        if hasattr(_module, _name):
            delattr(_module, _name)
ctypes.CDLL.__getattr__ = _function  # type: ignore[method-assign]
sys.modules["_scproxy"] = _proxies()
sys.platform = "darwin"
