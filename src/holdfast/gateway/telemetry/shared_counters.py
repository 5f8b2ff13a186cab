"""Numbers that all workers of one gateway share: a piece of memory with one slot for each of them, mapped
before they are forked.

A worker writes only its own slot and anybody reads them all, without a lock, a file or a message. A slot
outlives its worker: the next one in it counts on from what stands there, so a sum over the slots never falls
and counts nothing twice, whoever was killed when.

A slot begins with fixed cells (`Cell`), then come names as text and the cells that belong to them, in the
same order. A name is written before the length that makes it visible, so that a reader never sees half of
one."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

_CELL = 8
_CELLS = 16 * 1024
_TEXT = 64 * 1024
_SEPARATOR = "\x1f"


class Gauge(IntEnum):
    """The fixed cells of a slot. Those from OPEN_CLIENTS to JOURNAL_QUEUE say how things stand now and end
    with their worker."""

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
    """The memory of all slots. Made before the workers are forked."""

    def __init__(self, slots: int = 1) -> None:
        self.slots = slots
        # Nothing is used until it is written: an idle slot costs a page or two.
        self._map = mmap.mmap(-1, slots * (_CELLS * _CELL + _TEXT))
        self.cells: memoryview[float] = memoryview(self._map)[: slots * _CELLS * _CELL].cast("d")
        self.text = memoryview(self._map)[slots * _CELLS * _CELL :]

    def slot(self, number: int, sizes: Callable[[str], int]) -> WorkerSlot:
        """The slot for a worker that begins now, or again. `sizes` gives for the first part of a name how
        many cells it has."""
        return WorkerSlot(self, number, sizes)

    def fixed(self, number: int) -> dict[Gauge, float]:
        """The fixed cells of a slot as they stand."""
        return {one: self.cells[number * _CELLS + one] for one in Gauge}

    def put(self, number: int, cell: Gauge, value: float) -> None:
        """Write a fixed cell of a slot: for whoever looks after its worker."""
        self.cells[number * _CELLS + cell] = value

    def ended(self, number: int) -> None:
        """The slot's worker is gone: nothing of it is open any more. What it counted stays."""
        for one in _PASSING:
            self.put(number, one, 0.0)

    def read(self, sizes: Callable[[str], int]) -> Iterator[Named]:
        """Every name of every slot with its cells; the same name may come from several slots."""
        for number in range(self.slots):
            at = number * _CELLS + _FIRST_NAMED
            used = int(self.cells[number * _CELLS + Gauge.TEXT_USED])
            for line in bytes(self.text[number * _TEXT : number * _TEXT + used]).decode().splitlines():
                name = tuple(line.split(_SEPARATOR))
                yield Named(name, tuple(self.cells[at : at + sizes(name[0])]))
                at += sizes(name[0])


class WorkerSlot:
    """One worker's part: `cells[place + n] += 1` is all that counting costs. Counted on one thread; names may
    come from any."""

    def __init__(self, shared: Shared, number: int, sizes: Callable[[str], int]) -> None:
        self._shared, self._sizes, self.number = shared, sizes, number
        self.cells = shared.cells
        self.base = number * _CELLS
        self._lock = threading.Lock()
        self._places: dict[tuple[str, ...], int] = {}
        self._next = _FIRST_NAMED
        used = int(self.cells[self.base + Gauge.TEXT_USED])
        for line in bytes(shared.text[number * _TEXT : number * _TEXT + used]).decode().splitlines():
            self._take(tuple(line.split(_SEPARATOR)))
        self[Gauge.PID] = os.getpid()

    def __getitem__(self, cell: Gauge) -> float:
        return self.cells[self.base + cell]

    def __setitem__(self, cell: Gauge, value: float) -> None:
        self.cells[self.base + cell] = value

    def place(self, *name: str) -> int:
        """Where the cells of `name` begin; they are made at the first call. When the slot is full, a place of
        no name whose numbers mean nothing: only that there was no room is counted."""
        with self._lock:
            found = self._places.get(name)
            return found if found is not None else self._new(name)

    def _new(self, name: Sequence[str]) -> int:
        line = f"{_SEPARATOR.join(' '.join(part.split()) for part in name)}\n".encode()
        used, size = int(self[Gauge.TEXT_USED]), self._sizes(name[0])
        if used + len(line) > _TEXT or self._next + 2 * size > _CELLS:  # the last cells are those of no name
            self[Gauge.UNNAMED] += 1
            return self.base + _CELLS - size
        start = self.number * _TEXT + used
        self._shared.text[start : start + len(line)] = line
        place = self._take(tuple(name))
        self[Gauge.TEXT_USED] = used + len(line)
        return place

    def _take(self, name: tuple[str, ...]) -> int:
        self._places[name] = place = self.base + self._next
        self._next += self._sizes(name[0])
        return place
