"""What we ask on our own: which models does an endpoint list, does this connection answer at all, and what a
control plane is asked for.

Synchronous, bounded in size and time, never redirected. Whatever comes of them, a key's health is not theirs
to change."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx2

from ..core.classify import looks_ok
from ..core.faults import Phase, Reply
from ..core.identity import Connection, Dialect, is_loopback
from ..core.secret import Secret
from ..core.vocabulary import Profile
from ..wire.conversation import succeeded
from ..wire.model_list import read_models
from ..wire.ports import RawHeaders
from ..wire.request_body import requested_model
from ..wire.request_head import build_request, filter_headers
from ..wire.response_head import BODY_LIMIT, Decoder, reply_of, reply_of_error
from .deadline import Deadline

_SECONDS = 15.0
_CHECK_SECONDS = 60.0
_LIST_LIMIT = 8 * 1024 * 1024
_MOST_PAGES = 20
_ASKED = "Answer with the one word: ok"

_BASE: RawHeaders = [
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip"),
    (b"user-agent", b"holdfast"),
    (b"content-type", b"application/json"),
]
_VERSIONED: RawHeaders = [*_BASE, (b"anthropic-version", b"2023-06-01")]

# Path and body of the cheapest real call of each dialect; the model is put in on the way out. 16 is the least
# that all accept.
_CALLS: dict[Dialect, tuple[str, dict[str, Any]]] = {
    Dialect.OPENAI_CHAT: (
        "/chat/completions",
        {"messages": [{"role": "user", "content": _ASKED}], "max_tokens": 16},
    ),
    Dialect.OPENAI_RESPONSES: ("/responses", {"input": _ASKED, "max_output_tokens": 16}),
    Dialect.ANTHROPIC_MESSAGES: (
        "/messages",
        {"messages": [{"role": "user", "content": _ASKED}], "max_tokens": 16},
    ),
}


class Checked(NamedTuple):
    """A connection answered: the model that says it did, and after how many seconds."""

    model: str
    seconds: float


class _Got(NamedTuple):
    status: int
    headers: RawHeaders
    body: bytes


def list_models(
    connection: Connection, secret: Secret | None, client: httpx2.Client | None = None
) -> tuple[str, ...] | Reply:
    """The models that the connection's endpoint lists, in its order. A Reply when it lists none: refused,
    unreachable, no list."""
    names: list[str] = []
    deadline, query = time.monotonic() + _SECONDS, ""
    pages = connection.dialect is Dialect.ANTHROPIC_MESSAGES
    with _client(connection) if client is None else _Borrowed(client) as opened:
        for _ in range(_MOST_PAGES):
            got = _fetch(
                opened,
                connection,
                secret,
                "GET",
                f"/models{'?limit=1000' if pages else ''}{query}",
                None,
                deadline,
                _LIST_LIMIT,
            )
            if isinstance(got, Reply):
                return got
            document = _json(got.body)
            offers = read_models(document) if got.status == 200 else None
            if offers is None:
                return _refused(got, connection, secret)
            names += [offer.name for offer in offers]
            last = (
                document.get("last_id") if isinstance(document, dict) and document.get("has_more") else None
            )
            if not pages or not offers or not isinstance(last, str):
                break
            query = f"&after_id={quote(last, safe='')}"
    return tuple(dict.fromkeys(names))


def check_call(
    connection: Connection, secret: Secret | None, profile: Profile, client: httpx2.Client | None = None
) -> Checked | Reply:
    """One cheap real call of the connection's model. A Reply when the answer is not good."""
    path, body = _CALLS[connection.dialect]
    start = time.monotonic()
    with _client(connection) if client is None else _Borrowed(client) as opened:
        got = _call(opened, connection, secret, path, body, start)
        if isinstance(got, _Got) and got.status == 400 and b"max_completion_tokens" in got.body:
            renamed = {name: value for name, value in body.items() if name != "max_tokens"} | {
                "max_completion_tokens": 16
            }
            got = _call(opened, connection, secret, path, renamed, start)
    if isinstance(got, Reply):
        return got
    content_type = next(
        (value.decode("latin-1") for name, value in got.headers if name.lower() == b"content-type"), ""
    )
    if not looks_ok(got.status, content_type, got.body, profile):
        return _refused(got, connection, secret)
    return Checked(requested_model(got.body) or "", time.monotonic() - start)


def ask(
    connection: Connection,
    secret: Secret | None,
    method: str,
    path: str,
    body: object = None,
    seconds: float = _SECONDS,
) -> Reply:
    """One question to a control plane, asked once; `body` is what becomes JSON. The answer is whole, whatever
    its status: status None means that there was none, and phase CONNECT that nothing was sent."""
    sent = None if method == "GET" else json.dumps(body).encode() if body is not None else b""
    with _client(connection) as opened:
        got = _fetch(opened, connection, secret, method, path, sent, time.monotonic() + seconds, _LIST_LIMIT)
    if isinstance(got, Reply):
        return got
    if not succeeded(got.status):
        return _refused(got, connection, secret)
    return replace(
        reply_of(got.status, got.headers, b"", Phase.BODY, connection.endpoint.host), body=got.body
    )


def _refused(got: _Got, connection: Connection, secret: Secret | None) -> Reply:
    """A bad answer; one that repeats the key it was shown is not repeated."""
    body = secret.scrub_bytes(got.body) if secret is not None else got.body
    headers = (
        [(name, secret.scrub_bytes(value)) for name, value in got.headers]
        if secret is not None
        else got.headers
    )
    return reply_of(
        got.status,
        headers,
        body,
        Phase.BODY if got.status == 200 else Phase.HEADERS,
        connection.endpoint.host,
    )


class _Borrowed:
    """A client that is somebody else's to close."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def __enter__(self) -> httpx2.Client:
        return self._client

    def __exit__(self, *_: object) -> None:
        pass


def _client(connection: Connection) -> httpx2.Client:
    return httpx2.Client(follow_redirects=False, trust_env=not is_loopback(connection.endpoint.url))


def _call(
    client: httpx2.Client,
    connection: Connection,
    secret: Secret | None,
    path: str,
    body: dict[str, Any],
    start: float,
) -> _Got | Reply:
    asked = json.dumps({"model": connection.model, **body}).encode()
    return _fetch(client, connection, secret, "POST", path, asked, start + _CHECK_SECONDS, BODY_LIMIT)


def _fetch(
    client: httpx2.Client,
    connection: Connection,
    secret: Secret | None,
    method: str,
    path: str,
    body: bytes | None,
    deadline: float,
    limit: int,
) -> _Got | Reply:
    versioned = connection.dialect is Dialect.ANTHROPIC_MESSAGES
    sized = [(b"content-length", b"")] if body is not None else []
    url, headers, content = build_request(
        connection, secret, path, filter_headers([*(_VERSIONED if versioned else _BASE), *sized]), body
    )
    left = max(0.1, deadline - time.monotonic())
    within, phase = Deadline(left), Phase.HEADERS
    extensions = {"timeout": dict.fromkeys(_TIMEOUTS, left), "trace": within.trace}
    request = httpx2.Request(
        method, url, headers=headers, stream=httpx2.ByteStream(content or b""), extensions=extensions
    )
    try:
        with within, closing(client.send(request, stream=True)) as response:
            phase = Phase.BODY
            raw = response.headers.raw
            coding = next((value.lower() for name, value in raw if name.lower() == b"content-encoding"), b"")
            decoder, parts = Decoder(coding, limit), []
            for chunk in response.iter_raw():
                parts.append(decoder.feed(chunk))
                if decoder.full:
                    break
    except httpx2.TransportError as error:
        told = isinstance(
            error, httpx2.TimeoutException | httpx2.ConnectError
        )  # what was never sent stays that
        return reply_of_error(
            _ENDLESS if within.over and not told else error, phase, connection.endpoint.host
        )
    if within.over:
        return reply_of_error(_ENDLESS, phase, connection.endpoint.host)
    return _Got(response.status_code, raw, b"".join(parts))


_ENDLESS = httpx2.ReadTimeout("the answer does not end")
_TIMEOUTS = ("connect", "read", "write", "pool")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
