"""The connection pools of one `Holdfast`: one set for its threads, and one for each event loop.

All sessions share them. A connection never leaves the event loop and the process that opened it: the pools of
a loop end with it, and a forked child begins with none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from ..calls.network import Network
from ..engine.background import renew_after_fork
from .httpx_compat import ChannelTable, HttpxAdapter
from .pool_limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anyio import CapacityLimiter

    from .bodies import AsyncSource

T = TypeVar("T")
_THREADS = 40
"""Calls that may block at the same time for one event loop."""
_inherited: list[object] = []
"""The pools of the parent's event loops, in a forked child: to close or to collect them would disturb its
loops, with which a child shares the system's objects."""
_ending: set[LoopPools] = set()
_tasks: set[asyncio.Task[None]] = set()


class ConnectionPools:
    """The pools. `network` and `limits` hold for all of them. Thread-safe."""

    def __init__(self, network: Network | None = None, limits: Limits | None = None) -> None:
        self.network, self._limits = network or Network(), limits
        self._begin()
        renew_after_fork(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._blocking: dict[ModuleType, ChannelTable] = {}
        self._loops: dict[object, LoopPools] = {}

    def blocking(self, adapter: HttpxAdapter) -> ChannelTable:
        """Return the channels for blocking calls."""
        table = self._blocking.get(adapter.module)
        if table is not None:
            return table
        with self._lock:
            return self._blocking.setdefault(adapter.module, self._table(adapter, asynchronous=False))

    def of_this_loop(self) -> LoopPools:
        """Return the pools of the event loop that runs in this thread, asyncio's or trio's."""
        loop = _running_loop()
        pools = self._loops.get(loop)
        if pools is None:
            self._forget_closed_loops()
            pools = self._loops[loop] = LoopPools(loop, self._table, lambda: self._loops.pop(loop, None))
        return pools

    def close(self) -> None:
        """Close all connections: those of threads now, those of event loops as soon as these run."""
        with self._lock:
            tables, self._blocking = self._blocking, {}
            loops, self._loops = self._loops, {}
        for pool in _pools_of(tables.values()):
            pool.close()
        for pools in loops.values():
            _ending.add(pools)
            pools.run_soon(pools.aclose)

    async def aclose(self) -> None:
        """Close all connections; those of this event loop are closed at the return."""
        here = self._loops.pop(_running_loop(), None)
        self.close()
        if here is not None:
            await here.aclose()

    def renew(self) -> None:
        """Begin without connections in a forked child. It closes its copies of the sockets, which ends no
        connection of the parent."""
        tables, loops = self._blocking, self._loops
        self._begin()
        _inherited.extend(loops.values())
        for pool in _pools_of(tables.values()):
            # Not `pool.close()`: a thread of the parent may have held its lock.
            for connection in pool.connections:
                with suppress(Exception):
                    connection.close()

    def _table(self, adapter: HttpxAdapter, *, asynchronous: bool) -> ChannelTable:
        return ChannelTable(adapter, asynchronous=asynchronous, network=self.network, limits=self._limits)

    def _forget_closed_loops(self) -> None:
        """Forget loops that were closed before they had ended their asynchronous generators."""
        for loop in [*self._loops]:
            if isinstance(loop, asyncio.AbstractEventLoop) and loop.is_closed():
                self._loops.pop(loop, None)


class LoopPools:
    """The pools of one event loop. They are closed when it ends, and so are `answers`, which are open."""

    def __init__(self, loop: Any, make: Callable[..., ChannelTable], ended: Callable[[], object]) -> None:
        self._loop, self._make, self._ended = loop, make, ended
        self._tables: dict[ModuleType, ChannelTable] = {}
        self._limiter: CapacityLimiter | None = None
        self.answers: set[AsyncSource] = set()
        self._closed = False
        self._life = self._live()
        # It runs to its first `yield`, and the loop closes it at its own end, as it does with all generators.
        with suppress(StopIteration):
            self._life.__anext__().__await__().send(None)

    def channels(self, adapter: HttpxAdapter) -> ChannelTable:
        """Return the channels for a module."""
        table = self._tables.get(adapter.module)
        if table is None:
            table = self._tables[adapter.module] = self._make(adapter, asynchronous=True)
        return table

    async def in_thread(self, call: Callable[[], T]) -> T:
        """Call what may block, in a thread of ours: a slow program that gives a key takes none of those that
        the caller's own program counts on. One who is cancelled does not wait for the call."""
        import anyio.to_thread

        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_THREADS)
        return await anyio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._limiter)

    def run_soon(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have the loop run `act` in a task, from any thread; nothing if it has ended."""
        with suppress(RuntimeError):
            if isinstance(self._loop, asyncio.AbstractEventLoop):
                self._loop.call_soon_threadsafe(_start_task, self._loop, act)
            else:
                self._loop.run_sync_soon(_start_system_task, act)

    async def aclose(self) -> None:
        """Close the connections, once."""
        if not self._closed:
            self._closed = True
            await self._life.aclose()

    async def _live(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._ended()
            await self._close()
            _ending.discard(self)

    async def _close(self) -> None:
        import anyio

        with anyio.CancelScope(shield=True):
            for answer in [*self.answers]:
                await answer.aclose()
            for pool in _pools_of(self._tables.values()):
                await pool.aclose()


def _pools_of(tables: Iterable[ChannelTable]) -> list[Any]:
    return [pool for table in tables for pool in table.drain()]


def _running_loop() -> object:
    """Return what identifies the event loop that runs in this thread. Raises RuntimeError where none does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        import trio

        return trio.lowlevel.current_trio_token()


def _start_task(loop: asyncio.AbstractEventLoop, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
    task = loop.create_task(act())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


def _start_system_task(act: Callable[[], Coroutine[Any, Any, None]]) -> None:
    import trio

    # At the end of a run the last nursery, for system tasks, is empty and takes none. Then the run itself
    # closes what is open.
    root = trio.lowlevel.current_root_task()
    if root is not None and len(root.child_nurseries) > 1 and root.child_nurseries[-1].child_tasks:
        trio.lowlevel.spawn_system_task(act)
