"""The table of all errors that a client can get: the status and the words on which its SDK acts.

`code` is what OpenAI's SDK shows as `error.code`; `name` is the class: `error.holdfast.class`, in every
dialect. Why an error has its status:

- 400: the request itself cannot be served; the client can change it.
- 401, 403: the provider refused the key, or the gateway refused the token. Never an error of our own: every
  client reads these two as a bad key.
- 404: there is no such model, route or session.
- 409: the user's choice cannot be served as it is, and only the user can change that. Most of our own errors
  have it, because programs that ignore `x-should-retry` repeat a 409 less often than a 5xx.
- 503: Holdfast cannot serve any request now; it may again a moment later.
"""

from __future__ import annotations

from typing import NamedTuple

from ..core.faults import FaultClass

C = FaultClass


class ErrorKind(NamedTuple):
    """A class of errors as a client of each dialect sees it."""

    name: str
    status: int
    code: str
    openai_type: str
    anthropic_status: int
    anthropic_type: str


class Refusal(NamedTuple):
    """A refusal that is no exception: its sentence, and the command (or else the advice) that helps.

    All three are templates: words in braces are filled in.
    """

    kind: ErrorKind
    sentence: str
    command: str = ""
    advice: str = ""


# By status: the type in OpenAI's dialect, and in Anthropic's. Both are the vendors' own.
_TYPES: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "invalid_request_error"),
    401: ("authentication_error", "authentication_error"),
    403: ("permission_error", "permission_error"),
    404: ("invalid_request_error", "not_found_error"),
    405: ("invalid_request_error", "invalid_request_error"),
    408: ("invalid_request_error", "invalid_request_error"),
    409: ("invalid_request_error", "invalid_request_error"),
    413: ("invalid_request_error", "request_too_large"),
    414: ("invalid_request_error", "request_too_large"),
    415: ("invalid_request_error", "invalid_request_error"),
    417: ("invalid_request_error", "invalid_request_error"),
    426: ("invalid_request_error", "invalid_request_error"),
    429: ("rate_limit_error", "rate_limit_error"),
    431: ("invalid_request_error", "request_too_large"),
    500: ("server_error", "api_error"),
    501: ("invalid_request_error", "invalid_request_error"),
    502: ("server_error", "api_error"),
    503: ("server_error", "api_error"),
    504: ("server_error", "timeout_error"),
    505: ("invalid_request_error", "invalid_request_error"),
    529: ("server_error", "overloaded_error"),
}


def _kind(name: str, status: int, code: str = "", *, anthropic_status: int = 0) -> ErrorKind:
    """Return a row with the types of its status. Unless given, `code` is the name and both statuses are the
    same."""
    anthropic_status = anthropic_status or status
    return ErrorKind(
        name=str(name),
        status=status,
        code=code or str(name),
        openai_type=_TYPES[status][0],
        anthropic_status=anthropic_status,
        anthropic_type=_TYPES[anthropic_status][1],
    )


def _out_of_quota(name: str, anthropic_status: int, anthropic_type: str) -> ErrorKind:
    """Return a row for an exhausted quota, which has a code and a type of its own in OpenAI's dialect."""
    return ErrorKind(
        name=str(name),
        status=429,
        code="insufficient_quota",
        openai_type="insufficient_quota",
        anthropic_status=anthropic_status,
        anthropic_type=anthropic_type,
    )


# What a provider answered, once recovery has ended (docs/reference/errors.md).
_FAULTS: tuple[ErrorKind, ...] = (
    _kind(C.AUTH_REJECTED, 401),
    _kind(C.AUTH_EXPIRED, 401),
    _kind(C.NOT_ENTITLED, 403),
    _kind(C.BLOCKED, 403),
    _out_of_quota(C.QUOTA_EXHAUSTED, 400, "billing_error"),
    _out_of_quota(C.QUOTA_WINDOW, 429, "rate_limit_error"),
    _kind(C.RATE_LIMITED, 429, "rate_limit_exceeded"),
    _kind(C.PROVIDER_UNAVAILABLE, 503, anthropic_status=529),
    _kind(C.TRANSIENT, 502),
    _kind(C.MODEL_UNAVAILABLE, 404, "model_not_found"),
    _kind(C.ENDPOINT_MISMATCH, 400),
    _kind(C.CONTEXT_OVERFLOW, 400, "context_length_exceeded"),
    _kind(C.CONTENT_BLOCKED, 400, "content_filter"),
    _kind(C.BAD_REQUEST, 400),
    _kind(C.UNKNOWN, 502),
)
FAULTS: dict[FaultClass, ErrorKind] = {FaultClass(kind.name): kind for kind in _FAULTS}
NOT_OFFERED = _kind(C.BAD_REQUEST, 404, "route_not_offered")
"""The refusal of a provider that lacks a route."""
TIMED_OUT = _kind(C.TRANSIENT, 504)
"""A transient fault that was a timeout."""
SILENT = _kind(C.TRANSIENT, 503, "source_silent")
"""A transient fault of what keeps a key: nothing was sent, and no key is refused."""

# What our own calls raise, by the name of the Python class. A class without a row is answered as its base.
ERRORS: dict[str, ErrorKind] = {
    "HoldfastError": _kind("internal", 500),
    "Closed": _kind("closed", 409),
    "ConfigError": _kind("config_broken", 503),
    "Busy": _kind("file_busy", 503),
    "IdentityError": _kind("identity_error", 409),
    "WrongDialect": _kind("wrong_dialect", 400),
    "Untranslatable": _kind("untranslatable", 400),
    "NotTranslated": _kind("not_translated", 404),
    "SecretMissing": _kind("secret_missing", 409),
    "SignInEnded": _kind("sign_in_ended", 409),
    "SourceSilent": _kind("source_silent", 503),
    "NotRenewed": _kind("not_renewed", 503),
    "NotSignedIn": _kind("not_signed_in", 409),
    "ConnectionLost": _kind("connection_lost", 409),
    "NoSession": _kind("no_session", 409),
    "OtherAccount": _kind("other_account", 409),
    "PartlyRenamed": _kind("store_unavailable", 503),
    "UnknownModel": _kind("model_not_found", 404),
    "AmbiguousModel": _kind("model_ambiguous", 400),
    "CannotHandOver": _kind("cannot_hand_over", 409),
    "ModelDropped": _kind("model_dropped", 409),
    "StoreAway": _kind("store_unavailable", 503),
    "StoreError": _kind("store_unavailable", 503),
    "StaleSession": _kind("session_changed", 409),
    "InUse": _kind("in_use", 409),
    "NotReady": _kind("not_ready", 503),
}

_UNBOUND = "holdfast token new --label NAME   (a token without limits)"
_BASE_URLS = "holdfast env   (prints the base URL for each kind of client)"
_NAMES = "holdfast doctor   (shows where holdfast.toml is; [gateway] names lists further names)"
_READ = "the request cannot be read: {what}"

# What is refused, or cut short, without an exception. Words in braces are filled in.
_REFUSALS: tuple[Refusal, ...] = (
    Refusal(_kind("no_token", 401), "no gateway token was sent", "holdfast token new"),
    Refusal(_kind("invalid_token", 401), "this is not a token of this gateway", "holdfast token new"),
    Refusal(_kind("foreign_host", 403), "the Host header does not name this gateway", _NAMES),
    Refusal(_kind("foreign_origin", 403), "web pages of another origin may not use this gateway", _NAMES),
    Refusal(_kind("session_mismatch", 403), "this token may use only session '{session}'", _UNBOUND),
    Refusal(
        _kind("session_token", 403),
        "this token is limited, and may see only its own models, sessions and requests",
        _UNBOUND,
    ),
    Refusal(
        _kind("too_many_sessions", 403),
        "this token has begun as many sessions today as it may: there is no session '{session}' yet",
        "holdfast token new --new-sessions 1000000   (how many a day; sessions that exist go on)",
    ),
    Refusal(_kind("bad_session", 400), "'{session}' cannot be a session's id", "holdfast session list"),
    Refusal(
        _kind("bad_page", 400),
        "'{after}' continues no list of sessions",
        advice="take the address from the header link of the page before, or leave out after",
    ),
    Refusal(_kind("no_such_session", 404), "there is no session '{session}'", "holdfast session list"),
    Refusal(
        _kind("no_such_request", 404),
        "there is no request '{request}' in the journal",
        "holdfast session list",
    ),
    Refusal(_kind("unknown_route", 404), "there is no {path} here; there is {routes}", _BASE_URLS),
    Refusal(
        _kind("upgrade_required", 426),
        "there are no WebSockets here; {path} is answered over HTTP only",
        advice="send the request as POST {path}",
    ),
    Refusal(_kind("method_not_allowed", 405), "{path} allows only {allow}", _BASE_URLS),
    Refusal(_kind("method_unknown", 501), "the method {method} is not implemented here", _BASE_URLS),
    Refusal(
        _kind("request_timeout", 408), "the request did not arrive in time", advice="send the request again"
    ),
    Refusal(
        _kind("malformed_request", 400),
        _READ,
        advice="correct the client, or the proxy between it and the gateway",
    ),
    Refusal(
        _kind("request_too_large", 413),
        _READ,
        advice="send less: shorten the conversation or its attachments",
    ),
    Refusal(
        _kind("body_without_token", 413),
        "a request to {path} without a good gateway token may have no body, and none was read",
        advice="send no body, or send a token along",
    ),
    Refusal(_kind("path_too_long", 414), _READ, advice="correct the client's base URL"),
    Refusal(_kind("expectation_failed", 417), _READ, advice="send no Expect header, or 100-continue"),
    Refusal(_kind("head_too_large", 431), _READ, advice="send fewer or shorter headers"),
    Refusal(_kind("coding_unknown", 501), _READ, advice="send the body with a length, or as chunked alone"),
    Refusal(_kind("version_unknown", 505), _READ, advice="send the request as HTTP/1.1"),
    Refusal(_kind("wrong_client", 400), "{what}; nothing was sent", advice="{advice}"),
    Refusal(
        _kind("bad_deadline", 400),
        "the header holdfast-deadline holds '{label}', which is no positive number of seconds;"
        " nothing was sent",
        advice="send seconds, such as 'holdfast-deadline: 30'",
    ),
    Refusal(
        _kind("unreadable_body", 400),
        "the request's body is not a JSON object in plain UTF-8 ({why}), so its model cannot be read;"
        " nothing was sent",
        advice="send the body as a JSON object, encoded as UTF-8",
    ),
    Refusal(
        _kind("unsupported_coding", 415),
        "the request's body has the content-encoding '{coding}', which cannot be decoded here;"
        " nothing was sent",
        advice="{advice}",
    ),
    Refusal(
        _kind("pin_mismatch", 409),
        "this token may use only {allowed}, and the request asks for '{requested}'; nothing was sent",
        "holdfast token new --pin {requested}   (for holdfast run: holdfast run PROGRAM --pin {requested})",
    ),
    Refusal(
        _kind("no_choice", 409),
        "session '{session}' has no pin yet, and this token may not choose one; nothing was sent",
        "holdfast session pin {session} PROVIDER/MODEL",
    ),
    Refusal(
        _kind("token_ended", 401),
        "the token of this request has expired or was revoked, so its answer was ended",
        "holdfast token new",
    ),
    Refusal(
        _kind("strict_body", 400),
        "this token may use only its own models, and the request's body holds '{member}', which {why};"
        " nothing was sent",
        advice="leave '{member}' out of the request, or use a token without pins: holdfast token new",
    ),
    Refusal(
        _kind("uncertain_body", 415),
        "this token may use only its own models, and a body of the content type '{label}' may name another;"
        " nothing was sent",
        advice="send JSON with the header 'content-type: application/json', or use a token without pins:"
        " holdfast token new",
    ),
    Refusal(ERRORS["HoldfastError"], "the gateway failed; its log says why", "holdfast doctor"),
    Refusal(
        _kind("stream_truncated", 502),
        "{what}: the answer of {connection} is cut short; it may have been billed, repeat the turn",
        "holdfast why {request}",
    ),
    Refusal(
        _kind("not_a_stream", 502),
        "the provider did not answer with the stream that was requested",
        "holdfast why {request}",
    ),
)
REFUSALS: dict[str, Refusal] = {refusal.kind.name: refusal for refusal in _REFUSALS}

UNREADABLE: dict[int, str] = {
    400: "malformed_request",
    413: "request_too_large",
    414: "path_too_long",
    417: "expectation_failed",
    431: "head_too_large",
    501: "coding_unknown",
    505: "version_unknown",
}
"""By status: the refusal of a request that cannot be read as HTTP."""
