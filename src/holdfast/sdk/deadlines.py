"""The deadline of a call in the drivers of its conversation: no step that waits is begun after it, and none
lasts longer.

What reads and writes is shortened by `wire.time_limits.within_deadline`.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from ..wire.operations import Close, Op, Perform, Wait
from ..wire.ports import Open
from ..wire.time_limits import Deadline
from .httpx_compat import HttpxAdapter

if TYPE_CHECKING:
    from ..engine.state import Engine
    from .connection_pools import LoopPools


def deadline_of(seconds: float | None, engine: Engine) -> Deadline | None:
    """Return the deadline of a call that begins now, None for one without."""
    if seconds is None:
        return None
    return Deadline(seconds, engine.store.now)


def begun_in_time(op: Op, deadline: Deadline, adapter: HttpxAdapter) -> Op:
    """Return a step as it may be taken: its time-outs, or what it waits, shortened to what is left. Raises
    the module's time-out where nothing is left."""
    if isinstance(op, Close):
        return op
    if not isinstance(op, Open | Wait | Perform):
        _check(deadline, adapter.module.ReadTimeout)
        return op
    if isinstance(op, Open):
        _check(deadline, adapter.module.ConnectTimeout)
        deadline.limit(op.timeout)
        stall = None if op.stall is None else deadline.shortened(op.stall)
        return op._replace(stall=stall)
    _check(deadline, adapter.late[0])
    if isinstance(op, Wait):
        return Wait(deadline.shortened(op.seconds))
    return op


def ended_by(error: Exception, deadline: Deadline | None) -> Exception:
    """Return a broken connection's error; one that comes at the deadline says so."""
    if deadline is not None and deadline.over:
        error.args = (str(deadline),)
    return error


def performed(call: Callable[[], Any], deadline: Deadline, adapter: HttpxAdapter) -> Any:
    """Call this in a thread of its own, and return what it returns. Raises the module's time-out when it is
    not done in time; then it goes on alone."""
    done: list[Any] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(call())
        except BaseException as error:  # is raised in the thread of the caller
            failed.append(error)

    thread = threading.Thread(target=copy_context().run, args=(run,), name="holdfast-call", daemon=True)
    thread.start()
    thread.join(deadline.shortened(None))
    if failed:
        raise failed[0]
    if not done:
        raise adapter.late[0](str(deadline))
    return done[0]


async def performed_async(
    call: Callable[[], Any], deadline: Deadline | None, *, pools: LoopPools, adapter: HttpxAdapter
) -> Any:
    """Do the same on an event loop, where all calls have threads of their own."""
    if deadline is None:
        return await pools.in_thread(call)
    import anyio

    with anyio.move_on_after(deadline.shortened(None)):
        return await pools.in_thread(call)
    raise adapter.late[0](str(deadline))


async def let_pass(seconds: float, sleep: Callable[[float], None] | None) -> None:
    """Let seconds pass on an event loop; `sleep` lets them pass instead, in tests."""
    if sleep is not None:
        sleep(seconds)
        return
    import anyio  # both modules depend on it; only a request that waits pays for the import

    await anyio.sleep(seconds)


def chunks_until(chunks: Iterator[bytes], deadline: Deadline, adapter: HttpxAdapter) -> Iterator[bytes]:
    """Yield the pieces of a body that come before the deadline. Raises the module's time-out at its end."""
    while True:
        _check(deadline, adapter.module.ReadTimeout)
        try:
            with deadline.in_force():
                chunk = next(chunks, None)
        except adapter.broken as error:
            raise ended_by(adapter.public(error), deadline) from error
        if chunk is None:
            return
        yield chunk


class AsyncChunksUntil:
    """The same on an event loop."""

    def __init__(self, chunks: AsyncIterator[bytes], deadline: Deadline, adapter: HttpxAdapter) -> None:
        self._chunks, self._deadline, self._adapter = chunks, deadline, adapter

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        _check(self._deadline, self._adapter.module.ReadTimeout)
        try:
            with self._deadline.in_force():
                return await anext(self._chunks)
        except self._adapter.broken as error:
            raise ended_by(self._adapter.public(error), self._deadline) from error


def _check(deadline: Deadline, error: type[Exception]) -> None:
    if deadline.over:
        raise error(str(deadline))
