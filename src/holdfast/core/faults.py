"""What a failed answer means: fourteen classes and `unknown`. The body before the status; codes before words;
our own evidence last, and never over a structured code that is final. What follows from each class:
docs/concepts/recovery.md."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class FaultClass(StrEnum):
    """The class of a failed answer. It, not the status, owns the recovery plan."""

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


class Scope(StrEnum):
    """What the fault is about, and therefore what may be cooled."""

    REQUEST = "request"
    KEY = "key"
    KEY_MODEL = "key+model"
    MODEL = "model"
    ACCOUNT = "account"
    ENDPOINT = "endpoint"
    CLIENT = "client"
    """The caller's own program; named in profiles/anthropic.toml."""


class Phase(StrEnum):
    """How far the exchange had come."""

    UNSENT = "unsent"
    CONNECT = "connect"
    HEADERS = "headers"
    BODY = "body"
    PRE_OUTPUT = "body_pre_output"
    POST_OUTPUT = "body_post_output"
    REFRESH = "refresh"


class Origin(StrEnum):
    """Who failed: we or the caller, the network, the endpoint, or a proxy's own supplier."""

    US = "us"
    NETWORK = "network"
    ENDPOINT = "endpoint"
    UPSTREAM = "upstream"


class Confidence(IntEnum):
    """How strong the sign was. Destructive effects need at least TYPE, or a repeated verdict."""

    HEURISTIC = 0
    STATUS = 1
    TEXT = 2
    HEADER = 3
    TYPE = 4
    CODE = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed answer, understood. Times: `retry_after` in seconds, `reset_at` in epoch seconds."""

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


@dataclass(frozen=True, slots=True)
class Reply:
    """A failed (or doubtful) answer as the core may see it: status None means no HTTP answer, and `body` is
    then the transport exception as `Class: message`. Header names are lower case; `body` is decoded and at
    most 64 KiB."""

    status: int | None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    phase: Phase = Phase.HEADERS
    host: str = ""
    request_written: bool = True
