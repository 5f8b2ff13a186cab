"""The interfaces between the parts of the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol, TypeVar

from ..core.faults import Fault
from ..core.steps import Outcome
from ..engine.fastpath import Learnt
from ..engine.state import Engine
from ..store.token import Token
from ..wire.exchange import Bounds as ConversationBounds
from .http1.framing import RawHeaders
from .http1.response_head import ResponseHead
from .http1.upstream_pool import UpstreamPools
from .limits import Bounds

T = TypeVar("T")
AdminAnswer = tuple[int, RawHeaders, bytes]
"""Status, headers and body."""


class FinishedRequest(Protocol):
    """A finished request, as metrics and logs may read it.

    `route` is the path without session and version (`chat/completions`), "" for no data route. `code` names
    the error of ours that was the answer, "" for another one. `outcome` is None for a request that never
    reached the engine. `client_left`: the client closed its connection before the end. `seconds`: from the
    request's head to its end. `first`: seconds until the first piece of a stream was passed on. `broken`: the
    fault that ended the stream after that. `size`, in bytes, and `chunks`: the body that was passed on.
    """

    @property
    def route(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def code(self) -> str: ...
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
    """The valid tokens."""

    def check(self, value: bytes) -> Token | None:
        """Return the token with this raw value, or None; in constant time."""
        ...

    @property
    def may_have_changed(self) -> bool:
        """Return whether the store may know of other tokens than these. Waits for nobody."""
        ...

    def look(self) -> None:
        """Take over what changed in the store. Waits for it."""
        ...

    def is_unchanged(self, token: Token) -> bool:
        """Return whether a token that was valid is valid now, with the same limits."""
        ...

    def ids(self) -> frozenset[str]:
        """Return the ids of all valid tokens."""
        ...


class Metrics(Protocol):
    """The receiver of every finished request, once its last byte was written to the client's connection."""

    def finished(self, done: FinishedRequest) -> None:
        """Count a request."""
        ...


class Repeats(Protocol):
    """The requests that are recognised when another one is like them."""

    def learn(self, client: object, request: Any, learnt: Learnt, head: ResponseHead) -> None:
        """Learn from a request that was answered well, with this head of its answer."""
        ...


class RelayContext(Protocol):
    """The gateway as one request uses it. `good_tokens` are the ids of the tokens that are good, as they were
    at the last check of the time limits."""

    engine: Engine
    metrics: Metrics
    tokens: Tokens
    bounds: Bounds
    conversation_bounds: ConversationBounds
    good_tokens: frozenset[str]
    loop: asyncio.AbstractEventLoop
    upstreams: UpstreamPools

    @property
    def repeats(self) -> Repeats: ...

    def in_thread(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run a call that may block in a thread."""
        ...

    def in_store_thread(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run a call that may wait for the store in a thread that no other call waits for."""
        ...

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Run a coroutine as a task that ends with the gateway."""
        ...


class AdminContext(Protocol):
    """The gateway as the admin pages use it. `draining`: it ends; `replaced`: another process goes on at its
    address."""

    engine: Engine
    tokens: Tokens
    draining: bool
    replaced: bool
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
        """Run a call that may block in a thread."""
        ...

    def in_store_thread(self, call: Callable[[], T]) -> asyncio.Future[T]:
        """Run a call that may wait for the store in a thread that no other call waits for."""
        ...


class AdminHandler(Protocol):
    """The handler of all paths that are no data route. Paths in `OPEN` need no token."""

    OPEN: frozenset[str]

    def serves(self, path: str) -> bool:
        """Return whether there is such a path."""
        ...

    def answer(
        self,
        gateway: AdminContext,
        path: str,
        query: str,
        headers: RawHeaders,
        token: Token | None,
    ) -> AdminAnswer | Awaitable[AdminAnswer | None] | None:
        """Return the answer to a GET or HEAD, now or later; None for an unknown path. `headers` have names in
        lower case. `token` is None where none was sent along to an open path."""
        ...
