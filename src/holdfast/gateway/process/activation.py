"""Listening sockets that systemd opened for this process (socket activation, sd_listen_fds(3)).

systemd keeps them open while no gateway runs: who connects meanwhile waits, and is not refused."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from ...config.listen import Listen
from ...core.errors import ConfigError

_FIRST = 3
"""The first of the files that systemd passes on."""
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def passed_sockets(environ: MutableMapping[str, str] = os.environ) -> list[socket.socket]:
    """Return the sockets that were opened for this process, and remove what says so from `environ`: it holds
    for no child. Raises ConfigError for one that is no listening TCP socket."""
    pid, number, _ = [environ.pop(name, "") for name in _VARIABLES]
    if pid != str(os.getpid()) or not number.isdigit():
        return []
    sockets = [socket.socket(fileno=handle) for handle in range(_FIRST, _FIRST + int(number))]
    for sock in sockets:
        sock.set_inheritable(False)
        sock.setblocking(False)
        inet = sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM
        if not inet or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise ConfigError(
                "a socket that systemd passed on is no listening TCP socket",
                next_step="systemctl cat holdfast.socket   (ListenStream= has to be an address and a port)",
            )
    return sockets


def address_of(sock: socket.socket) -> Listen:
    """Return the address on which a socket listens."""
    return Listen(*sock.getsockname()[:2])
