"""A store that no event loop's thread may use, but for what waits for nobody."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

from holdfast.config import Home
from holdfast.engine.opening import open_store
from holdfast.store.base import StoreAway
from holdfast.store.time_limit import seconds_allowed

QUICK = frozenset({"now", "glance"})
CALLS_FOR_WRITING = frozenset(
    {
        "apply",
        "keep_first_keys",
        "save_session",
        "create_sessions",
        "remove_session",
        "record",
        "lease",
        "renew",
        "release",
    }
)


class OffTheLoop:
    """Stands before a store. A call from a thread in which an event loop runs fails, and is noted in
    `on_the_loop`.

    With `far` it does as a store behind a network does. `hang` lets its calls wait as long as they are
    allowed, as a server that answers nothing does; `refuse` lets those that write fail at once."""

    def __init__(self, store: Any, *, far: bool | None = None) -> None:
        self.inner = store
        self.far = store.far if far is None else far
        self.on_the_loop: list[str] = []
        self.calls: list[str] = []
        self._goes_on = threading.Event()
        self._goes_on.set()
        self._refused = ""

    def hang(self) -> None:
        """Answer nothing from now on."""
        self._goes_on.clear()

    def refuse(self, why: str) -> None:
        """Refuse what writes from now on."""
        self._refused = why

    def recover(self) -> None:
        """Answer again."""
        self._refused = ""
        self._goes_on.set()

    def glance(self) -> Any:
        """Return what the store sees without waiting."""
        return None if self.far or not self._goes_on.is_set() else self.inner.glance()

    def close(self) -> None:
        """Close the store."""
        self._goes_on.set()
        self.inner.close()

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.inner, name)
        if name in QUICK or name.startswith("_") or not callable(member):
            return member

        def call(*args: Any, **named: Any) -> Any:
            self._check(name)
            return member(*args, **named)

        return call

    def _check(self, name: str) -> None:
        if asyncio._get_running_loop() is not None:
            self.on_the_loop.append(name)
            raise AssertionError(f"the store's {name} is called on the thread of an event loop")
        self.calls.append(name)
        if not self._goes_on.wait(seconds_allowed()):
            raise StoreAway(f"the store gave no answer within {seconds_allowed():g} s")
        if self._refused and name in CALLS_FOR_WRITING:
            raise StoreAway(self._refused)


def off_the_loop(home: Path | Home, **options: Any) -> Any:
    """Return the store of a home, kept from event loops."""
    its_home = home if isinstance(home, Home) else Home.at(home)
    return OffTheLoop(open_store(its_home), **options)
