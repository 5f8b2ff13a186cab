"""Ports of the transports: what they need of an engine and of the library that opens connections.

`engine` provides the first; tests drive the transports with a scripted one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ..core.faults import Fault
from ..core.identity import Connection, Dialect, Endpoint
from ..core.steps import Answer, Outcome, Step
from ..core.vocabulary import Profile
from ..values.secret import Secret
from .answer_mask import Rewriter
from .api_routes import BodyRule
from .error_bodies import ClientError
from .request_body import RequestInfo

RawHeaders = list[tuple[bytes, bytes]]
Timeout = dict[str, float | None]
"""Seconds by `connect`, `read`, `write` and `pool`, as httpx names them; None waits without end."""


class Open(NamedTuple):
    """Send this to `endpoint`. Answer with what was opened. `stream` is the body: bytes, or the caller's own
    stream. `secret` is written in the place of its mark in the headers. `fresh`: on no connection that was
    kept. `stall` is the time-out for each piece of the answer's body, in seconds."""

    endpoint: Endpoint
    method: str
    url: str
    headers: RawHeaders
    stream: Any
    timeout: Timeout
    stall: float | None = None
    fresh: bool = False
    secret: Secret | None = None


class ConnectionErrors(Protocol):
    """The exceptions of the library that opens connections.

    broken  raised when a connection breaks; named as httpx names them
    ours    those among them that are no fault of a provider
    cut     raised for an answer that ended too early
    late    raised where the call's deadline ends a wait
    """

    broken: tuple[type[Exception], ...]
    ours: tuple[type[Exception], ...]
    cut: type[Exception]
    late: tuple[type[Exception], ...]

    def closed_unheard(self, error: Exception) -> bool:
        """Return whether this error ended a request that left on a kept connection and got no byte of an
        answer."""
        ...


class AnsweredRequest(Protocol):
    """A request that has an outcome."""

    outcome: Outcome | None

    def now(self) -> float:
        """Return the store's time, in epoch seconds."""
        ...

    def headers(self) -> Mapping[str, str]:
        """Return our own headers for the answer. Only when the outcome is set."""
        ...

    def client_error(self) -> ClientError:
        """Return our own answer to the outcome's fault."""
        ...

    def explanation(self) -> object:
        """Return the outcome's fault as text: what happened, where, what was tried, what to do next."""
        ...

    def answered_by(self, model: str) -> None:
        """Note the model that the provider says answers, as far as it is known before `headers` is called;
        "" where the provider names none."""
        ...

    def made(self, names: Sequence[str]) -> None:
        """Note the objects that the answer made, as far as they are known by now. After a good outcome."""
        ...

    def stream_ended(self, fault: Fault | None, answered_model: str, usage: Mapping[str, int]) -> None:
        """Report that the answer's last byte was passed on, or that the caller left. Called once after every
        good outcome."""
        ...


class Translated(Protocol):
    """A request as it is sent to an endpoint of another dialect: its body, of which `info` is known."""

    dialect: Dialect
    path: str
    body: bytes
    info: RequestInfo

    def rewriter(self, hidden: Secret | None, coding: bytes) -> Rewriter:
        """Return what writes the provider's stream, in a content coding, anew; `hidden` is masked."""
        ...

    def whole(self, answer: bytes) -> bytes | None:
        """Return a whole answer for the caller; None if it cannot be written for it."""
        ...


class RequestRun(AnsweredRequest, Protocol):
    """A request under way. A driver takes `step` and reports with `take` or `perform`, until `step` is
    None and `outcome` is set."""

    step: Step | None
    sent_at: float
    """When its last send left, in epoch seconds."""

    def knows(self, connection: Connection) -> bool:
        """Return whether the key to send with is known now. If it is not, `secret` may block."""
        ...

    def translated(self, connection: Connection) -> Translated | None:
        """Return the request in the dialect of the connection's endpoint; None where that is the caller's.
        Raises Untranslatable."""
        ...

    def takes_long(self, connection: Connection | None = None) -> bool:
        """Return whether `translated` takes long for a connection, by default that of the request's own
        route, unless `prepare` is called before."""
        ...

    def prepare(self, connection: Connection | None = None) -> bool:
        """Translate the request for a connection. Return False where that cannot be done: `client_error`
        says why for the request's own route. May take a while."""
        ...

    def secret(self, connection: Connection) -> Secret | None:
        """Return the key to send with; None where the endpoint takes none. Raises SecretMissing."""
        ...

    @property
    def unsaved(self) -> bool:
        """Return whether there is something to save before the next step is taken."""
        ...

    def take(self, answer: Answer, *, is_open: bool = False) -> None:
        """Report the result of a Send, and set the next step. Where a good answer `is_open`, it waits for no
        store: what was learnt is saved soon, without `save`."""
        ...

    def save(self) -> None:
        """Save what was learnt. May block."""
        ...

    def perform(self) -> bool:
        """Take a step that needs no driver, and report it. May block. Return False while another request
        takes it: call again in a moment."""
        ...

    def give_up(self, reason: str) -> str:
        """Write down that the request ends for this reason while it waits, and return the text about it."""
        ...

    def abandon(self, *, by_caller: bool = False) -> None:
        """Give back what the request holds, without a fault: its caller left, or it was invalid."""
        ...


class Engine(Protocol):
    """Starts requests, and holds each provider's vocabulary of errors."""

    def start_request(
        self,
        session_id: str,
        dialect: Dialect,
        model: str | None,
        *,
        replayable: bool,
        client_retries: int,
        rule: BodyRule,
        body: bytes | None,
        deadline: float | None = None,
    ) -> RequestRun:
        """Start one request of a session; its body is treated by `rule`, and its caller waits for `deadline`
        seconds at most. Raises HoldfastError when its choice no longer resolves."""
        ...

    def profile(self, connection: Connection) -> Profile:
        """Return the error vocabulary of a connection's provider."""
        ...
