"""Numbers that all workers of one gateway share: a piece of memory with a slot for each of them, mapped
before they are forked.

A worker writes only its own slot, and every process may read all of them, without a lock, a file or a
message. A slot outlives its worker: the successor counts on from the numbers in it, so a sum over the slots
never falls and counts nothing twice, whichever worker is killed when.

A slot begins with the fixed cells (`Gauge`), followed by the cells that belong to names; the names are text
in a separate part of the memory, in the same order. A name is written before the length that makes it
visible, so that a reader never sees half of one.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

_CELL = 8
"""Bytes of a cell, which is a double."""
_CELLS = 16 * 1024
"""Cells of a slot."""
_TEXT = 64 * 1024
"""Bytes of a slot's names."""
_SEPARATOR = "\x1f"


class Gauge(IntEnum):
    """The fixed cells of a slot. Those from OPEN_CLIENTS to JOURNAL_QUEUE describe the present and end with
    the worker."""

    TEXT_USED = 0
    PID = 1
    STARTED_AT = 2
    STARTS = 3
    READY = 4
    CONFIG_BROKEN = 5
    OPEN_CLIENTS = 6
    OPEN_PROVIDERS = 7
    OPEN_STREAMS = 8
    JOURNAL_QUEUE = 9
    JOURNAL_LOST = 10
    UNNAMED = 11


_FIRST_NAMED = 16
_PASSING = (
    Gauge.PID,
    Gauge.READY,
    Gauge.CONFIG_BROKEN,
    Gauge.OPEN_CLIENTS,
    Gauge.OPEN_PROVIDERS,
    Gauge.OPEN_STREAMS,
    Gauge.JOURNAL_QUEUE,
)


class Named(NamedTuple):
    """A name with its cells, as read from one slot."""

    name: tuple[str, ...]
    cells: tuple[float, ...]


class Shared:
    """The memory of all slots. It must be created before the workers are forked."""

    def __init__(self, slots: int = 1) -> None:
        self.slots = slots
        # The system provides a page when it is first written: an idle slot costs one or two.
        self._map = mmap.mmap(-1, slots * (_CELLS * _CELL + _TEXT))
        self.cells: memoryview[float] = memoryview(self._map)[: slots * _CELLS * _CELL].cast("d")
        self.text = memoryview(self._map)[slots * _CELLS * _CELL :]

    def slot(self, number: int, sizes: Callable[[str], int]) -> WorkerSlot:
        """Return the slot for a worker that starts now, or again.

        `sizes` returns the number of cells for the first part of a name.
        """
        return WorkerSlot(self, number, sizes)

    def fixed(self, number: int) -> dict[Gauge, float]:
        """Return the fixed cells of a slot."""
        return {gauge: self.cells[number * _CELLS + gauge] for gauge in Gauge}

    def put(self, number: int, cell: Gauge, value: float) -> None:
        """Write a fixed cell of a slot, for the supervisor of its worker."""
        self.cells[number * _CELLS + cell] = value

    def ended(self, number: int) -> None:
        """Clear the cells that describe the present, since the worker has ended. Its counts stay."""
        for gauge in _PASSING:
            self.put(number, gauge, 0.0)

    def read(self, sizes: Callable[[str], int]) -> Iterator[Named]:
        """Return every name of every slot with its cells; the same name may come from several slots."""
        for number in range(self.slots):
            at = number * _CELLS + _FIRST_NAMED
            used = int(self.cells[number * _CELLS + Gauge.TEXT_USED])
            for line in bytes(self.text[number * _TEXT : number * _TEXT + used]).decode().splitlines():
                name = tuple(line.split(_SEPARATOR))
                yield Named(name, tuple(self.cells[at : at + sizes(name[0])]))
                at += sizes(name[0])


class WorkerSlot:
    """The part of one worker: `cells[offset + n] += 1` is all that counting costs.

    Only one thread may count; any may ask for an offset.
    """

    def __init__(self, shared: Shared, number: int, sizes: Callable[[str], int]) -> None:
        self._shared, self._sizes, self.number = shared, sizes, number
        self.cells = shared.cells
        self.base = number * _CELLS
        self._lock = threading.Lock()
        self._offsets: dict[tuple[str, ...], int] = {}
        self._next = _FIRST_NAMED
        used = int(self.cells[self.base + Gauge.TEXT_USED])
        for line in bytes(shared.text[number * _TEXT : number * _TEXT + used]).decode().splitlines():
            self._take(tuple(line.split(_SEPARATOR)))
        self[Gauge.PID] = os.getpid()

    def __getitem__(self, cell: Gauge) -> float:
        return self.cells[self.base + cell]

    def __setitem__(self, cell: Gauge, value: float) -> None:
        self.cells[self.base + cell] = value

    def offset(self, *name: str) -> int:
        """Return the offset in `cells` at which the cells of `name` begin; the first call reserves them.

        When the slot is full, return the offset of spare cells that are never read, and count that there was
        no room.
        """
        with self._lock:
            offset = self._offsets.get(name)
            if offset is None:
                offset = self._new(name)
            return offset

    def _new(self, name: Sequence[str]) -> int:
        line = f"{_SEPARATOR.join(' '.join(part.split()) for part in name)}\n".encode()
        used, size = int(self[Gauge.TEXT_USED]), self._sizes(name[0])
        if used + len(line) > _TEXT or self._next + 2 * size > _CELLS:  # the last cells are the spare ones
            self[Gauge.UNNAMED] += 1
            return self.base + _CELLS - size
        start = self.number * _TEXT + used
        self._shared.text[start : start + len(line)] = line
        offset = self._take(tuple(name))
        self[Gauge.TEXT_USED] = used + len(line)
        return offset

    def _take(self, name: tuple[str, ...]) -> int:
        self._offsets[name] = offset = self.base + self._next
        self._next += self._sizes(name[0])
        return offset
