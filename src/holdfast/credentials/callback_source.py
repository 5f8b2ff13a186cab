"""`call:NAME`: keys from a function of the program that opened Holdfast. It may be `async`, and may say when
its key expires. Of what it raises, a message names only the type: its text may contain anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from .sources import Unreadable

if TYPE_CHECKING:
    from datetime import datetime

Supplied = str | tuple[str, "float | datetime | None"]
Supplier = Callable[[], Supplied | Awaitable[Supplied]]
"""Returns a key, or a key and its expiry (epoch seconds or a datetime). Called when a key is needed, from any
thread, by one thread at a time."""


def from_program(name: str, suppliers: Mapping[str, Supplier]) -> tuple[str, float | None]:
    """Return the key from the program's function, and its expiry (epoch seconds). Raises Unreadable."""
    supplier = suppliers.get(name)
    if supplier is None:
        raise Unreadable(
            f"only the program that supplies it can read it: holdfast.open(keys={{'{name}': …}})"
        )
    try:
        supplied = supplier()
        if isinstance(supplied, Awaitable):
            supplied = _awaited(supplied)
    except Exception as error:  # a program's own function may raise anything
        raise Unreadable(f"the program's function raised {type(error).__name__}") from None
    if isinstance(supplied, tuple):
        value, ends = supplied
    else:
        value, ends = supplied, None
    if not isinstance(value, str):
        raise Unreadable(f"the program's function gave a {type(value).__name__}, not a string")
    if ends is None or isinstance(ends, int | float):
        return value, ends
    return value, ends.timestamp()


def _awaited(supplied: Awaitable[Supplied]) -> Supplied:
    """Return the result, from an event loop in a new thread: this thread may be running one already."""
    import asyncio
    import threading

    results: list[Supplied] = []
    failures: list[BaseException] = []

    async def wait() -> Supplied:
        return await supplied

    def run() -> None:
        try:
            results.append(asyncio.run(wait()))
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, name="holdfast-key")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]
