"""What the transports need of an engine: to begin an exchange, be told its steps, and report what came of
them.

The runtime's engine fulfils this; tests drive the transports with a scripted one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from ..core.faults import Fault
from ..core.identity import Connection, Dialect, Endpoint
from ..core.secret import Secret
from ..core.steps import Answer, Outcome, Step
from ..core.vocabulary import Profile
from .error_bodies import ClientError


class RequestRun(Protocol):
    """One request under way. A driver takes `step`, reports with `answer`, until `step` is None and `outcome`
    is there."""

    step: Step | None
    outcome: Outcome | None

    def now(self) -> float:
        """Epoch seconds of the store's clock."""
        ...

    def knows(self, connection: Connection) -> bool:
        """Whether the key to send with is known now; where not, `secret` may block."""
        ...

    def secret(self, connection: Connection) -> Secret | None:
        """The key to send with; None where the endpoint takes none. Raises SecretMissing."""
        ...

    def answer(self, answer: Answer) -> None:
        """Report what came of a Send, and learn the next step."""
        ...

    def perform(self) -> bool:
        """Take a step that needs no driver, and report it. May block. False: it is another's turn, ask again
        in a moment."""
        ...

    def headers(self) -> Mapping[str, str]:
        """What we add to the answer that is handed on. Only when the outcome is there."""
        ...

    def client_error(self) -> ClientError:
        """Return our own answer to the outcome's fault."""
        ...

    def explanation(self) -> object:
        """The outcome's fault as text: what happened, where, what was tried, what to do next."""
        ...

    def answered_by(self, model: str) -> None:
        """The model that the provider says answers, as far as that is known before `headers` is asked; ""
        where it says none."""
        ...

    def stream_ended(self, fault: Fault | None, answered_model: str, usage: Mapping[str, int]) -> None:
        """The answer's last byte was passed on, or the caller left; called once after every good outcome."""
        ...

    def abandon(self) -> None:
        """The caller went away, or the request was never valid: give back what is held, blame nobody."""
        ...


class Engine(Protocol):
    """Begins exchanges, and knows each provider's words for errors."""

    def start_request(
        self,
        session_id: str,
        dialect: Dialect,
        model: str | None,
        *,
        replayable: bool,
        client_retries: int,
        passthrough: bool,
        body: bytes | None,
    ) -> RequestRun:
        """Start one request of a session. Raises HoldfastError when its choice no longer resolves."""
        ...

    def profile(self, connection: Connection) -> Profile:
        """The error vocabulary of a connection's provider."""
        ...


RawHeaders = list[tuple[bytes, bytes]]


Timeout = dict[str, float | None]


class Open(NamedTuple):
    """Send this to `endpoint`; answer with what was opened. `stream` is the body as bytes or as the caller's
    own stream."""

    endpoint: Endpoint
    method: str
    url: str
    headers: RawHeaders
    stream: Any
    timeout: Timeout


class Faults(Protocol):
    """What a conversation needs to know of exceptions. `broken`: what a broken connection raises, named as
    httpx names them; `not_theirs`: those that tell nothing about a provider; `cut`: what says that an answer
    ended too early."""

    broken: tuple[type[Exception], ...]
    not_theirs: tuple[type[Exception], ...]
    cut: type[Exception]
