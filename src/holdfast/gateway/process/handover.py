"""Passes the listening sockets of a gateway that runs on to the one that replaces it (`serve --replace`).

Each gateway of `holdfast serve` waits at a Unix socket in its home's directory of state, where no other user
can come. Its replacement connects there and gets the same listening sockets (SCM_RIGHTS). Both accept
connections, until the replacement says that it does; then the first one closes its own copies and lets
running answers end. If the replacement ends before, nothing has changed. The sockets themselves are never
closed, so that no connection is refused, nor lost in a queue.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ...config.listen import Listen
from ...core.errors import ConfigError
from ..registry import RunningGateway, handover_socket, root_url, standing

REPLACED = signal.SIGUSR1
"""The signal by which a supervisor tells its workers that another gateway accepts at their sockets."""
_PATIENCE = 5.0
"""Seconds in which a gateway has to pass on its sockets."""
_AT_ONCE = 64
"""Sockets in one message; Linux allows 253."""
_MOST = 4096
_LONGEST_NAME = 104
"""Bytes in the name of a Unix socket, with the one that ends it: on macOS; Linux has 108."""
_READY = b"ready\n"
_CLOSED_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
_CREDENTIALS = struct.Struct("3i")


class SocketOffer:
    """The listening sockets of this process, for its replacement.

    It never waits: `step` is called when one of `watched` can be read.
    """

    def __init__(self, listener: socket.socket, host: str, sockets: Sequence[socket.socket]) -> None:
        self._listener, self._host, self._sockets = listener, host, sockets
        self._taker: socket.socket | None = None

    @property
    def watched(self) -> list[socket.socket]:
        """The sockets that say when there is something to do."""
        return [sock for sock in (self._listener, self._taker) if sock is not None and sock.fileno() >= 0]

    def step(self) -> bool:
        """Answer a replacement. Return True once it accepts connections itself."""
        with suppress(OSError):
            sock, _ = self._listener.accept()
            self._meet(sock)
        if self._taker is None:
            return False
        try:
            text = self._taker.recv(_MOST)
        except BlockingIOError:
            return False
        except OSError:
            text = b""
        self._taker.close()
        self._taker = None
        return text == _READY

    def close(self) -> None:
        """Wait for no replacement any more."""
        for sock in self.watched:
            sock.close()

    def _meet(self, sock: socket.socket) -> None:
        """Pass the sockets on to a replacement of the same user, if there is no other one at the time."""
        sock.setblocking(False)
        if self._taker is not None or not _is_ours(sock):
            sock.close()
            return
        self._taker = sock
        head = {"host": self._host, "sockets": len(self._sockets)}
        handles = [listening.fileno() for listening in self._sockets]
        try:
            sock.sendall(f"{json.dumps(head)}\n".encode())
            for start in range(0, len(handles), _AT_ONCE):
                socket.send_fds(sock, [b"+"], handles[start : start + _AT_ONCE])
        except OSError:
            sock.close()
            self._taker = None


@contextmanager
def offered(state: Path, instance: str, host: str, sockets: Sequence[socket.socket]) -> Iterator[SocketOffer]:
    """Offer `sockets` to a replacement until the end of the block; `host` is the address as it was written.
    Where the home cannot be written, nobody will come."""
    path = handover_socket(state, instance)
    with socket.socket(socket.AF_UNIX) as listener:
        offer = SocketOffer(listener, host, sockets)
        with suppress(OSError), _within_reach(path) as near:
            listener.bind(near)
            path.chmod(0o600)
            listener.listen()
        listener.setblocking(False)
        try:
            yield offer
        finally:
            offer.close()
            with suppress(OSError):
                path.unlink()


class Predecessor(NamedTuple):
    """The gateway that is being replaced: `sockets` are the ones on which it listens at `listen`."""

    gateway: RunningGateway
    listen: Listen
    sockets: list[socket.socket]
    control: socket.socket

    def end(self) -> None:
        """Tell it that its sockets are served."""
        with suppress(OSError), self.control:
            self.control.sendall(_READY)


def find_predecessor(state: Path, url: str, *, only: bool) -> Predecessor | None:
    """Take over the sockets of the gateway of this home at the root URL `url`, or unless it has to be there
    and nowhere else (`only`), of the only one that runs. Return None where there is none.

    Raises ConfigError where several could be meant, or it does not pass them on.
    """
    gateways = [entry for entry in standing(state) if not entry.draining]
    if gateways and not only:
        url = root_url(gateways, url)
    for entry in gateways:
        if entry.url == url:
            return _taken_from(state, entry)
    return None


def _taken_from(state: Path, gateway: RunningGateway) -> Predecessor:
    control = socket.socket(socket.AF_UNIX)
    control.settimeout(_PATIENCE)
    try:
        with _within_reach(handover_socket(state, gateway.instance)) as near:
            control.connect(near)
        host, sockets = _received(control)
    except (OSError, ValueError, KeyError):
        control.close()
        raise ConfigError(
            f"the gateway at {gateway.url} (process {gateway.pid}, version {gateway.version}) does not pass "
            "on its sockets: it is too old for that, or is being replaced already",
            next_step=f"kill {gateway.pid}   (then: holdfast serve)",
        ) from None
    return Predecessor(gateway, Listen(host, sockets[0].getsockname()[1]), sockets, control)


def _received(control: socket.socket) -> tuple[str, list[socket.socket]]:
    """Read the offer of a gateway. Raises OSError, ValueError or KeyError where it makes none."""
    text, handles = b"", list[int]()
    try:
        while True:
            head, _, marks = text.partition(b"\n")
            if marks and len(handles) == json.loads(head)["sockets"]:
                break
            piece, more, _, _ = socket.recv_fds(control, _MOST, _AT_ONCE, _CLOSED_ON_EXEC)
            handles += more
            text += piece
            if not piece or not _is_ours(control) or len(text) > _MOST:
                raise ConnectionRefusedError
        return str(json.loads(head)["host"]), [socket.socket(fileno=handle) for handle in handles]
    except (OSError, ValueError, KeyError):
        for handle in handles:
            os.close(handle)
        raise


def _is_ours(sock: socket.socket) -> bool:
    """Return whether the other side is a process of the same user. Where the system does not tell, the
    directory has to do: nobody else can enter it."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    payload = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(payload)
    return bool(user == os.geteuid())


@contextmanager
def _within_reach(path: Path) -> Iterator[str]:
    """Give a name of `path` that is short enough for the address of a Unix socket. Raises OSError."""
    if len(os.fsencode(path)) < _LONGEST_NAME:
        yield str(path)
        return
    if sys.platform != "linux":
        with tempfile.TemporaryDirectory(prefix="hf-", dir="/tmp") as short:
            link = Path(short, "d")
            link.symlink_to(path.parent)
            yield str(link / path.name)
        return
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{handle}/{path.name}"
    finally:
        os.close(handle)
