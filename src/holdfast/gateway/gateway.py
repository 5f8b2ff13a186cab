"""The data plane of one process: what its connections share, where it listens, and how it ends.

It decides nothing about a request: `server` reads it, the engine and `http.talk` decide, `upstream` carries
it. Nothing here blocks."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ..core.errors import ConfigError
from ..core.faults import Fault
from ..core.identity import Pin, is_loopback
from ..core.session import is_session_id
from ..core.steps import Outcome
from ..engine.state import Engine
from ..store.base import Token
from ..wire.conversation import Bounds as TalkBounds
from .header_rules import ANSWER_NAMES, REQUEST_NAMES
from .http1.request_head import Head, host_of
from .http1.server_connection import ServerConnection
from .http1.upstream_pool import Upstreams
from .routing import HttpRoutes

T = TypeVar("T")
_MOST_REMEMBERED, _LONGEST_REMEMBERED = 1024, 300
_TURNS = 5
RawHeaders = list[tuple[bytes, bytes]]
SideAnswer = tuple[int, RawHeaders, bytes]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one client or provider may cost. Sizes in bytes, times in seconds; every time is looked at every
    `look_every`.

    `idle`: a connection without a request. `head`, `body`: until a request's head is complete, and between
    two pieces of its body. `connect`, `answer`, `stall`: until a provider is reached, until the head of its
    answer, between two pieces of it. `comment`: after so long without output a client that asked for a stream
    is sent comments. `high_water`: unsent bytes to a slow reader at which the other side is paused. `linger`:
    how long the rest of a refused request is read and thrown away."""

    head_bytes: int = 64 * 1024
    header_count: int = 128
    target_bytes: int = 8 * 1024
    body_bytes: int = 64 * 1024**2
    high_water: int = 256 * 1024
    idle: float = 120.0
    head: float = 20.0
    body: float = 30.0
    connect: float = 10.0
    answer: float = 600.0
    stall: float = 300.0
    comment: float = 15.0
    linger: float = 2.0
    look_every: float = 0.5
    pool_idle: float = 30.0
    pool_age: float = 600.0
    pool_size: int = 512


class FinishedRequest(Protocol):
    """One finished request, as metrics and logs may read it. `route` is the path without session and version
    (`chat/completions`), "" for what is none; `outcome` is None where nothing was begun; `left`: the client
    went away before the end; `first`: seconds until the first piece of a stream was passed on; `broken`: what
    went wrong with it after that."""

    @property
    def route(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def size(self) -> int: ...
    @property
    def chunks(self) -> int: ...
    @property
    def streamed(self) -> bool: ...
    @property
    def usage(self) -> Mapping[str, int]: ...
    @property
    def outcome(self) -> Outcome | None: ...
    @property
    def session(self) -> str: ...
    @property
    def request_id(self) -> str: ...
    @property
    def left(self) -> bool: ...
    @property
    def first(self) -> float | None: ...
    @property
    def broken(self) -> Fault | None: ...


class Tokens(Protocol):
    """Who may use the gateway."""

    def check(self, value: bytes) -> Token | None:
        """The token with this raw value, or None; in constant time, and without asking the disk."""
        ...


class Metrics(Protocol):
    """Is told of every request once, after its last byte was handed to the client's connection."""

    def finished(self, done: FinishedRequest) -> None: ...


class AdminHandler(Protocol):
    """Everything that is no data route. Paths in `OPEN` need no token."""

    OPEN: frozenset[str]

    def answer(
        self, gateway: Gateway, method: str, path: str, query: str, headers: RawHeaders, token: Token | None
    ) -> SideAnswer | Awaitable[SideAnswer | None] | None: ...


class Gateway:
    """One process's gateway. `hosts` are further names under which it may be called; `strict` is the only pin
    that `run` permits."""

    def __init__(
        self,
        engine: Engine,
        tokens: Tokens,
        metrics: Metrics,
        sides: AdminHandler,
        *,
        bounds: Bounds = Bounds(),
        strict: Pin | None = None,
        hosts: Sequence[str] = (),
    ) -> None:
        self.engine, self.tokens, self.metrics, self.sides = engine, tokens, metrics, sides
        self.bounds, self.strict = bounds, strict
        self.hosts = {host.lower() for host in hosts}
        self.talk = TalkBounds(replay=engine.config().settings.replay_limit)
        self.routes = HttpRoutes()
        self._names: dict[bytes, bool] = {}
        self._origins: dict[bytes, bool] = {}
        self._own_sessions: dict[str, str] = {}
        self.clients: set[ServerConnection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.draining = False
        self.request_names = REQUEST_NAMES
        self.upstreams = Upstreams(bounds, ANSWER_NAMES)
        self._threads = ThreadPoolExecutor(max_workers=32, thread_name_prefix="holdfast-step")
        self._servers: list[asyncio.Server] = []
        self._look: asyncio.TimerHandle | None = None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, as (host, port)."""
        return [one.getsockname()[:2] for server in self._servers for one in server.sockets]

    @property
    def busy(self) -> int:
        """How many requests are under way."""
        return sum(client.busy for client in self.clients)

    async def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        sock: socket.socket | None = None,
        backlog: int = 4096,
    ) -> None:
        """Begin to listen, on `sock` if it is given, and return. Raises OSError where that cannot be."""
        self.loop = asyncio.get_running_loop()
        self.upstreams.begin(self.loop)
        listen = {"sock": sock} if sock is not None else {"host": host, "port": port}
        self._servers.append(
            await self.loop.create_server(lambda: ServerConnection(self), backlog=backlog, **listen)
        )
        if sock is None:
            self.hosts.add(host.lower())
        if self._look is None:
            self._look = self.loop.call_later(self.bounds.look_every, self._look_round)

    async def drain(self, seconds: float) -> bool:
        """Stop accepting, close what is idle, and let the answers under way end. Whether all of them did
        within `seconds`."""
        self.draining = True
        for server in self._servers:
            server.close()
        for client in [*self.clients]:
            client.retire()
        until = self.loop.time() + seconds
        while self.clients and self.loop.time() < until:  # noqa: ASYNC110 - an end is waited for once in a process's life
            await asyncio.sleep(min(0.02, max(0.0, until - self.loop.time())))
        return not self.clients

    async def close(self) -> None:
        """Cut what is left and give back everything. The engine is its opener's to close."""
        self.draining = True
        if self._look is not None:
            self._look.cancel()
        for server in self._servers:
            server.close()
        for client in [*self.clients]:
            client.cut()
        self.upstreams.close()
        for task in [*self.tasks]:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for _ in range(_TURNS):  # a connection that was cut is given back in a later turn of the loop
            await asyncio.sleep(0)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def token_of(self, head: Head) -> Token | None:
        """Return the token of the first good credential, which the head remembers; None where there is
        none."""
        for value in head.credentials:
            token = self.tokens.check(value)
            if token is not None:
                head.credential = value
                return token
        return None

    def session_of(self, token: Token) -> str:
        """The session of a token's requests that name none."""
        named = self._own_sessions.get(token.id)
        if named is None:
            named = f"token-{token.label}"
            self._own_sessions[token.id] = named = named if is_session_id(named) else f"token-{token.id}"
        return named

    def may_be_called(self, host: bytes) -> bool:
        """Whether a Host header is one of ours: a name that somebody else points at us is a rebinding page's
        (a literal address, and no header at all, never come from a page of a foreign name)."""
        known = self._names.get(host)
        if known is None:
            known = _remember(self._names, host, self._is_ours(host_of(host), literal=True) or not host)
        return known

    def may_ask(self, origin: bytes) -> bool:
        """Whether a page of this origin may use us."""
        known = self._origins.get(origin)
        if known is None:
            known = _remember(self._origins, origin, self._is_ours(host_of(origin), literal=False))
        return known

    def _is_ours(self, host: str, *, literal: bool) -> bool:
        if host in self.hosts or is_loopback(f"[{host}]" if ":" in host else host):
            return True
        return literal and _is_address(host)

    def in_thread(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run what may block in a thread."""
        return self.loop.run_in_executor(self._threads, call)

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Run `work` as a task that `close` ends."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _look_round(self) -> None:
        """The one clock of all connections: a timer of its own for each would cost more than the rest of its
        request."""
        now = self.loop.time()
        for client in [*self.clients]:
            client.look(now)
        self.upstreams.sweep(now)
        with suppress(ConfigError):  # told where it is read for a request
            replay = self.engine.config().settings.replay_limit
            self.talk = self.talk if self.talk.replay == replay else TalkBounds(replay=replay)
        self._look = self.loop.call_later(self.bounds.look_every, self._look_round)


def _remember(known: dict[bytes, bool], value: bytes, what: bool) -> bool:
    if len(known) < _MOST_REMEMBERED and len(value) < _LONGEST_REMEMBERED:
        known[value] = what
    return what


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
