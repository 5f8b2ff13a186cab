"""Transports for clients of `httpx2` and `httpx`.

They open, read, wait and close as the conversation says, and decide nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from ..wire.api_routes import is_held
from ..wire.exchange import Bounds
from ..wire.operations import Close, Op, Perform, Read, Wait, Whole
from ..wire.ports import Open
from ..wire.time_limits import Deadline
from .bodies import AsyncBody, AsyncSource, SyncBody, read_whole, read_whole_async
from .client_paths import Family
from .connection_pools import ConnectionPools
from .deadlines import (
    AsyncChunksUntil,
    begun_in_time,
    chunks_until,
    deadline_of,
    ended_by,
    let_pass,
    performed,
    performed_async,
)
from .httpx_compat import ChannelTable, HttpxAdapter, RequestLike, TransportChannel
from .repetitions import Repetitions
from .requests import Heads, SdkHead, SdkRequest, SdkResponse
from .responses import serve

if TYPE_CHECKING:
    from ..engine.state import Engine

DEFAULT_BOUNDS = Bounds()

SdkConversation = Generator[Op, Any, SdkResponse]


class Transports(NamedTuple):
    """The two transports of one module: `SyncTransport(engine, session_id, inner=None, bounds=…)`, and the
    same for async."""

    SyncTransport: type[SyncDriver]
    AsyncTransport: type[AsyncDriver]


@lru_cache(maxsize=4)
def bind(module: Any) -> Transports:
    """Return the transports for `module`, which is httpx2 or httpx: our classes, derived from its own."""
    adapter = HttpxAdapter(module)
    members = {"adapter": adapter}
    sync = {"handle_async_request": _of_other_kind, "__aenter__": _of_other_kind}
    waiting = {"handle_request": _of_other_kind, "__enter__": _of_other_kind}
    sync_body = type("SyncBody", (SyncBody, module.SyncByteStream), members)
    async_body = type("AsyncBody", (AsyncBody, module.AsyncByteStream), members)
    return Transports(
        type("SyncTransport", (SyncDriver, module.BaseTransport), {**members, **sync, "body": sync_body}),
        type(
            "AsyncTransport",
            (AsyncDriver, module.AsyncBaseTransport),
            {**members, **waiting, "body": async_body},
        ),
    )


def _of_other_kind(*_: Any) -> Any:
    """Refuse a client of the other kind. Raises TypeError."""
    raise TypeError(
        "a Client takes session.transport() and an AsyncClient session.async_transport(); nothing was sent"
    )


def _as_it_is(model: str | None) -> str | None:
    """Return the model as a request's body names it."""
    return model


class _Driver:
    """The common part of both transports: the session that they send for, and their connections.

    `inner` replaces the connection pools, for tests and special networks. `named` returns the model for which
    a request asks, given the name in its body. `made_for` is the SDK that may use the transport; None: any
    client. `sleep` lets seconds pass instead of the clock, in tests.
    `pools` are shared, and their owner closes them.
    """

    adapter: HttpxAdapter
    body: Any
    _until: Callable[..., Any]

    def __init__(
        self,
        engine: Engine,
        session_id: str,
        inner: Any = None,
        *,
        bounds: Bounds = DEFAULT_BOUNDS,
        named: Callable[[str | None], str | None] = _as_it_is,
        made_for: Family | None = None,
        sleep: Callable[[float], None] | None = None,
        pools: ConnectionPools | None = None,
    ) -> None:
        self._engine, self._session, self._bounds = engine, session_id, bounds
        self._named, self._made_for, self._sleep = named, made_for, sleep
        self._inner: TransportChannel | None = None
        if inner is not None:
            self._inner = TransportChannel(self.adapter, inner)
        self._repetitions, self._heads = Repetitions(), Heads()
        self._owns_pools = pools is None
        self._pools = pools or ConnectionPools()

    def _may_read(self, request: RequestLike) -> bool:
        """Return whether the request's body is to be held in memory: it is there already, it names a model,
        or it is known to be small enough."""
        if isinstance(request.stream, self.adapter.stream):
            return True
        if is_held(request.method, request.url.raw_path.decode("ascii")):
            return True
        length = next(
            (value for name, value in request.headers.raw if name.lower() == b"content-length"), b""
        )
        return length.isdigit() and int(length) <= self._bounds.replay

    def _serve(self, request: SdkRequest, deadline: Deadline | None) -> SdkConversation:
        return serve(
            adapter=self.adapter,
            engine=self._engine,
            session=self._session,
            request=request,
            named=self._named,
            bounds=self._bounds,
            made_for=self._made_for,
            deadline=None if deadline is None else deadline.seconds,
        )

    def _response(self, response: SdkResponse, unread: Any, source: Any, deadline: Deadline | None) -> Any:
        """Return the module's own response. `unread` iterates over the rest of `source`."""
        if response.rest is None:
            stream = response.chunks[0]
        else:
            if deadline is not None:
                unread = self._until(unread, deadline, self.adapter)
            stream = self.body(response.chunks, unread, source, response.rest)
        return self.adapter.response(response.status, response.headers, stream, response.extensions)


class SyncDriver(_Driver):
    """Drives conversations with blocking calls. Safe to use from several threads, as the pools are."""

    _until = staticmethod(chunks_until)

    def handle_request(self, request: Any) -> Any:
        """Send a request of an SDK on the session's connection. Only the path of its URL counts, never the
        host."""
        body = request.read() if self._may_read(request) else None
        asked = SdkRequest(request, body, self._bounds.time_limits, self._heads.read(request))
        self._repetitions.check(asked)
        deadline = deadline_of(asked.deadline or self._bounds.deadline, self._engine)
        conversation = self._serve(asked, deadline)
        try:
            if deadline is None:
                return self._drive(conversation, None)
            with deadline.in_force():
                return self._drive(conversation, deadline)
        except self.adapter.broken as error:
            self._repetitions.note(asked, error)
            raise

    def _drive(self, conversation: SdkConversation, deadline: Deadline | None) -> Any:
        source: Any = None
        chunks: Any = None
        got: Any = None
        try:
            op = next(conversation)
            while True:
                try:
                    if deadline is not None:
                        op = begun_in_time(op, deadline, self.adapter)
                    if isinstance(op, Open):
                        channel = self._inner or self._channels().to(op.endpoint, fresh=op.fresh)
                        opened = channel.opened(channel.pool.handle_request(channel.request(op)))
                        source, chunks = opened.stream, iter(opened.stream)
                        op.timeout["read"] = op.stall
                        got = SdkHead(opened)
                    elif isinstance(op, Whole):
                        got = read_whole(chunks, source, op.limit)
                    elif isinstance(op, Read):
                        got = next(chunks, None)
                    elif isinstance(op, Close):
                        source.close()
                    elif isinstance(op, Wait | Perform):
                        got = self._spend_time(op, deadline)
                except self.adapter.broken as error:
                    op = conversation.throw(ended_by(self.adapter.public(error), deadline))
                else:
                    op = conversation.send(got)
        except StopIteration as end:
            return self._response(end.value, chunks, source, deadline)
        except BaseException:
            conversation.close()
            if source is not None:
                source.close()
            raise

    def _spend_time(self, op: Wait | Perform, deadline: Deadline | None) -> Any:
        if isinstance(op, Wait):
            return (self._sleep or time.sleep)(op.seconds)
        if deadline is None:
            return op.call()
        return performed(op.call, deadline, self.adapter)

    def _channels(self) -> ChannelTable:
        return self._pools.blocking(self.adapter)

    def close(self) -> None:
        """Close the connections, unless other transports share them."""
        if self._inner is not None:
            self._inner.pool.close()
        if self._owns_pools:
            self._pools.close()


class AsyncDriver(_Driver):
    """Drives conversations on an event loop, asyncio's or trio's."""

    _until = AsyncChunksUntil

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request of an SDK on the session's connection. Only the path of its URL counts, never the
        host."""
        body = await request.aread() if self._may_read(request) else None
        asked = SdkRequest(request, body, self._bounds.time_limits, self._heads.read(request))
        self._repetitions.check(asked)
        deadline = deadline_of(asked.deadline or self._bounds.deadline, self._engine)
        conversation = self._serve(asked, deadline)
        try:
            if deadline is None:
                return await self._drive(conversation, None)
            with deadline.in_force():
                return await self._drive(conversation, deadline)
        except self.adapter.broken as error:
            self._repetitions.note(asked, error)
            raise

    async def _drive(self, conversation: SdkConversation, deadline: Deadline | None) -> Any:
        source: AsyncSource | None = None
        got: Any = None
        try:
            pools = self._pools.of_this_loop()
            op = next(conversation)
            while True:
                try:
                    if deadline is not None:
                        op = begun_in_time(op, deadline, self.adapter)
                    if isinstance(op, Open):
                        channel = self._inner or pools.channels(self.adapter).to(op.endpoint, fresh=op.fresh)
                        response = await channel.pool.handle_async_request(channel.request(op))
                        opened = channel.opened(response)
                        source = AsyncSource(opened.stream, pools)
                        op.timeout["read"] = op.stall
                        got = SdkHead(opened)
                    elif isinstance(op, Wait):
                        await let_pass(op.seconds, self._sleep)
                    elif isinstance(op, Perform):
                        got = await performed_async(op.call, deadline, pools=pools, adapter=self.adapter)
                    elif source is not None:
                        got = await _read(op, source)
                except self.adapter.broken as error:
                    op = conversation.throw(ended_by(self.adapter.public(error), deadline))
                else:
                    op = conversation.send(got)
        except StopIteration as end:
            return self._response(end.value, source and source.chunks, source, deadline)
        except BaseException:
            conversation.close()
            if source is not None:
                await source.aclose()
            raise

    async def aclose(self) -> None:
        """Close the connections, unless other transports share them."""
        if self._inner is not None:
            await self._inner.pool.aclose()
        if self._owns_pools:
            await self._pools.aclose()


async def _read(op: Op, source: AsyncSource) -> Any:
    """Do what an operation says about the open answer."""
    if isinstance(op, Read):
        return await anext(source.chunks, None)
    if isinstance(op, Whole):
        return await read_whole_async(source, op.limit)
    await source.aclose()
    return None
