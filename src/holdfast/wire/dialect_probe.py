"""Whether a server speaks a dialect, by its answer to a request that asks for nothing: a model, and no
messages. A server that has the route refuses it for what is missing, and counts no token."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Any

from ..core.classify import classify
from ..core.faults import FaultClass, Reply
from ..core.identity import Dialect
from ..core.vocabulary import Profile
from .answer_shape import judge
from .api_routes import answer_of
from .response_head import succeeded

PATHS = {
    Dialect.OPENAI_CHAT: "/chat/completions",
    Dialect.OPENAI_RESPONSES: "/responses",
    Dialect.ANTHROPIC_MESSAGES: "/messages",
}
NO_ROUTE = "/holdfast-asks-what-no-route-is"
"""A path that no server has: what it answers there, says nothing elsewhere."""
_MISSING = {
    Dialect.OPENAI_CHAT: re.compile(rb"\bmessages\b"),
    Dialect.OPENAI_RESPONSES: re.compile(rb"\binput\b"),
    Dialect.ANTHROPIC_MESSAGES: re.compile(rb"\bmessages\b|\bmax_tokens\b"),
}
_UNPROCESSABLE = (400, 422)


class Spoken(StrEnum):
    """The verdict on an address."""

    YES = "yes"
    NO = "no"
    KEY = "refuses this key"
    UNKNOWN = "cannot be told now"


def probe_body(model: str) -> dict[str, Any]:
    """Return the body of the request: nothing that could be answered."""
    return {"model": model}


def verdict(dialect: Dialect, reply: Reply, profile: Profile, now: float) -> Spoken:
    """Return whether an answer shows that the dialect is spoken. YES holds only where the server answers
    otherwise at a path that it does not have (`same`)."""
    if reply.status is None:
        return Spoken.UNKNOWN
    if succeeded(reply.status):
        flaw, document = judge(answer_of(PATHS[dialect]), reply.body)
        return Spoken.YES if flaw is None and document is not None else Spoken.NO
    if not _is_object(reply.body):
        return _of_page(reply.status)
    names_missing = _MISSING[dialect].search(reply.body) is not None
    if reply.status in _UNPROCESSABLE or (reply.status >= 500 and names_missing):
        return Spoken.YES
    kind = classify(reply, profile, now=now).kind
    if kind is FaultClass.MODEL_UNAVAILABLE:
        return Spoken.YES
    if reply.status in (401, 403):
        return Spoken.KEY
    if reply.status == 429 or reply.status >= 500:
        return Spoken.UNKNOWN
    return Spoken.NO


def same(first: Reply, second: Reply) -> bool:
    """Return whether two answers say the same, whatever path they repeat."""
    return first.status == second.status and _kind(first.body) == _kind(second.body)


def _of_page(status: int) -> Spoken:
    """Return the verdict on an answer that no API gives."""
    if status in (401, 403):
        return Spoken.KEY
    if status == 429 or status >= 500:
        return Spoken.UNKNOWN
    return Spoken.NO


def _is_object(body: bytes) -> bool:
    return isinstance(_parsed(body), dict)


def _kind(body: bytes) -> object:
    """Return what a body says without words that may repeat the path: names and types of its members."""
    document = _parsed(body)
    if document is None:
        return body[:1] == b"<"
    return _outline(document)


def _outline(value: object) -> object:
    if isinstance(value, dict):
        return {name: _outline(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_outline(member) for member in value[:1]]
    if isinstance(value, str) and not re.search(r"[\s/]", value):
        return value  # a code or a type
    return type(value).__name__


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
