"""Connections to providers, kept for the next request to the same origin."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .connect import UpstreamAddress, connect
from .errors import ReadError, UpstreamError
from .framing import HeaderNames
from .limits import HttpLimits
from .ports import Permitted, ResponseSink
from .turns import Turns
from .upstream_connection import UpstreamConnection


class Pool:
    """The connections to one address, the last one used first.

    `address` returns the address to dial, or raises UpstreamError, and `permitted` is the rule for what it
    resolves to; `names` the action for each header.
    """

    __slots__ = ("_address", "_permitted", "idle", "limits", "loop", "names", "open", "turns")

    def __init__(
        self,
        address: Callable[[], UpstreamAddress],
        permitted: Permitted,
        limits: HttpLimits,
        names: HeaderNames,
        turns: Turns,
    ) -> None:
        self._address, self._permitted, self.limits = address, permitted, limits
        self.names, self.turns, self.loop = names, turns, turns.loop
        self.idle: list[UpstreamConnection] = []
        self.open: set[UpstreamConnection] = set()

    def take(self) -> UpstreamConnection | None:
        """Return a kept connection, None where there is none."""
        while self.idle:
            connection = self.idle.pop()
            if connection.usable:
                return connection
        return None

    def put(self, connection: UpstreamConnection) -> None:
        """Keep a connection that is free."""
        now = self.loop.time()
        if len(self.idle) >= self.limits.pool_size or now - connection.born > self.limits.pool_age:
            connection.drop()
        else:
            connection.since = now
            self.idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """Remove a connection that is closed."""
        self.open.discard(connection)
        if connection in self.idle:
            self.idle.remove(connection)

    async def dial(self, sink: ResponseSink) -> None:
        """Open a connection for `sink`, which gets the connection or the error."""
        connection = UpstreamConnection(self)
        try:
            await connect(self._address(), lambda: connection, self.limits.connect, self._permitted)
        except UpstreamError as error:
            sink.failed(error)
            return
        self.open.add(connection)
        if connection.usable:
            sink.connected(connection)
        else:
            sink.failed(ReadError("the connection was closed as soon as it was opened"))

    def sweep(self, now: float) -> None:
        """Close the connections that have been idle for too long. `now` is the loop's time in seconds."""
        limit = now - self.limits.pool_idle
        while self.idle and self.idle[0].since < limit:
            self.idle.pop(0).drop()


class UpstreamPools:
    """The pools of one process, one for each origin (`scheme://host:port`).

    `names` returns the action for each header of an answer, `address_of` the address of an origin;
    `permitted` is the rule for what it resolves to.
    """

    def __init__(
        self,
        limits: HttpLimits,
        names: HeaderNames,
        address_of: Callable[[str], UpstreamAddress],
        permitted: Permitted,
    ) -> None:
        self._limits, self._names, self._address_of = limits, names, address_of
        self._permitted = permitted
        self._pools: dict[str, Pool] = {}
        self._turns: Turns | None = None

    def begin(self, turns: Turns) -> None:
        """Set the turns of the loop on which the connections live."""
        self._turns = turns

    def to(self, origin: str) -> Pool:
        """Return the pool of an origin."""
        pool = self._pools.get(origin)
        if pool is None:
            if self._turns is None:
                raise RuntimeError("the gateway does not serve yet")
            address = partial(self._address_of, origin)
            pool = Pool(address, self._permitted, self._limits, names=self._names, turns=self._turns)
            self._pools[origin] = pool
        return pool

    def limit(self, limits: HttpLimits) -> None:
        """Use other limits from now on."""
        self._limits = limits
        for pool in self._pools.values():
            pool.limits = limits

    def open(self) -> int:
        """Return the number of connections, idle ones included."""
        return sum(len(pool.open) for pool in [*self._pools.values()])

    def sweep(self, now: float) -> None:
        """Close the connections that have been idle for too long. `now` is the loop's time in seconds."""
        for pool in self._pools.values():
            pool.sweep(now)

    def close(self) -> None:
        """Cut all connections."""
        for pool in self._pools.values():
            for connection in [*pool.open]:
                connection.drop()
