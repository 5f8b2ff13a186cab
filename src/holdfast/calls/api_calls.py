"""Holdfast's own calls to providers: list the models of an endpoint, check that a connection answers, call a
control plane.

Synchronous, bounded in size and time, never redirected. Their results never change a key's health.
"""

from __future__ import annotations

import json
import time
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx2

from ..core.config import ModelFacts
from ..core.faults import Flaw, Phase, Reply
from ..core.identity import Connection, Dialect
from ..secrecy.frames import without_frames
from ..secrecy.masking import masked_bytes
from ..values.secret import Secret
from ..wire.answer_shape import judge
from ..wire.api_routes import answer_of
from ..wire.client_headers import filter_headers
from ..wire.key_at_send import headers_with_key
from ..wire.model_list import read_facts, read_models
from ..wire.ports import RawHeaders
from ..wire.request_head import build_request
from ..wire.response_head import BODY_LIMIT, Decoder, reply_of, reply_of_error, succeeded
from .clients import client_for
from .deadline import Deadline
from .network import Network

_SECONDS, _CHECK_SECONDS = 15.0, 60.0
_LIST_LIMIT = 8 * 1024 * 1024
"""Decoded bytes of a model list, or of a control plane's answer."""
_MOST_PAGES = 20
_PROMPT = "Answer with the one word: ok"
_FEWEST_TOKENS = 16
"""The smallest limit that all dialects accept."""
_ENDLESS = httpx2.ReadTimeout("the answer does not end")
_TIMEOUTS = ("connect", "read", "write", "pool")

_BASE: RawHeaders = [
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip"),
    (b"user-agent", b"holdfast"),
    (b"content-type", b"application/json"),
]
_VERSIONED: RawHeaders = [*_BASE, (b"anthropic-version", b"2023-06-01")]

# Path and body of the cheapest real call of each dialect; the model is added when it is sent.
_CALLS: dict[Dialect, tuple[str, dict[str, Any]]] = {
    Dialect.OPENAI_CHAT: (
        "/chat/completions",
        {"messages": [{"role": "user", "content": _PROMPT}], "max_tokens": _FEWEST_TOKENS},
    ),
    Dialect.OPENAI_RESPONSES: ("/responses", {"input": _PROMPT, "max_output_tokens": _FEWEST_TOKENS}),
    Dialect.ANTHROPIC_MESSAGES: (
        "/messages",
        {"messages": [{"role": "user", "content": _PROMPT}], "max_tokens": _FEWEST_TOKENS},
    ),
}


class Checked(NamedTuple):
    """A good answer to a check: the model that the provider says answered, and the seconds that it took."""

    model: str
    seconds: float


class _Request(NamedTuple):
    """A request to send. `limit`: the decoded bytes of its answer that are read."""

    method: str
    path: str
    body: bytes | None
    limit: int


class _Answer(NamedTuple):
    status: int
    headers: RawHeaders
    body: bytes


def list_models(
    connection: Connection,
    secret: Secret | None,
    client: httpx2.Client | None = None,
    *,
    network: Network | None = None,
) -> dict[str, ModelFacts] | Reply:
    """Return the models that an endpoint lists, in its order, with what it says of each; the Reply where it
    lists none."""
    listed: dict[str, ModelFacts] = {}
    ends_at = time.monotonic() + _SECONDS
    paged = connection.dialect is Dialect.ANTHROPIC_MESSAGES
    path = first = "/models?limit=1000" if paged else "/models"
    with _client(connection, network, client) as opened:
        for _ in range(_MOST_PAGES):
            answer = _fetch(
                opened, connection, secret, _Request("GET", path, None, _LIST_LIMIT), ends_at=ends_at
            )
            if isinstance(answer, Reply):
                return answer
            document = _json(answer.body)
            offers = read_models(document)
            if offers is None or answer.status != 200:
                return _refused(answer, connection, secret)
            facts = read_facts(document)
            listed |= {offer.name: facts.get(offer.name, ModelFacts()) for offer in offers}
            last = _last_id(document)
            if not paged or not offers or last is None:
                break
            path = f"{first}&after_id={quote(last, safe='')}"
    return listed


def check_call(
    connection: Connection,
    secret: Secret | None,
    client: httpx2.Client | None = None,
    *,
    network: Network | None = None,
) -> Checked | Reply:
    """Make one cheap real call of the connection's model. Return the Reply when the answer is not good."""
    path, body = _CALLS[connection.dialect]
    start = time.monotonic()
    ends_at = start + _CHECK_SECONDS
    with _client(connection, network, client) as opened:
        answer = _fetch(opened, connection, secret, _check_request(connection, path, body), ends_at=ends_at)
        if _wants_new_name(answer):
            others = {name: value for name, value in body.items() if name != "max_tokens"}
            body = {**others, "max_completion_tokens": _FEWEST_TOKENS}
            answer = _fetch(
                opened, connection, secret, _check_request(connection, path, body), ends_at=ends_at
            )
    if isinstance(answer, Reply):
        return answer
    if not succeeded(answer.status):
        return _refused(answer, connection, secret)
    flaw, document = judge(answer_of(path), answer.body)
    if flaw is not None:
        return _refused(answer, connection, secret, flaw)
    return Checked(str((document or {}).get("model") or ""), time.monotonic() - start)


def call_control_plane(
    connection: Connection,
    secret: Secret | None,
    method: str,
    path: str,
    *,
    body: object = None,
    seconds: float = _SECONDS,
    network: Network | None = None,
) -> Reply:
    """Call a control plane once and return its whole answer, whatever the status. `body` becomes JSON.

    Status None means that no answer came, and phase CONNECT that nothing was sent.
    """
    request = _Request(method, path, _encoded(method, body), _LIST_LIMIT)
    with _client(connection, network) as opened:
        answer = _fetch(opened, connection, secret, request, ends_at=time.monotonic() + seconds)
    if isinstance(answer, Reply):
        return answer
    if not succeeded(answer.status):
        return _refused(answer, connection, secret)
    reply = reply_of(
        status=answer.status,
        headers=answer.headers,
        body=b"",
        phase=Phase.BODY,
        host=connection.endpoint.host,
    )
    return replace(reply, body=answer.body)  # a good answer is not cut like a failed one


def _client(
    connection: Connection, network: Network | None, client: httpx2.Client | None = None
) -> AbstractContextManager[httpx2.Client]:
    """Return a client for the connection, closed at the end; `client`, left open, if there is one."""
    return nullcontext(client) if client else client_for(connection.endpoint.url, network)


@without_frames
def _fetch(
    client: httpx2.Client,
    connection: Connection,
    secret: Secret | None,
    request: _Request,
    *,
    ends_at: float,
) -> _Answer | Reply:
    """Send a request and read its answer until `ends_at` (monotonic). Return the Reply when none came."""
    left = max(0.1, ends_at - time.monotonic())
    deadline, phase = Deadline(left), Phase.HEADERS
    try:
        with deadline, closing(_send(client, connection, secret, request, deadline=deadline)) as response:
            phase = Phase.BODY
            raw = response.headers.raw
            decoder, parts = Decoder(_header(raw, b"content-encoding").lower(), request.limit), []
            for chunk in response.iter_raw():
                parts.append(decoder.feed(chunk))
                if decoder.full:
                    break
    except (httpx2.TimeoutException, httpx2.ConnectError) as error:
        return reply_of_error(error, phase, connection.endpoint.host)
    except httpx2.TransportError as error:
        # Once the deadline has cut the connection, the error says only that it is cut.
        return reply_of_error(_ENDLESS if deadline.over else error, phase, connection.endpoint.host)
    if deadline.over:
        return reply_of_error(_ENDLESS, phase, connection.endpoint.host)
    return _Answer(response.status_code, raw, b"".join(parts))


def _send(
    client: httpx2.Client,
    connection: Connection,
    secret: Secret | None,
    request: _Request,
    *,
    deadline: Deadline,
) -> httpx2.Response:
    """Send a request and return the response with its body unread."""
    headers = _VERSIONED if connection.dialect is Dialect.ANTHROPIC_MESSAGES else _BASE
    if request.body is not None:
        headers = [*headers, (b"content-length", b"")]  # build_request sets the value
    sent, headers, content = build_request(
        connection, secret, request.path, filter_headers(headers), body=request.body
    )
    extensions = {"timeout": dict.fromkeys(_TIMEOUTS, deadline.seconds), "trace": deadline.trace}
    return client.send(
        httpx2.Request(
            request.method,
            sent.url,
            headers=headers_with_key(headers, secret),
            stream=httpx2.ByteStream(content or b""),
            extensions=extensions,
        ),
        stream=True,
    )


def _encoded(method: str, body: object) -> bytes | None:
    """Return a request's body as JSON: None for GET, which has none; b"" where there is nothing to say."""
    if method == "GET":
        return None
    if body is None:
        return b""
    return json.dumps(body).encode()


def _check_request(connection: Connection, path: str, body: dict[str, Any]) -> _Request:
    return _Request("POST", path, json.dumps({"model": connection.model, **body}).encode(), BODY_LIMIT)


def _wants_new_name(answer: _Answer | Reply) -> bool:
    """Return whether an endpoint refused `max_tokens` by that name, as OpenAI's does for newer models."""
    if isinstance(answer, Reply):
        return False
    return answer.status == 400 and b"max_completion_tokens" in answer.body


def _refused(
    answer: _Answer, connection: Connection, secret: Secret | None, flaw: Flaw | None = None
) -> Reply:
    """Return a bad answer as the core sees it, without the key in case the provider repeats it."""
    body, headers = answer.body, answer.headers
    if secret is not None:
        body = masked_bytes(body, secret)
        headers = [(name, masked_bytes(value, secret)) for name, value in headers]
    phase = Phase.BODY if answer.status == 200 else Phase.HEADERS
    host = connection.endpoint.host
    reply = reply_of(status=answer.status, headers=headers, body=body, phase=phase, host=host)
    return replace(reply, flaw=flaw)


def _header(headers: RawHeaders, wanted: bytes) -> bytes:
    """Return the value of the first header of this name, in lower case; b"" where there is none."""
    return next((value for name, value in headers if name.lower() == wanted), b"")


def _last_id(document: Any) -> str | None:
    """Return the id after which the next page of a list begins; None at its end."""
    if not isinstance(document, dict) or not document.get("has_more"):
        return None
    last = document.get("last_id")
    return last if isinstance(last, str) else None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
