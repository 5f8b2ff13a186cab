"""How long a call of a store may take: as long as its caller allows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

USUAL_SECONDS = 5.0
"""Seconds for commands, which have nothing else to do."""
_seconds: ContextVar[float] = ContextVar("seconds", default=USUAL_SECONDS)


def seconds_allowed() -> float:
    """Return how many seconds a call of a store may take here: for other writers, other threads and the
    server together."""
    return _seconds.get()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Let each call of a store take `seconds` at most; then it raises StoreError."""
    token = _seconds.set(seconds)
    try:
        yield
    finally:
        _seconds.reset(token)
