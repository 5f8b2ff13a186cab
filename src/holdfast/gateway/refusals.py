"""What the gateway itself says no to, in the caller's dialect: status, type and code, what to do next, and
the machine's part."""

from __future__ import annotations

import json
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

from ..core.errors import (
    AmbiguousModel,
    ConfigError,
    ConnectionLost,
    HoldfastError,
    NotReady,
    StoreError,
    UnknownModel,
    WrongDialect,
)
from ..core.identity import Dialect

_ANTHROPIC = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    500: "api_error",
    503: "api_error",
}
_OPENAI = {401: "authentication_error", 403: "permission_error", 500: "server_error", 503: "server_error"}

# The first row whose class it is speaks: a subclass stands before its base.
_STATUS: tuple[tuple[type[HoldfastError], int, str], ...] = (
    (UnknownModel, 404, "model_not_found"),
    (AmbiguousModel, 400, "model_ambiguous"),
    (WrongDialect, 400, "wrong_dialect"),
    (ConnectionLost, 409, "connection_lost"),
    (ConfigError, 503, "config_broken"),
    (StoreError, 503, "store_unavailable"),
    (NotReady, 503, "not_ready"),
)


class Refusal(NamedTuple):
    """One refusal: `code` is what a program reads, `what` what a person reads."""

    status: int
    code: str
    what: str
    machine: dict[str, Any]

    def body(self, dialect: Dialect) -> bytes:
        """In the shape that the caller's SDK reads."""
        error: dict[str, Any] = {"message": self.what, "holdfast": {"class": self.code, **self.machine}}
        if dialect is Dialect.ANTHROPIC_MESSAGES:
            return json.dumps(
                {
                    "type": "error",
                    "error": {"type": _ANTHROPIC.get(self.status, "invalid_request_error"), **error},
                }
            ).encode()
        kind = _OPENAI.get(self.status, "invalid_request_error")
        return json.dumps({"error": {"type": kind, "param": None, "code": self.code, **error}}).encode()


def refusal(status: int, code: str, what: str, **machine: Any) -> Refusal:
    """A refusal of the gateway's own."""
    return Refusal(status, code, what, machine)


def of_error(error: HoldfastError) -> Refusal:
    """What an error of ours becomes."""
    status, code = next(
        ((status, code) for kind, status, code in _STATUS if isinstance(error, kind)), (500, "internal")
    )
    machine: dict[str, Any] = {"next_step": error.next_step}
    if isinstance(error, ConnectionLost):
        machine["candidates"] = list(error.candidates)
    elif isinstance(error, NotReady):
        machine |= {"reason": error.reason, "retry_at": error.retry_at}
    return Refusal(status, code, str(error), machine)


@lru_cache(maxsize=256)
def status_line(status: int) -> bytes:
    """The first line of an answer."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    return b"HTTP/1.1 %d %b\r\n" % (status, phrase.encode())
