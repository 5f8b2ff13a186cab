"""`call:NAME`: keys that the program supplies which opened Holdfast, by a function of its own. It may be
`async`, and may say when its key ends; what it raises is told by type only, since its words may hold
anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from .sources import Unread

if TYPE_CHECKING:
    from datetime import datetime

Given = str | tuple[str, "float | datetime | None"]
Supplier = Callable[[], Given | Awaitable[Given]]
"""Gives a key, or the key and when it ends (epoch seconds or a datetime). Called when a key is needed, from
any thread, once at a time."""


def from_program(name: str, suppliers: Mapping[str, Supplier]) -> tuple[str, float | None]:
    """What the program's function gives. Raises Unread."""
    supplier = suppliers.get(name)
    if supplier is None:
        raise Unread(f"only the program that supplies it can read it: holdfast.open(keys={{'{name}': …}})")
    try:
        given = supplier()
        if isinstance(given, Awaitable):
            given = _awaited(given)
    except Exception as error:  # a program's own function may raise anything
        raise Unread(f"the program's function raised {type(error).__name__}") from None
    value, ends = given if isinstance(given, tuple) else (given, None)
    if not isinstance(value, str):
        raise Unread(f"the program's function gave a {type(value).__name__}, not a string")
    return value, ends if ends is None or isinstance(ends, int | float) else ends.timestamp()


def _awaited(given: Awaitable[Given]) -> Given:
    """The result, from an event loop in a thread of its own: this thread may be running one already."""
    import asyncio
    import threading

    came: list[Given] = []
    failed: list[BaseException] = []

    async def wait() -> Given:
        return await given

    def run() -> None:
        try:
            came.append(asyncio.run(wait()))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="holdfast-key")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return came[0]
