"""`call:NAME`: keys from a function of the program that opened Holdfast. It may be `async`, and may say when
its key expires. Of what it raises, a message names only the type: its text may contain anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from .sources import Silent, Unreadable

if TYPE_CHECKING:
    from datetime import datetime

Supplied = str | tuple[str, "float | datetime | None"]
Supplier = Callable[[], Supplied | Awaitable[Supplied]]
"""Returns a key, or a key and its expiry (epoch seconds or a datetime). Called when a key is needed, in a
thread of its own, never twice at a time."""


def from_program(name: str, suppliers: Mapping[str, Supplier]) -> tuple[str, float | None]:
    """Return the key from the program's function, and its expiry (epoch seconds). Raises Unreadable. No event
    loop may run in this thread."""
    supplier = suppliers.get(name)
    if supplier is None:
        raise Unreadable(
            f"only the program that supplies it can read it: holdfast.open(keys={{'{name}': …}})"
        )
    try:
        supplied = supplier()
        if isinstance(supplied, Awaitable):
            import asyncio

            supplied = asyncio.run(_awaited(supplied))
    except Exception as error:  # a program's own function may raise anything
        raise Silent(f"the program's function raised {type(error).__name__}") from None
    if isinstance(supplied, tuple):
        value, ends = supplied
    else:
        value, ends = supplied, None
    if not isinstance(value, str):
        raise Unreadable(f"the program's function gave a {type(value).__name__}, not a string")
    if ends is None or isinstance(ends, int | float):
        return value, ends
    return value, ends.timestamp()


async def _awaited(supplied: Awaitable[Supplied]) -> Supplied:
    return await supplied
