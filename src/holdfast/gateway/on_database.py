"""The gateways that use one database, on whichever machines: each holds a lease there, whose owner says what
it is. `registry` lists those of one home; a home that cannot be written lists none.

A gateway takes its lease anew every `_EVERY` seconds, so that its clock can be compared with that of the
database. One that was killed is listed for `_LISTED` seconds more."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from ..core.errors import HoldfastError
from ..distribution import version
from ..store.base import Lease

_EVERY = 20.0
"""Seconds between two takings of the lease."""
MOST_SKEW = 2.0
"""Seconds by which a gateway's clock may differ from the database's."""
_LISTED = 60.0
_PLACES = tuple(f"gateway-{number}" for number in range(1, 65))
"""The names of the leases: as many gateways are listed at most, and as many rows are there."""


class Leases(Protocol):
    """As much of a store as this needs (`store.Store`)."""

    def lease(self, name: str, owner: str, ttl: float) -> Lease | None: ...
    def release(self, lease: Lease) -> None: ...
    def holder(self, name: str) -> Lease | None: ...


@dataclass(frozen=True, slots=True)
class DatabaseGateway:
    """A gateway that uses a database: its id, the host and port where it listens, its process there and its
    version. `ahead`: the seconds by which its clock is ahead of the database's."""

    instance: str
    address: str
    pid: int
    version: str
    ahead: float


class Presence:
    """The lease of one gateway. `facts` are what `DatabaseGateway` says of it. Both methods may block, and
    raise nothing: a database that is away is reported where it is needed."""

    def __init__(
        self, store: Leases, facts: dict[str, str | int], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store, self._facts, self._clock = store, facts, clock
        self._lease: Lease | None = None

    def renew(self) -> None:
        """Take the lease anew, at its place or the first that is free."""
        with suppress(HoldfastError):
            names = _PLACES
            if self._lease is not None:
                self._store.release(self._lease)
                names = (self._lease.name, *_PLACES)
            taken = (self._store.lease(name, self._owner(), _LISTED) for name in names)
            self._lease = next((lease for lease in taken if lease is not None), None)

    def end(self) -> None:
        """End the lease."""
        with suppress(HoldfastError):
            if self._lease is not None:
                self._store.release(self._lease)

    def _owner(self) -> str:
        return json.dumps({**self._facts, "now": self._clock()})


def facts_of(instance: str, port: int) -> dict[str, str | int]:
    """Return the facts of a gateway of this process, which listens on a port."""
    address = f"{socket.gethostname()}:{port}"
    return {"instance": instance, "address": address, "pid": os.getpid(), "version": version()}


async def stay_listed(presence: Presence, in_thread: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
    """Keep a gateway listed until this is cancelled."""
    try:
        while True:
            await in_thread(presence.renew)
            await asyncio.sleep(_EVERY)
    finally:
        await asyncio.shield(in_thread(presence.end))


def gateways_on(store: Leases) -> Iterator[DatabaseGateway]:
    """Yield the gateways that use a database. Raises StoreError."""
    for name in _PLACES:
        lease = store.holder(name)
        if lease is not None:
            with suppress(ValueError, KeyError, TypeError):
                facts = json.loads(lease.owner)
                ahead = facts.pop("now") - (lease.until - _LISTED)
                yield DatabaseGateway(**facts, ahead=ahead)
