"""The classes of failed answers, fourteen and `unknown`, and the values that describe one.

`classify` puts an answer into its class; `recovery_policy` says what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class FaultClass(StrEnum):
    """The class of a failed answer. It, not the status, decides how to recover."""

    AUTH_REJECTED = "auth_rejected"
    AUTH_EXPIRED = "auth_expired"
    NOT_ENTITLED = "not_entitled"
    BLOCKED = "blocked"
    QUOTA_EXHAUSTED = "quota_exhausted"
    QUOTA_WINDOW = "quota_window"
    RATE_LIMITED = "rate_limited"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    TRANSIENT = "transient"
    MODEL_UNAVAILABLE = "model_unavailable"
    ENDPOINT_MISMATCH = "endpoint_mismatch"
    CONTEXT_OVERFLOW = "context_overflow"
    CONTENT_BLOCKED = "content_blocked"
    BAD_REQUEST = "bad_request"
    UNKNOWN = "unknown"


AUTH_FAULTS = frozenset({FaultClass.AUTH_REJECTED, FaultClass.AUTH_EXPIRED})
REFUSALS = AUTH_FAULTS | {FaultClass.NOT_ENTITLED}
"""The classes by which an endpoint refuses a key."""


class Scope(StrEnum):
    """The subject of a fault, and therefore the most that may cool down for it."""

    REQUEST = "request"
    KEY = "key"
    KEY_MODEL = "key+model"
    MODEL = "model"
    ACCOUNT = "account"
    ENDPOINT = "endpoint"
    CLIENT = "client"
    """The caller's own program; named in profiles/anthropic.toml."""


class Phase(StrEnum):
    """The point that the exchange had reached."""

    UNSENT = "unsent"
    CONNECT = "connect"
    HEADERS = "headers"
    BODY = "body"
    PRE_OUTPUT = "body_pre_output"
    POST_OUTPUT = "body_post_output"
    REFRESH = "refresh"


class Origin(StrEnum):
    """The side that failed: we or the caller, the network, the endpoint, or a proxy's own supplier."""

    US = "us"
    NETWORK = "network"
    ENDPOINT = "endpoint"
    UPSTREAM = "upstream"


class Confidence(IntEnum):
    """The strength of a sign. Destructive effects need at least TYPE, or the same verdict twice."""

    HEURISTIC = 0
    STATUS = 1
    TEXT = 2
    HEADER = 3
    TYPE = 4
    CODE = 5


class Flaw(StrEnum):
    """The reasons why a good status brings no answer: JSON that cannot be read, the right shape without
    output, another API's answer, a stream that nobody asked for, or anything else: its body says."""

    CUT = "cut"
    EMPTY = "empty"
    FOREIGN = "foreign"
    UNASKED = "unasked"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Fault:
    """A failed answer, classified. `retry_after` is in seconds, `reset_at` in epoch seconds.

    `sent` is False where no key reached the provider, `terminal` where only another key can help; `signs`
    name what decided; `cause` narrows the class down; `hint` names a host or models that would fit."""

    kind: FaultClass
    scope: Scope = Scope.REQUEST
    origin: Origin = Origin.ENDPOINT
    phase: Phase = Phase.HEADERS
    status: int | None = None
    terminal: bool = False
    sent: bool = True
    retry_after: float | None = None
    reset_at: float | None = None
    confidence: Confidence = Confidence.STATUS
    signs: tuple[str, ...] = ()
    cause: str | None = None
    hint: str | None = None
    provider_code: str | None = None
    request_id: str | None = None
    excerpt: str = ""
    maybe_processed: bool = False

    @property
    def is_final(self) -> bool:
        """Return whether a structured sign says that only another key can help. Words only claim it."""
        return self.terminal and self.confidence >= Confidence.TYPE


@dataclass(frozen=True, slots=True)
class Reply:
    """A failed or doubtful answer, as the core sees it. `status` is None where there was no HTTP answer;
    `body` is then the transport's exception as `Class: message`. Header names are lower case; `body` is
    decoded and at most 64 KiB. `closed_unheard`: a kept connection was closed before any byte of an
    answer came. `flaw` says why a good status brought no answer, `optional` that providers may lack the
    route."""

    status: int | None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    phase: Phase = Phase.HEADERS
    host: str = ""
    request_written: bool = True
    closed_unheard: bool = False
    flaw: Flaw | None = None
    optional: bool = False
