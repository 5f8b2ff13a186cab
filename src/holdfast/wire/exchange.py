"""What a conversation takes and gives: the caller's request, the head of an answer, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from ..core.identity import Connection, Dialect
from ..core.secret import Secret
from .ports import Open, RawHeaders
from .request_body import RequestInfo
from .request_head import OutboundRequest
from .response_stream import ResponseStream
from .usage import NO_USAGE


class Head(Protocol):
    """The head of an answer: content type and coding in lower case, the rest as it came."""

    status: int
    type: bytes
    coding: bytes

    @property
    def headers(self) -> RawHeaders: ...


class ConversationRequest(Protocol):
    """A caller's request, as the library or the gateway has read it.

    info       what its body asks for
    body       None when the body streams past and cannot be sent twice
    dialect    the caller's own
    path       the caller's, with its query
    inspected  a model answers it, so the answer is examined
    """

    info: RequestInfo
    body: bytes | None
    dialect: Dialect
    path: str
    inspected: bool

    def outbound(self, connection: Connection, secret: Secret | None) -> Open | OutboundRequest:
        """Return the request as it is sent to `connection`."""
        ...


class SendFailed(NamedTuple):
    """A bad answer: its head and decoded body, or the exception. Nothing in it repeats the key that was
    sent."""

    head: Head | None
    headers: RawHeaders
    body: bytes = b""
    error: Exception | None = None


class GoodAnswer(NamedTuple):
    """A good answer.

    head    its status and headers
    chunks  the body as far as it was read
    stream  what passes the rest of the body on; None when `chunks` are all of it
    usage   token counts of a whole answer, under the provider's names
    model   the model that a whole answer names; "" where it names none
    secret  the key that was sent; no header that is passed on repeats it
    label   the right content type, where the provider's says something else than what came; else b""
    """

    head: Head
    chunks: list[bytes]
    stream: ResponseStream | None
    usage: Mapping[str, int] = NO_USAGE
    secret: Secret | None = None
    model: str = ""
    label: bytes = b""


class ConversationResult(NamedTuple):
    """The end of a conversation: the good answer, or the provider's last refusal if the outcome's fault is
    about it. Neither, when nothing was sent."""

    good: GoodAnswer | None
    bad: SendFailed | None
