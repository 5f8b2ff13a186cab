"""The routes of the providers' APIs, and which bodies are looked into: the same for the library and the
gateway.

A body is looked into only where it is a request to a model: JSON, by its content type, on a route that is
listed here. Any other (a file, a form, a batch) passes byte for byte on the session's connection, whatever it
contains.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from ..core.identity import Dialect
from .answer_shape import AnswerKind


class ApiRoute(NamedTuple):
    """A route whose requests are JSON and may name a model.

    answer     the kind of its answers; None: a side route, of which neither the request nor the answer is
               judged, and whose failures say nothing about a key
    any_model  a model that no provider lists is asked for at the session's provider, since lists name the
               models that talk
    """

    dialect: Dialect
    answer: AnswerKind | None = None
    any_model: bool = False


class BodyRule(NamedTuple):
    """The treatment of a request's body.

    judged     a model answers: the body has to be a JSON object, and so has the answer, or a stream
    named      the body is looked into for a model, which is replaced where it is written as a pin
    any_model  the same as of its route
    document   it is JSON, and may refer to what only one account knows
    certain    by its content type, no receiver reads it as anything but JSON in UTF-8
    translates it can be written for an endpoint of another dialect
    """

    judged: bool = False
    named: bool = False
    any_model: bool = False
    document: bool = False
    certain: bool = False
    translates: bool = False


TO_A_MODEL = BodyRule(judged=True, named=True, document=True, certain=True, translates=True)
"""The rule for a request to a model that the user chose."""
_CHAT, _RESPONSES, _MESSAGES = Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES
_SIDE = ApiRoute(_CHAT, any_model=True)
ROUTES: dict[str, ApiRoute] = {
    "/chat/completions": ApiRoute(_CHAT, AnswerKind.CHAT),
    "/completions": ApiRoute(_CHAT, AnswerKind.COMPLETION),
    "/embeddings": ApiRoute(_CHAT, AnswerKind.EMBEDDINGS, any_model=True),
    "/responses": ApiRoute(_RESPONSES, AnswerKind.RESPONSE),
    "/responses/compact": ApiRoute(_RESPONSES, AnswerKind.OTHER),
    "/responses/input_tokens": ApiRoute(_RESPONSES, AnswerKind.OTHER),
    "/messages": ApiRoute(_MESSAGES, AnswerKind.MESSAGE),
    "/messages/count_tokens": ApiRoute(_MESSAGES, AnswerKind.TOKEN_COUNT),
    "/audio/speech": _SIDE,
    "/images/generations": _SIDE,
    "/images/edits": _SIDE,
    "/moderations": _SIDE,
    "/rerank": _SIDE,
}
_JSON = re.compile(rb"(?:application|text)/(?:[\w.-]+\+)?json", re.IGNORECASE).fullmatch
# LiteLLM takes every content type with "form" in it for a form, and there are parsers that read the charset.
_CERTAIN = re.compile(rb'(?:application/json(?:\s*;\s*charset="?utf-?8"?)?)?', re.IGNORECASE).fullmatch
_TRANSLATED = frozenset({AnswerKind.CHAT, AnswerKind.RESPONSE, AnswerKind.MESSAGE})
_UNLABELLED = (b"", b"application/x-www-form-urlencoded")
"""Content types of a body that nobody labelled: curl and others take the second for any body."""


def tail_of(path: str) -> str:
    """Return the part of a caller's path that follows the version: `/v1/chat/completions` and
    `/chat/completions` are the same."""
    if not path.startswith("/"):
        path = "/" + path
    if path.startswith("/v1/"):
        return path.removeprefix("/v1")
    return path


@lru_cache(maxsize=256)
def dialect_of(path: str) -> Dialect | None:
    """Return the dialect that a request path belongs to: that of the judged route which it is, or is below;
    None for a path of no dialect such as `/models`."""
    tail = tail_of(path).partition("?")[0]
    for prefix, route in ROUTES.items():
        if route.answer is not None and (tail == prefix or tail.startswith(prefix + "/")):
            return route.dialect
    return None


@lru_cache(maxsize=256)
def answer_of(path: str) -> AnswerKind:
    """Return what a POST to this request path is answered with."""
    route = _route(path)
    if route is None or route.answer is None:
        return AnswerKind.OTHER
    return route.answer


def needs_model(path: str) -> bool:
    """Return whether a request to this path has to name a model."""
    route = _route(path)
    return route is not None and route.answer is not None


@lru_cache(maxsize=1024)
def body_rule(method: str, path: str, label: bytes) -> BodyRule:
    """Return what happens with the body of a request, by its content type `label`; b"" for none."""
    route, document = _route(path), is_json(label)
    if method != "POST" or route is None:
        return BodyRule(document=document)
    if not document and label not in _UNLABELLED:
        return BodyRule()
    return BodyRule(
        judged=route.answer is not None,
        named=True,
        any_model=route.any_model,
        document=True,
        certain=_CERTAIN(label) is not None,
        translates=route.answer in _TRANSLATED,
    )


def is_json(label: bytes) -> bool:
    """Return whether a content type says JSON."""
    return _JSON(label.partition(b";")[0].strip()) is not None


def _route(path: str) -> ApiRoute | None:
    return ROUTES.get(tail_of(path).partition("?")[0].rstrip("/"))
