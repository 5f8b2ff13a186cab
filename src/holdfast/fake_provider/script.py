"""The behaviours that a scripted provider can have, and the requests that it received."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..core.identity import Dialect

_TEXT = "All quiet on the scripted side."


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in a body; {} if there is none."""
    with contextlib.suppress(ValueError):
        value = json.loads(body)
        if isinstance(value, dict):
            return value
    return {}


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request that arrived. `number` counts from 1, `at` is in epoch seconds, header names are in lower
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
        """Return the number of repetitions that the client states for this request."""
        return int(self.headers.get("x-stainless-retry-count", "0"))

    @property
    def asked(self) -> dict[str, Any]:
        """Return the JSON object in the body; {} if there is none."""
        return json_object(self.body)

    def members(self, name: str) -> dict[str, Any]:
        """Return the object that a member of the request is; {} if it is none."""
        value = self.asked.get(name)
        return value if isinstance(value, dict) else {}

    def entries(self, name: str) -> list[Any]:
        """Return the list that a member of the request is; [] if it is none."""
        value = self.asked.get(name)
        return value if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The reaction of the provider to a request. Without a `body` it answers in the request's dialect,
    streamed if the request asks for it: a `thought`, the `text`, and `calls` of functions, each by its name
    with its arguments.

    Times are in seconds. With `cut_after`, a stream ends after that many output events: without its terminal
    event, with `error` as an error event, with a reset, or after a stall."""

    status: int = 200
    text: str = _TEXT
    thought: str = ""
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
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
    """Return a good answer."""
    return Behaviour(text=text, **more)


def status(code: int, body: Any = None, headers: Mapping[str, str] | None = None) -> Behaviour:
    """Return an answer with this status; `body` is bytes, text, or a JSON value, by default an error in
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
    if isinstance(body, str):
        given.setdefault("content-type", "text/plain; charset=utf-8")
        body = body.encode()
    elif not isinstance(body, bytes):
        given.setdefault("content-type", "application/json")
        body = json.dumps(body).encode()
    return Behaviour(code, body=body, headers=tuple(given.items()))


def empty() -> Behaviour:
    """Return status 200 with `{}`, as half-provisioned gateways answer."""
    return status(200, {})


def wrong_door() -> Behaviour:
    """Return the answer of a web server without such a route."""
    return status(404, "404 page not found")


def error_event(
    message: str = "scripted failure", kind: str = "server_error", *, after: int = 0
) -> Behaviour:
    """Return a stream with an error event after `after` events of output."""
    return Behaviour(cut_after=after, error={"type": kind, "message": message, "code": None})


def truncated(after: int = 2) -> Behaviour:
    """Return a stream that ends after `after` events of output, without its terminal event."""
    return Behaviour(cut_after=after)


def stall(seconds: float = 3600.0, *, after: int | None = None) -> Behaviour:
    """Return a stall of so many seconds: before any answer, or after `after` events of output (0: after the
    headers)."""
    return Behaviour(stall=seconds, silent=after is None, cut_after=after or 0)


def reset(*, after: int | None = None) -> Behaviour:
    """Return a connection reset: before any answer, or after `after` events of output."""
    return Behaviour(reset=True, silent=after is None, cut_after=after or 0)


Script = Callable[[SeenRequest], Behaviour]


def only_keys(
    keys: Collection[str], then: Behaviour | Script | None = None, otherwise: Behaviour | None = None
) -> Script:
    """Return a script that answers requests with one of `keys`, and others with 401 or `otherwise`."""
    error = {
        "message": "Incorrect API key provided",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }
    refused = otherwise or status(401, {"error": error})

    def script(seen: SeenRequest) -> Behaviour:
        if seen.key not in keys:
            return refused
        return chosen(then or ok(), seen)

    return script


def fails_for(seconds: float, how: Behaviour | None = None, then: Behaviour | Script | None = None) -> Script:
    """Return a script that fails (with 401, or as `how` says) for so many seconds from its first request, and
    then answers."""
    first: list[float] = []

    def script(seen: SeenRequest) -> Behaviour:
        first[:] = first or [seen.at]
        if seen.at - first[0] < seconds:
            return how or status(401)
        return chosen(then or ok(), seen)

    return script


def chosen(what: Behaviour | Script, seen: SeenRequest) -> Behaviour:
    """Return the behaviour for this request."""
    if isinstance(what, Behaviour):
        return what
    return what(seen)
