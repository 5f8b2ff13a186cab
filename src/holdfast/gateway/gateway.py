"""The gateway of one process: what its connections share, where it listens, and how it ends.

It decides nothing about a request: `http1` reads it, the handler and the engine decide, `relay` carries it
out. Nothing here blocks.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from ..calls.dialling import permitted
from ..core.config import Config
from ..core.errors import ConfigError
from ..engine.state import Engine
from ..wire.exchange import Bounds as ConversationBounds
from .admission import AdmissionControl
from .handler import Handler
from .header_rules import ANSWER_NAMES, REQUEST_NAMES
from .http1.ports import ServedConnection
from .http1.server_connection import ServerConnection
from .http1.turns import Turns
from .http1.unauthenticated import Unauthenticated
from .http1.upstream_pool import UpstreamPools
from .limits import Bounds
from .ports import AdminHandler, Metrics, Tokens
from .repeats import Repeats
from .upstream_address import address_of

T = TypeVar("T")
_BOUNDS = Bounds()
_TURNS = 5
_TOKENS_EVERY = 0.04
"""Seconds between two looks whether a token has ended: a revoked one is refused within 100 ms."""
_THREADS = 32


class Gateway:
    """The gateway of one process.

    `hosts` are further host names under which clients may address it. `proof_key` is the key with which it
    proves whose gateway it is (`listener`); without one it proves nothing.
    """

    def __init__(
        self,
        engine: Engine,
        tokens: Tokens,
        metrics: Metrics,
        admin: AdminHandler,
        *,
        bounds: Bounds = _BOUNDS,
        hosts: Sequence[str] = (),
        proof_key: bytes = b"",
    ) -> None:
        self.engine, self.tokens, self.metrics = engine, tokens, metrics
        self._chosen_bounds, self._config = bounds, engine.config()
        self.bounds = self.limits = bounds.set_by(self._config)
        self.good_tokens, self.proof_key = tokens.ids(), proof_key
        self.conversation_bounds = _bounds_of(self._config)
        self._hosts = {host.lower() for host in hosts}
        self.admission = AdmissionControl(tokens, admin.OPEN, self._hosts, self.limits)
        self.repeats = Repeats(self)
        self.handler = Handler(self, self.admission, admin, self.repeats.take)
        self.header_names = REQUEST_NAMES
        self.upstreams = UpstreamPools(self.bounds, ANSWER_NAMES, address_of, permitted)
        self.clients: set[ServedConnection] = set()
        self.unauthenticated = Unauthenticated(self.limits)
        self.tasks: set[asyncio.Task[None]] = set()
        self.draining = self.replaced = self.retired = False
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="holdfast-step")
        self._store_threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="holdfast-store")
        self._servers: list[asyncio.Server] = []
        self._look: asyncio.TimerHandle | None = None
        self._look_at_tokens: asyncio.TimerHandle | None = None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The addresses on which it listens, as (host, port)."""
        return [sock.getsockname()[:2] for server in self._servers for sock in server.sockets]

    @property
    def busy(self) -> int:
        """The number of requests under way."""
        return sum(client.busy for client in self.clients)

    @property
    def open_clients(self) -> int:
        """The number of open connections of clients."""
        return len(self.clients)

    @property
    def open_streams(self) -> int:
        """The number of answers being streamed. May be asked from any thread."""
        running = [client.running for client in [*self.clients]]
        return sum(request is not None and request.streamed for request in running)

    async def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        sock: socket.socket | None = None,
        backlog: int = 4096,
    ) -> None:
        """Start to listen, on `sock` if it is given, and return. Raises OSError."""
        self.loop = asyncio.get_running_loop()
        if self._look is None:
            self.engine.following.start()
            self.turns = Turns(self.loop)
            self.upstreams.begin(self.turns)
        listen: dict[str, Any] = {"sock": sock}
        if sock is None:
            listen = {"host": host, "port": port}
            self._hosts.add(host.lower())
        server = await self.loop.create_server(lambda: ServerConnection(self), backlog=backlog, **listen)
        self._servers.append(server)
        if self._look is None:
            self._look = self.loop.call_later(self.bounds.look_every, self._look_round)
            self._look_at_tokens = self.loop.call_later(_TOKENS_EVERY, self._token_round)

    async def drain(self, seconds: float, *, replaced: bool = False, at_once: bool = False) -> bool:
        """Stop accepting, and let the answers under way end. Return whether all connections ended within
        `seconds`.

        A connection that is idle, or becomes so, may be used once more for `last_idle` seconds, unless it has
        to end `at_once`: a client may be sending just now, and would meet a closed connection. `replaced`:
        another process goes on at the same address.
        """
        self.draining, self.replaced = True, replaced
        for server in self._servers:
            server.close()
        self.retired = at_once
        for client in [*self.clients]:
            if at_once:
                client.retire()
            else:
                client.expire()
        until = self.loop.time() + seconds
        await asyncio.sleep(0)  # what was just accepted becomes a client
        # It runs once in a process's life, so looking again and again costs nothing.
        while self.clients and self.loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(min(0.02, max(0.0, until - self.loop.time())))
        return not self.clients

    async def close(self) -> None:
        """Cut the connections that are left and free all resources, but not the engine, which its opener
        closes."""
        self.draining = self.retired = True
        for timer in (self._look, self._look_at_tokens):
            if timer is not None:
                timer.cancel()
        for server in self._servers:
            server.close()
        for client in [*self.clients]:
            client.cut()
        self.upstreams.close()
        for task in [*self.tasks]:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for _ in range(_TURNS):  # a connection that was cut is freed in a later turn of the loop
            await asyncio.sleep(0)
        for threads in (self._threads, self._store_threads):
            threads.shutdown(wait=False, cancel_futures=True)

    def opened(self, connection: ServedConnection) -> None:
        """Add a client's new connection."""
        self.clients.add(connection)
        self.unauthenticated.add(connection, self.loop.time())

    def closed(self, connection: ServedConnection) -> None:
        """Remove a client's connection."""
        self.clients.discard(connection)
        self.unauthenticated.discard(connection)

    def in_thread(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run a call that may block in a thread."""
        return self.loop.run_in_executor(self._threads, call)

    def in_store_thread(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run a call that may wait for the store in a thread that no other call waits for."""
        return self.loop.run_in_executor(self._store_threads, call)

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Run a coroutine as a task that `close` ends."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _take_over(self, config: Config) -> None:
        """Use the limits of a configuration that has changed; requests under way get them, too."""
        if config is self._config:
            return
        self._config = config
        self.bounds = self._chosen_bounds.set_by(config)
        self.upstreams.limit(self.bounds)
        self.conversation_bounds = _bounds_of(config)

    def _token_round(self) -> None:
        """Have changes of the tokens taken over, and let the requests of those that are not good any more end
        soon."""
        good = self.tokens.ids()
        if good != self.good_tokens and any(client.busy for client in self.clients):
            self._check_clients()
        self._look_at_tokens = self.loop.call_later(_TOKENS_EVERY, self._token_round)

    def _check_clients(self) -> None:
        now, before = self.loop.time(), self.good_tokens
        self.good_tokens = self.tokens.ids()
        if before is not self.good_tokens and before - self.good_tokens:
            self.repeats.forget()
        for client in [*self.clients]:
            client.look(now)
        if self.repeats.forgot:
            self.repeats.forgot = False
            for client in self.clients:
                client.forget()

    def _look_round(self) -> None:
        """Check the time limits of all connections, and the tokens of their requests.

        They share this one timer: a timer for each would cost more than the rest of its request.
        """
        self._check_clients()
        self.unauthenticated.end_overdue(self.loop.time())
        self.upstreams.sweep(self.loop.time())
        with suppress(ConfigError):  # reported where it is read for a request
            self._take_over(self.engine.config())
        self._look = self.loop.call_later(self.bounds.look_every, self._look_round)


def _bounds_of(config: Config) -> ConversationBounds:
    settings = config.settings
    return ConversationBounds(replay=settings.replay_limit, mask_answers=settings.mask_answers)
