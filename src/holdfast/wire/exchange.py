"""What a conversation takes and gives: bounds, the caller's request, the head of an answer, how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ..core.config import Limits
from ..core.faults import Phase
from ..core.identity import Connection, Dialect
from ..core.steps import Outcome
from ..values.secret import Secret
from .api_routes import BodyRule
from .decoding import DECODABLE
from .ports import Open, RawHeaders, Timeout, Translated
from .request_body import RequestInfo
from .request_head import OutboundRequest
from .response_stream import ResponseStream
from .time_limits import NO_TIME_LIMITS, TimeLimits
from .usage import NO_USAGE

_JSON = (b"{", b"[")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits on what a driver holds in memory and on how long it waits. Sizes in bytes, times in seconds.

    replay          a larger request body is sent once and never again
    whole           a larger answer is passed on without being examined
    peek            a stream whose output has not begun after so many bytes is passed on as it is
    peek_seconds    the same after so long
    fault_seconds   the body of a failed answer is read no longer than this
    time_limits     the user's own, for a caller whose library has time-outs
    deadline        of one call in all, if it names no other
    mask_answers    the key is masked in good answers too
    raise_when_cut  a stream without its terminal event raises the module's RemoteProtocolError; otherwise it
                    ends with an error event of its dialect, for which the SDKs raise an error of theirs
    """

    replay: int = Limits().replay_limit
    whole: int = 1024 * 1024
    peek: int = 64 * 1024
    peek_seconds: float = 10.0
    fault_seconds: float = 10.0
    time_limits: TimeLimits = NO_TIME_LIMITS
    deadline: float | None = None
    raise_when_cut: bool = False
    mask_answers: bool = False


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
    rule       what its route and its content type say about it
    inspected  a model answers it, so the answer is examined
    masks_key  its caller may see no key, in no answer
    """

    info: RequestInfo
    body: bytes | None
    dialect: Dialect
    path: str
    rule: BodyRule
    inspected: bool
    masks_key: bool

    def outbound(
        self, connection: Connection, secret: Secret | None, translated: Translated | None = None
    ) -> Open | OutboundRequest:
        """Return the request as it is sent to `connection`: `translated`, for one of another dialect."""
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
    objects what a whole answer made that only its account knows
    secret  the key that was sent; no header that is passed on repeats it
    label   the right content type, where the provider's says something else than what came; else b""
    decoded the content coding in the head was taken off what is passed on
    """

    head: Head
    chunks: list[bytes]
    stream: ResponseStream | None
    usage: Mapping[str, int] = NO_USAGE
    secret: Secret | None = None
    model: str = ""
    objects: Sequence[str] = ()
    label: bytes = b""
    decoded: bool = False


class ConversationResult(NamedTuple):
    """The end of a conversation: the good answer, or the provider's last refusal if the outcome's fault is
    about it. Neither, when nothing was sent."""

    good: GoodAnswer | None
    bad: SendFailed | None


def label_of(head: Head, right: bytes) -> bytes:
    """Return the content type `right` unless the provider gave it, or one of its kind."""
    if right.rpartition(b"/")[2] in head.type:
        return b""
    return right


def opened(
    head: Head, chunks: list[bytes], stream: ResponseStream, secret: Secret | None, *, is_stream: bool
) -> GoodAnswer:
    """Return a good answer of which `chunks` have come, and whose rest `stream` passes on. `is_stream`: it is
    a stream of events."""
    rewriter = stream.rewriter
    if rewriter is not None:
        chunks = [rewriter.feed(chunk) for chunk in chunks]
    label = label_of(head, b"text/event-stream") if is_stream else b""
    plain = rewriter is not None and bool(head.coding)
    return GoodAnswer(head, chunks, stream, secret=secret, label=label, decoded=plain)


def is_about_an_answer(outcome: Outcome) -> bool:
    """Return whether the outcome's fault is about something that was sent for this request."""
    if outcome.fault is None or outcome.from_memory:
        return False
    return outcome.fault.phase is not Phase.UNSENT


def passes_as_it_came(request: ConversationRequest, bad: SendFailed) -> bool:
    """Return whether a provider's refusal is passed on: no model was asked, and it is JSON, which every SDK
    can read."""
    return not request.inspected and bad.body.lstrip()[:1] in _JSON


def may_be_stream(request: ConversationRequest, head: Head) -> bool:
    """Return whether an answer may be a stream of events: one was asked for. The type is believed where what
    was asked is not known, or where the coding cannot be read."""
    if request.body is None or head.coding not in DECODABLE:
        return b"event-stream" in head.type
    return request.info.streams


def label_for(request: ConversationRequest) -> bytes:
    """Return the content type of an answer that is written for this caller."""
    return b"text/event-stream" if request.info.streams else b"application/json"


def shorten(timeout: Timeout, seconds: float) -> None:
    """Let no read of a failed answer's body take longer than `seconds`. The transports look the time-out up
    when they read the first piece."""
    read = timeout.get("read")
    if read is None or read > seconds:
        timeout["read"] = seconds
