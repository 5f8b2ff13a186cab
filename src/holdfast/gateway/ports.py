"""What the parts of the gateway need of each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Protocol, TypeVar

from ..core.faults import Fault
from ..core.identity import Pin
from ..core.steps import Outcome
from ..engine.state import Engine
from ..store.base import Token
from ..wire.conversation import Bounds as ConversationBounds
from .http1.framing import RawHeaders
from .http1.upstream_pool import UpstreamPools
from .limits import Bounds

T = TypeVar("T")
AdminAnswer = tuple[int, RawHeaders, bytes]
"""Status, headers and body."""


class FinishedRequest(Protocol):
    """One finished request, as metrics and logs may read it.

    `route` is the path without session and version (`chat/completions`), "" for no data route; `outcome` is
    None where nothing was begun; `client_left`: the client went away before the end; `first`: seconds until
    the first piece of a stream was passed on; `broken`: the fault that ended it after that.
    """

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
    def client_left(self) -> bool: ...
    @property
    def first(self) -> float | None: ...
    @property
    def broken(self) -> Fault | None: ...


class Tokens(Protocol):
    """The tokens that are in force."""

    def check(self, value: bytes) -> Token | None:
        """Return the token with this raw value, or None; in constant time, and without asking the disk."""
        ...


class Metrics(Protocol):
    """Receives every request once, after its last byte was handed to the client's connection."""

    def finished(self, done: FinishedRequest) -> None:
        """Count a request."""
        ...


class RelayContext(Protocol):
    """The gateway as one request sees it.

    `strict` is the only pin that a gateway of `holdfast run` permits.
    """

    engine: Engine
    metrics: Metrics
    bounds: Bounds
    conversation_bounds: ConversationBounds
    strict: Pin | None
    loop: asyncio.AbstractEventLoop
    upstreams: UpstreamPools

    def in_thread(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run in a thread what may block."""
        ...

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Run a coroutine as a task that ends with the gateway."""
        ...


class AdminContext(Protocol):
    """The gateway as its own pages see it."""

    engine: Engine
    tokens: Tokens
    strict: Pin | None
    draining: bool
    upstreams: UpstreamPools

    @property
    def open_clients(self) -> int:
        """The number of open connections of clients."""
        ...

    @property
    def open_streams(self) -> int:
        """The number of answers being streamed."""
        ...

    def in_thread(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run in a thread what may block."""
        ...


class AdminHandler(Protocol):
    """Answers what is no data route. Paths in `OPEN` need no token."""

    OPEN: frozenset[str]

    def answer(
        self,
        gateway: AdminContext,
        method: str,
        path: str,
        query: str,
        headers: RawHeaders,
        token: Token | None,
    ) -> AdminAnswer | Awaitable[AdminAnswer | None] | None:
        """Return the answer, now or later; None for an unknown path. `headers` have names in lower case."""
        ...
