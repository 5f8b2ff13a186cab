"""The connections on which no token was shown yet: their number, their memory and their time are bounded, so
that nobody without a token takes the gateway from those who have one.

Where there are too many, the oldest is closed: who has a token shows it with the first bytes.
"""

from __future__ import annotations

import logging
import math
from typing import Protocol

from .limits import HttpLimits

_log = logging.getLogger("holdfast.gateway")
_REPORT_EVERY = 60.0
_FULL = "more than %d connections without a token are open, and the oldest are closed"


class Admission(Protocol):
    """The decision about a request. `authenticated`: a good token was shown."""

    @property
    def authenticated(self) -> bool: ...


class LimitedConnection(Protocol):
    """A client's connection as it is ended here."""

    @property
    def busy(self) -> bool:
        """True while a request is under way."""
        ...

    def hold_unsent(self, most: int) -> None:
        """Hold up to `most` bytes that a slow reader has not taken, before it is waited for."""
        ...

    def retire(self) -> None:
        """Take no further request; close at once if none is under way."""
        ...

    def cut(self) -> None:
        """Close at once, whatever is under way."""
        ...


class Unauthenticated:
    """The connections without a token, each with the time when it was opened, in seconds of the loop's clock.

    Most bursts are of clients whose first request is on its way, so a connection that was silent so far costs
    nothing but itself and may wait among many; those that sent bytes are few, since these bytes are held.
    """

    __slots__ = ("_limits", "_reported", "_silent", "_spoke")

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._silent: dict[LimitedConnection, float] = {}
        self._spoke: dict[LimitedConnection, float] = {}
        self._reported = -math.inf

    def __len__(self) -> int:
        return len(self._silent) + len(self._spoke)

    def __contains__(self, connection: LimitedConnection) -> bool:
        return connection in self._silent or connection in self._spoke

    def add(self, connection: LimitedConnection, now: float) -> None:
        """Add a connection that was just opened."""
        self._make_room(self._silent, self._limits.silent_connections, now)
        self._silent[connection] = now
        connection.hold_unsent(self._limits.unauthenticated_high_water)

    def discard(self, connection: LimitedConnection) -> None:
        """Forget a connection that is closed, or that has shown a token."""
        self._silent.pop(connection, None)
        self._spoke.pop(connection, None)

    def spoke(self, connection: LimitedConnection, now: float) -> None:
        """Note that bytes came on a connection, but no token."""
        opened = self._silent.pop(connection, None)
        if opened is not None:
            self._make_room(self._spoke, self._limits.unauthenticated_connections, now)
            self._spoke[connection] = opened

    def admitted(
        self, connection: LimitedConnection, admission: Admission, now: float, *, alone: bool
    ) -> bool:
        """Take note of a request, with or without a token. Return whether its connection may send another.

        Without a token it may not if it sends the next one before the answer (it is not `alone`), nor in the
        second half of its time: so it ends with an answer that says so, not while a request is on its way.
        """
        if connection not in self:
            return True
        if admission.authenticated:
            self.discard(connection)
            connection.hold_unsent(self._limits.high_water)
            return True
        self.spoke(connection, now)
        return alone and now - self._spoke[connection] < self._limits.unauthenticated / 2

    def end_overdue(self, now: float) -> None:
        """End the connections whose time is over: after the answer that is under way, if there is one."""
        for connections in (self._silent, self._spoke):
            for connection, opened in [*connections.items()]:
                over = now - opened - self._limits.unauthenticated
                if over >= self._limits.linger and not connection.busy:
                    connection.cut()
                elif over >= 0:
                    connection.retire()

    def _make_room(self, connections: dict[LimitedConnection, float], most: int, now: float) -> None:
        if len(connections) < most:
            return
        oldest = next(iter(connections))
        del connections[oldest]
        oldest.cut()
        if now - self._reported >= _REPORT_EVERY:
            self._reported = now
            _log.warning(_FULL, most)
