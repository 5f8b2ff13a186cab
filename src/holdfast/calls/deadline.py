"""A deadline for a whole exchange.

A time-out counts for each read, so a server that sends its head byte by byte never exceeds one.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock, Timer
from typing import Any, Self


class Deadline:
    """A context that lasts for `seconds` at most. Then it cuts the connections that `trace` has seen, which
    ends every read and write of them, and sets `over`.

    Host names are resolved before there is a connection, and take as long as the system allows.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.over = False
        self._sockets: list[socket.socket] = []
        self._lock = Lock()
        self._timer = Timer(max(0.0, seconds), self._end)
        self._timer.daemon = True

    def trace(self, event: str, details: Mapping[str, Any]) -> None:
        """Keep a new connection, to cut it in time. This is the extension `trace` of a request.

        What is kept is a duplicate of the socket, since TLS takes the original over.
        """
        if event == "connection.connect_tcp.complete":
            with self._lock:
                self._sockets.append(details["return_value"].get_extra_info("socket").dup())
                if self.over:
                    self._cut()

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for duplicate in self._sockets:
                duplicate.close()
            self._sockets.clear()

    def _end(self) -> None:
        with self._lock:
            self.over = True
            self._cut()

    def _cut(self) -> None:
        for duplicate in self._sockets:
            with suppress(OSError):
                duplicate.shutdown(socket.SHUT_RDWR)
