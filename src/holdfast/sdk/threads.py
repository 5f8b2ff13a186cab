"""Calls that may block, from an event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    """Return what `call` returns, on another thread than the event loop's: one of ours, beside those that the
    caller's program counts on. A caller who is cancelled waits for its end."""
    import anyio.to_thread

    return await anyio.to_thread.run_sync(call, limiter=anyio.CapacityLimiter(1))
