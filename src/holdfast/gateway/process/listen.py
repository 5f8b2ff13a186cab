"""The sockets on which the gateway listens, bound before any worker is started.

On Linux every worker gets a listening socket of its own (SO_REUSEPORT), so that the kernel spreads
connections evenly; the supervisor keeps them all open, so that connections which wait in a killed worker's
queue are served by its successor. Elsewhere the workers share one socket.
"""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack, suppress

from ...config.listen import Listen
from ...core.errors import ConfigError

_BACKLOG = 4096
_MOST_FILES = 64 * 1024


def bind(listen: Listen, workers: int) -> list[socket.socket]:
    """Return a bound socket for each worker, on the given port; for port 0 on one that the system chooses.

    Raises ConfigError.
    """
    own = sys.platform == "linux"
    with ExitStack() as undo:
        try:
            first = undo.enter_context(_bound(listen, shared_later=own and workers > 1))
            listen_again = listen._replace(port=first.getsockname()[1])
            sockets = [first]
            for _ in range(workers - 1):
                another = first
                if own:
                    another = undo.enter_context(_bound(listen_again, shared=True))
                sockets.append(another)
            for sock in sockets:
                sock.listen(_BACKLOG)
                sock.setblocking(False)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {listen.host}:{listen.port}: {_reason(error)}", next_step=_step(listen)
            ) from None
        undo.pop_all()
    return sockets


def allow_many() -> None:
    """Raise this process's limit of open files to the system's hard limit, up to 65,536.

    The usual soft limit of 1,024 permits about 500 streams.
    """
    try:
        import resource
    except ImportError:  # no such limit here
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def open_files() -> int:
    """Return the number of files that this process may have open, 65,536 where it is more."""
    try:
        import resource
    except ImportError:  # no such limit here
        return _MOST_FILES
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _MOST_FILES
    return min(soft, _MOST_FILES)


def _bound(listen: Listen, *, shared: bool = False, shared_later: bool = False) -> socket.socket:
    """Return a socket that is bound to the address.

    `shared`: others may share the port. `shared_later`: only from now on, so that a port in use, also by
    another gateway, is noticed here.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
        if shared_later:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except BaseException:
        sock.close()
        raise
    return sock


def _reason(error: OSError) -> str:
    import errno

    known = {
        errno.EADDRINUSE: "the port is taken by another program",
        errno.EACCES: "you may not use this port",
        errno.EADDRNOTAVAIL: "this machine has no such address",
    }
    return known.get(error.errno or 0, error.strerror or str(error))


def _step(listen: Listen) -> str:
    host = listen.host
    if ":" in host:
        host = f"[{host}]"
    return f"holdfast serve --listen {host}:0   (any free port)"
