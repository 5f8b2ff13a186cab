"""Batches that may be sent again: where a call was cut, nobody knows whether the store did it.

Each writer numbers its batches, and sends the next one only when the last one was done. The store keeps the
last number of each writer in the transaction of the batch, and does no batch a second time."""

from __future__ import annotations

import secrets
from typing import NamedTuple


class Batch(NamedTuple):
    """The `number` of a batch, counted from 1, and the name of its `writer`, which no other has."""

    writer: str
    number: int

    def after(self) -> Batch:
        """Return the name of the next batch."""
        return self._replace(number=self.number + 1)


def new_writer() -> Batch:
    """Return what comes before the first batch of a new writer."""
    return Batch(secrets.token_hex(8), 0)
