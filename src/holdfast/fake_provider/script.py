"""What a scripted provider is told to do, and what it saw."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.identity import Dialect

_TEXT = "All quiet on the scripted side."


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """One request that arrived. `number` counts from 1; `at` is epoch seconds; header names are lower
    case."""

    number: int
    at: float
    method: str
    path: str
    key: str | None
    model: str | None
    dialect: Dialect | None
    streams: bool
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def retry_count(self) -> int:
        """How often the client says that it repeated this request."""
        return int(self.headers.get("x-stainless-retry-count", "0"))


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the provider does with one request. Without a `body` it answers `text` in the request's dialect,
    or as a stream if asked.

    Times in seconds. Of a stream, `cut_after` events are sent, then it ends without its terminal event, with
    `error` as an error event, with a reset, or with a stall, as these say."""

    status: int = 200
    text: str = _TEXT
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    model: str | None = None
    delay: float = 0.0
    event_delay: float = 0.0
    compressed: bool = False
    cut_after: int | None = None
    error: Mapping[str, Any] | None = None
    stall: float = 0.0
    reset: bool = False
    silent: bool = False


def ok(text: str = _TEXT, **more: Any) -> Behaviour:
    """A good answer."""
    return Behaviour(text=text, **more)


def status(code: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Behaviour:
    """An answer with this status; `body` is bytes, text, or what becomes JSON, by default an error in
    OpenAI's form."""
    if body is None:
        body = {
            "error": {
                "message": f"scripted status {code}",
                "type": "scripted_error",
                "param": None,
                "code": None,
            }
        }
    given = {name.lower(): value for name, value in (headers or {}).items()}
    if not isinstance(body, bytes):
        given.setdefault(
            "content-type", "text/plain; charset=utf-8" if isinstance(body, str) else "application/json"
        )
        body = (body if isinstance(body, str) else json.dumps(body)).encode()
    return Behaviour(code, body=body, headers=tuple(given.items()))


def empty() -> Behaviour:
    """Status 200 and `{}`: what half-provisioned gateways say."""
    return status(200, {})


def wrong_door() -> Behaviour:
    """What a web server without such a route says."""
    return status(404, "404 page not found")


def error_event(
    message: str = "scripted failure", kind: str = "server_error", *, after: int = 0
) -> Behaviour:
    """A stream that tells an error after so many events of output."""
    return Behaviour(cut_after=after, error={"type": kind, "message": message, "code": None})


def truncated(after: int = 2) -> Behaviour:
    """A stream that simply ends after so many events."""
    return Behaviour(cut_after=after)


def stall(seconds: float = 3600.0, *, after: int | None = None) -> Behaviour:
    """Silence: before any answer, or after so many events of a stream (0: after the headers)."""
    return Behaviour(stall=seconds, silent=after is None, cut_after=after or 0)


def reset(*, after: int | None = None) -> Behaviour:
    """A connection reset: before any answer, or after so many events of a stream."""
    return Behaviour(reset=True, silent=after is None, cut_after=after or 0)


Script = Callable[[SeenRequest], Behaviour]


def only_keys(
    keys: Collection[str], then: Behaviour | Script | None = None, otherwise: Behaviour | None = None
) -> Script:
    """Answers to these keys; to others 401."""
    error = {
        "message": "Incorrect API key provided",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }
    refused = otherwise or status(401, {"error": error})
    return lambda seen: chosen(then or ok(), seen) if seen.key in keys else refused


def fails_for(seconds: float, how: Behaviour | None = None, then: Behaviour | Script | None = None) -> Script:
    """Misbehaves (401) for so long, counted from its first request, then answers."""
    first: list[float] = []

    def script(seen: SeenRequest) -> Behaviour:
        first[:] = first or [seen.at]
        return (how or status(401)) if seen.at - first[0] < seconds else chosen(then or ok(), seen)

    return script


def chosen(what: Behaviour | Script, seen: SeenRequest) -> Behaviour:
    """The behaviour for this request."""
    return what if isinstance(what, Behaviour) else what(seen)
