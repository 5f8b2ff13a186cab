"""An exchange that is over in time. A time-out counts for each read, so a server that drips its head byte by
byte exceeds none."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock, Timer
from typing import Any, Self


class Deadline:
    """For as long as the context lasts, and `seconds` at most: then the connections that `trace` was told of
    are cut, which ends every read and write of them, and `over` says so. Names are looked up before there is
    a connection, and wait as long as the system does."""

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._twins: list[socket.socket] = []
        self._lock = Lock()
        self._timer = Timer(max(0.0, seconds), self._end)
        self._timer.daemon = True

    def trace(self, event: str, told: Mapping[str, Any]) -> None:
        """The request's extension of this name. A twin of the socket is kept, since TLS takes the first one
        over."""
        if event == "connection.connect_tcp.complete":
            with self._lock:
                self._twins.append(told["return_value"].get_extra_info("socket").dup())
                if self.over:
                    self._cut()

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for twin in self._twins:
                twin.close()
            self._twins.clear()

    def _end(self) -> None:
        with self._lock:
            self.over = True
            self._cut()

    def _cut(self) -> None:
        for twin in self._twins:
            with suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)
