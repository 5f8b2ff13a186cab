"""The interfaces between the connections and the program above them.

`ServerConnection` reads a client's requests for a `RequestHandler`; `UpstreamConnection` reads a provider's
answer for a `ResponseSink`. Only these two know the meaning of a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from .framing import HeaderNames
from .limits import HttpLimits
from .request_head import Head
from .response_head import ResponseHead
from .turns import Turns
from .unauthenticated import Unauthenticated
from .upload import Upload

Permitted = Callable[[str, list[Any]], list[Any]]
"""From a host and what it resolved to (rows of `getaddrinfo`) to what may be dialled. Raises OSError."""


class LocalAnswer(NamedTuple):
    """A whole answer of the gateway itself. `lines` are header lines without the body's length."""

    status: int
    lines: list[bytes]
    body: bytes


class RequestTimeout(Exception):
    """A request was not complete in time."""


class Admission(Protocol):
    """The decision about a request from its head alone.

    `refusal` is the answer to a request that is not admitted, else None. `repeatable` allows to admit the
    same head again without reading it, as long as `RequestHandler.still_admits` agrees. `authenticated`: a
    good token was shown. `body_bytes`: the most that its body may have. `streams`: its body is passed on as
    it comes.
    `unsure`: it is to be admitted again after `RequestHandler.look_at_tokens`.
    """

    @property
    def unsure(self) -> bool: ...

    @property
    def refusal(self) -> LocalAnswer | None: ...
    @property
    def repeatable(self) -> bool: ...
    @property
    def authenticated(self) -> bool: ...
    @property
    def body_bytes(self) -> int: ...
    @property
    def streams(self) -> bool: ...


class RunningRequest(Protocol):
    """A request between its complete arrival and the end of its answer."""

    @property
    def streamed(self) -> bool:
        """True while its answer is passed on piece by piece."""
        ...

    def look(self, now: float) -> None:
        """Check the time limits. `now` is the loop's time in seconds."""
        ...

    def client_closed(self) -> None:
        """Give up, since the client closed its connection."""
        ...

    def pause(self) -> None:
        """Stop the provider, since the client reads too slowly."""
        ...

    def resume(self) -> None:
        """Let the provider go on."""
        ...


class ClientConnection(Protocol):
    """A client's connection as a handler and its requests use it.

    `paused`: the client reads more slowly than we write.
    """

    running: RunningRequest | None
    paused: bool

    @property
    def local_address(self) -> tuple[str, int]:
        """Return the address of this machine to which the client is connected."""
        ...

    def answer(self, status: int, lines: list[bytes], body: bytes) -> None:
        """Write a whole answer."""
        ...

    def begin(self, status: int, lines: list[bytes]) -> None:
        """Write the head of an answer whose body follows in pieces, framed by us: no length is announced that
        an error could exceed."""
        ...

    def send(self, data: bytes) -> None:
        """Write the next piece of a body."""
        ...

    def end(self) -> None:
        """Write the end of a body."""
        ...

    def finished(self) -> None:
        """Go on to the next request, since the answer is written."""
        ...

    def reject(self, answer: LocalAnswer) -> None:
        """Write an answer to a request whose rest is not wanted, and close."""
        ...

    def cut(self) -> None:
        """Close in the middle of an answer."""
        ...


class RequestHandler(Protocol):
    """The program that decides about requests and answers them. `admission` is a result of its `admit`."""

    def admit(self, head: Head, *, again: bool = False) -> Admission:
        """Decide from the head whether the request's body is wanted; `again`, for good. Raises
        MalformedMessage."""
        ...

    def repeats(self, connection: Any, data: bytes) -> bool:
        """Take a request that is like one before it, if `data` is all of it. Return whether it is taken."""
        ...

    def look_at_tokens(self, then: Callable[[], None]) -> None:
        """Look for new tokens, without waiting, and call `then` after that."""
        ...

    def still_admits(self, admission: Any) -> bool:
        """Return whether the same head would be admitted in the same way now."""
        ...

    def handle(self, connection: ClientConnection, head: Head, admission: Any, body: bytes | Upload) -> None:
        """Answer a complete request, or one with a body that goes on, now or later."""
        ...

    def answer_to(self, error: Exception, admission: Any) -> LocalAnswer:
        """Return the answer to a request that cannot be read (MalformedMessage), took too long
        (RequestTimeout) or failed inside us (any other error)."""
        ...


class Server(Protocol):
    """The state that the connections of one listening process share."""

    @property
    def handler(self) -> RequestHandler: ...
    @property
    def limits(self) -> HttpLimits: ...
    @property
    def header_names(self) -> HeaderNames: ...
    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def turns(self) -> Turns: ...
    @property
    def draining(self) -> bool: ...  # each answer is its connection's last
    @property
    def retired(self) -> bool: ...  # new and idle connections are closed at once
    @property
    def unauthenticated(self) -> Unauthenticated: ...

    def opened(self, connection: ServedConnection) -> None:
        """Add a new connection."""
        ...

    def closed(self, connection: ServedConnection) -> None:
        """Remove a connection."""
        ...


class ServedConnection(ClientConnection, Protocol):
    """A client's connection as its server uses it."""

    @property
    def busy(self) -> bool:
        """True while a request is under way."""
        ...

    def hold_unsent(self, most: int) -> None:
        """Hold up to `most` bytes that a slow reader has not taken, before it is waited for."""
        ...

    def look(self, now: float) -> None:
        """Check the time limits. `now` is the loop's time in seconds."""
        ...

    def forget(self) -> None:
        """Forget the last request, unless it is under way."""
        ...

    def retire(self) -> None:
        """Take no further request; close at once if none is under way."""
        ...

    def expire(self) -> None:
        """Close soon if no request is under way, and answer one that comes until then."""
        ...


class OutboundMessage(Protocol):
    """A request to a provider, which writes itself: what it holds is shown nowhere else."""

    def write_to(self, writer: asyncio.Transport) -> None:
        """Write the request to its connection."""
        ...


class UpstreamLink(Protocol):
    """A connection to a provider as the receiver of its answer uses it.

    `heard`: bytes came since the last check of the time limits.
    """

    heard: bool

    def send(
        self, sink: ResponseSink, request: OutboundMessage, whole: Callable[[bytes], bool] | None = None
    ) -> None:
        """Send a request; its answer goes to `sink`, unless the first bytes of it are taken as all of it by
        `whole`, which calls `free` then."""
        ...

    def hand_over(self, sink: ResponseSink) -> None:
        """Let the answer go to another sink."""
        ...

    def free(self) -> None:
        """Serve other requests, since all of the answer was taken."""
        ...

    def give_back(self) -> None:
        """Return an unused connection to its pool."""
        ...

    def drop(self) -> None:
        """Close at once, whatever is under way."""
        ...

    def pause(self) -> None:
        """Stop reading."""
        ...

    def resume(self) -> None:
        """Read on."""
        ...


class ResponseSink(Protocol):
    """The receiver of the answer to a request to a provider."""

    def connected(self, link: UpstreamLink) -> None:
        """Take the connection that was opened for this request."""
        ...

    def answered(self, head: ResponseHead, pieces: list[bytes], *, ended: bool) -> None:
        """Take the head of the answer; where `ended`, with all of its body."""
        ...

    def fed(self, data: bytes, *, ended: bool) -> None:
        """Take the next piece of the body."""
        ...

    def upstream_is_full(self, *, full: bool) -> None:
        """Take note that the provider reads more slowly than is written, or has read on."""
        ...

    def failed(self, error: Exception) -> None:
        """Take note that no connection could be opened, or that it broke."""
        ...
