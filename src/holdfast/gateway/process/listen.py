"""The sockets on which the gateway listens, bound before any worker is started.

On Linux every worker gets a listening socket of its own (SO_REUSEPORT), so that the kernel spreads
connections evenly; the supervisor keeps them all, so that connections which wait in a killed worker's queue
are served by its successor. Elsewhere the workers share one socket."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack, suppress

from ...core.config import Listen
from ...core.errors import ConfigError

_BACKLOG = 4096
_MOST_FILES = 64 * 1024


def bind(listen: Listen, workers: int) -> list[socket.socket]:
    """A bound socket for each worker; their port is the one that was given, or the one that the system chose.
    Raises ConfigError."""
    own = sys.platform == "linux"
    with ExitStack() as undo:
        try:
            first = undo.enter_context(_bound(listen, shared_later=own and workers > 1))
            port = first.getsockname()[1]
            found = [
                first,
                *(
                    undo.enter_context(_bound(listen._replace(port=port), shared=True)) if own else first
                    for _ in range(workers - 1)
                ),
            ]
            for one in found:
                one.listen(_BACKLOG)
                one.setblocking(False)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {listen.host}:{listen.port}: {_reason(error)}", next_step=_step(listen)
            ) from None
        undo.pop_all()
    return found


def allow_many() -> None:
    """Let this process hold as many connections as the system's hard limit permits: the usual soft limit of
    1,024 files is 500 streams."""
    try:
        import resource
    except ImportError:  # no such limit here
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _bound(listen: Listen, *, shared: bool = False, shared_later: bool = False) -> socket.socket:
    """The first socket is bound alone, so that a port in use is noticed, also one of another gateway; then it
    lets the others join."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(address)
        if shared_later:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except BaseException:
        made.close()
        raise
    return made


def _reason(error: OSError) -> str:
    import errno

    known = {
        errno.EADDRINUSE: "the port is taken by another program",
        errno.EACCES: "you may not use this port",
        errno.EADDRNOTAVAIL: "this machine has no such address",
    }
    return known.get(error.errno or 0, error.strerror or str(error))


def _step(listen: Listen) -> str:
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"holdfast serve --listen {host}:0   (any free port)"
