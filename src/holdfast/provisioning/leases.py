"""One process at a time takes the steps of a record: it holds a lease in the store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..core.errors import NotReady
from ..core.provisioning_state import Record
from .ports import Records

_LEASE = 120.0
"""Seconds: longer than all requests of one step together, or two processes might take the same step."""
_POLL_INTERVAL = 0.05


@contextmanager
def alone(records: Records, name: str, owner: str, patience: float) -> Iterator[None]:
    """Hold the lease of a record. Raises NotReady after `patience` seconds in which another process had
    it."""
    deadline = time.monotonic() + patience
    while (lease := records.lease(f"provision:{name}", owner, _LEASE)) is None:
        if time.monotonic() >= deadline:
            stored = records.provision(name)
            if stored is not None:
                raise busy(stored)
            raise NotReady(f"another process is setting up '{name}'", reason="busy")
        time.sleep(_POLL_INTERVAL)
    try:
        yield
    finally:
        records.release(lease)


def busy(record: Record) -> NotReady:
    """Return the error for a record that another process works on."""
    return NotReady(
        f"another process is setting up '{record.name}' ({record.state})",
        reason="busy",
        next_step=f"holdfast provision status {record.name}",
    )
